"""The hub's health in words: one sentence per fault, sizes, names of readers and reasons. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from dashboard.words import Words
from store.audit import Account, LastAudit, Missing
from store.broker_queue import BrokerQueue
from store.health import Beyond, Fault, Health, Reader
from store.quarantine import readable

GB, MB, KB = 1_000_000_000, 1_000_000, 1_000
NAMED, NAME_LENGTH = 3, 100


@dataclass(frozen=True, slots=True)
class Reason:
    """Why messages are in the quarantine: its name for people, and what to do about it."""

    title: str
    advice: str


def sentence(fault: Fault, words: Words) -> str:
    """What is wrong and what it means, or what to do."""
    if fault.code.startswith(("disk", "database_")):
        return _about_a_disk(fault, words)
    return _about_a_reader(fault, words) if fault.name else _about_the_hub(fault, words)


def _about_a_disk(fault: Fault, words: Words) -> str:
    disk, left = fault.name, size(fault.amount, words)
    said = {
        "disk": words("Only {size} of the disk of {disk} is free.", size=left, disk=disk),
        "disk_full": words(
            "The disk of {disk} is full, {size} are left: nothing is acknowledged, the broker queues.",
            size=left,
            disk=disk,
        ),
        "disk_readonly": words("The disk of {disk} can only be read: nothing is written to it.", disk=disk),
        "database_full": words(
            "The database's disk is full, {size} are left: readings wait in the log.",
            size=left,
        ),
    }
    return said[fault.code]


def _about_a_reader(fault: Fault, words: Words) -> str:
    n, lasted = int(fault.amount), words.duration(timedelta(seconds=fault.for_s))
    waits = words.plural("{n} message waits", "{n} messages wait", n)
    said = {
        "other_log": words("it knows another log than the one that is there. Put the old folder back, or run:")
        + f" beffroi log adopt {fault.name}",
        "log_gap": words("the log does not hold the place where it is to go on; logs/ says why. To go on without, run:")
        + f" beffroi log adopt {fault.name}",
        "stuck": words("{waits} and it has read nothing for {duration}; logs/ says why.", waits=waits, duration=lasted),
        "behind": words("{waits}; it does not keep up.", waits=waits),
        "unaccounted": words("its accounts do not add up, {n} are missing.", n=words.number(n)),
    }
    return words("{reader}: {what}", reader=reader_name(fault.name, words), what=said[fault.code])


def _about_the_hub(fault: Fault, words: Words) -> str:
    n, lasted = int(fault.amount), words.duration(timedelta(seconds=fault.for_s))
    rules = (
        words("The rules were last heard of {duration} ago: does the worker run?", duration=lasted)
        if fault.for_s
        else words("The rules have never run here: does the worker run?")
    )
    said = {
        "no_database": words(
            "The database does not answer. Readings wait in the log and no incident opens; only P1 calls."
        ),
        "no_broker": words("The broker does not answer: nothing is received."),
        "no_log": words("There is no log: intake has not run on this home."),
        "no_rules": rules,
        "broker_queue": words.plural(
            "{n} message waits in the broker: is intake down, or too slow?",
            "{n} messages wait in the broker: is intake down, or too slow?",
            n,
        ),
        "broker_dropped": words.plural(
            "The broker has dropped {n} message for want of room since it started: it is lost.",
            "The broker has dropped {n} messages for want of room since it started: they are lost.",
            n,
        ),
        "silence": words("Nothing was received for {duration}.", duration=lasted),
        "unwritten": words(
            "Intake has not written to its log for {duration}: does it run, can the disk be written?", duration=lasted
        ),
        "clock": words(
            "This machine's clock and the database's differ by {n} s.", n=words.number(abs(fault.amount), 1)
        ),
        "archive": words(
            "The archive of the database fails, since {duration}: logs/postgres.log says why, and the disk fills.",
            duration=lasted,
        ),
        "rollups": words("The figures by the hour and day are {duration} behind the readings.", duration=lasted),
        "audit": words(
            "The last audit does not add up by {n}: beffroi audit names what is missing.", n=words.number(n)
        ),
        "notifications": words.plural(
            "{n} notification has waited for more than five minutes.",
            "{n} notifications have waited for more than five minutes.",
            n,
        ),
        "over_quota": words(
            "Over their quota: {who}. In {duration} {n} messages were counted and a few samples of them kept.",
            who=_named(fault.who),
            duration=lasted,
            n=words.number(n),
        ),
        "oversized": words(
            "The broker closed connections that sent more than 4 MiB at once: {who}.", who=_named(fault.who)
        ),
        "too_many_strangers": words(
            "Too many devices wait to be commissioned ({who}). {n} readings of others were not stored in {duration}."
            " Commission some, or forget them: beffroi devices forget",
            who=_named(fault.who),
            duration=lasted,
            n=words.number(n),
        ),
        "quarantine_full": words(
            "The quarantine is full for: {who}. {n} messages more were counted in {duration}. Release or delete some.",
            who=_named(fault.who),
            duration=lasted,
            n=words.number(n),
        ),
    }
    return said[fault.code]


def _named(who: Sequence[str]) -> str:
    """The worst of them, whatever they call themselves, in one line."""
    named = [readable(one if len(one) <= NAME_LENGTH else f"{one[:NAME_LENGTH]}…") for one in who[:NAMED]]
    return ", ".join(named) + (f" (+ {len(who) - NAMED})" if len(who) > NAMED else "")


def size(size_bytes: float, words: Words) -> str:
    """Bytes as people read them."""
    if size_bytes >= GB:
        return words("{n} GB", n=words.number(size_bytes / GB, 1))
    if size_bytes >= MB:
        return words("{n} MB", n=words.number(size_bytes / MB, 1))
    return words("{n} kB", n=words.number(size_bytes / KB, 1))


def seconds(length_s: float, words: Words) -> str:
    """A small length of time, which may be negative; never -0."""
    return f"{words.number(round(length_s, 2) or 0.0, 2)} s"


def rate_text(per_s: float | None, words: Words) -> str:
    """Per second, as precise as it deserves."""
    return "" if per_s is None else words("{n}/s", n=words.number(per_s, 0 if per_s >= 10 else 1))


def ago(age_s: float | None, words: Words) -> str:
    """How long ago something was, "" when it never was."""
    return "" if age_s is None else words("{duration} ago", duration=words.duration(timedelta(seconds=age_s)))


def queue_text(queue: BrokerQueue, words: Words) -> str:
    """What waits in the broker."""
    waits = words.plural("{n} message", "{n} messages", queue.waiting)
    return words("{waits}, {size} in all", waits=waits, size=size(queue.size_bytes, words))


def clock_text(health: Health, words: Words) -> str:
    """Which time the hub lives in."""
    if health.clock.is_real:
        return words("real time")
    ahead = words.duration(timedelta(seconds=abs(health.hub_ahead_s)))
    return words(
        "simulated, {speed} times real time, {ahead} ahead", speed=words.number(health.clock.speed), ahead=ahead
    )


def accounts_text(reader: Reader, words: Words) -> str:
    """Whether a reader's counts add up, and by how much not."""
    missing = (reader.messages_unaccounted, reader.readings_unaccounted)
    if not any(missing):
        return words("exact")
    return words("{messages} messages, {readings} readings missing", messages=missing[0], readings=missing[1])


def audit_text(last: LastAudit | None, words: Words) -> str:
    """What came of the last audit, and when."""
    if last is None:
        return words("none yet")
    found = words("{n} missing", n=words.number(last.missing)) if last.missing else words("everything adds up")
    return f"{found}, {ago(last.age_s, words)}"


def account_name(what: Account, words: Words) -> str:
    """Something that is added up, for people."""
    return {
        "offsets": words("messages, by their offsets"),
        "messages": words("messages, by what became of them"),
        "readings": words("readings, by what became of them"),
        "messages_quarantined": words("messages in quarantine"),
        "readings_quarantined": words("readings in quarantine"),
        "readings_stored": words("readings stored"),
    }[what]


def missing_text(missing: Missing, words: Words) -> str:
    """What is missing, in a sentence."""
    told = {
        "other_log": words("the log that was read is not there."),
        "log": words("messages that the log cannot give back: {n}."),
        "quarantine": words("refused, and not in the quarantine: {n}."),
        "reading": words("readings that are not stored as they were told: {n}."),
        "event": words("events that are not stored: {n}."),
        "transition": words("alarms that cannot be read, and are not in the quarantine: {n}."),
        "sum": words("the accounts are off by {n}."),
    }[missing.what]
    what = told.format(n=words.number(missing.amount))
    return words("{reader}: {what}", reader=reader_name(missing.reader, words), what=what)


def beyond_text(one: Beyond, words: Words) -> tuple[str, str, str]:
    """Who is beyond which limit, and by how much since when."""
    title = reasons(words)[one.reason].title
    return title, readable(one.name), f"{words.number(one.messages)}, {words.short(one.first_at)}"


def reader_name(name: str, words: Words) -> str:
    """A reader for people."""
    return {"store": words("Store"), "telealert": words("Tele-alert")}.get(name, name)


def log_name(folder: str, words: Words) -> str:
    """A log, by its folder, for people."""
    return {"log": words("Messages"), "transitions": words("Rules' alarms")}.get(folder, folder)


def reasons(words: Words) -> dict[str, Reason]:
    """Every reason that the hub gives, by its code."""
    told = {
        "invalid_json": (words("Not JSON"), words("The device or gateway cuts or garbles its messages.")),
        "wrong_topic": (words("Wrong topic"), words("Set the topic of the device or gateway right.")),
        "wrong_type": (words("Wrong type"), words("A field holds text where a number is expected, or the like.")),
        "unknown_kind": (words("Unknown kind"), words("The topic names a kind that is not declared.")),
        "unknown_event": (words("Unknown event"), words("Declare the event in its kind, or set the device right.")),
        "unknown_source": (words("Unknown source"), words("Put the source back into the settings.")),
        "out_of_range": (words("Out of range"), words("The sensor is broken, or the declared range too narrow.")),
        "no_identity": (words("No identity"), words("The message does not say which device speaks.")),
        "too_large": (words("Too large or too deep"), words("No real device sends this: look at who does.")),
        "unsupported": (words("Not supported"), words("The hub does not read this format.")),
        "conflict": (words("Conflict"), words("The device told two different values for the same moment.")),
        "damaged": (
            words("Damaged in the log"),
            words("The disk gave back something else than was written: examine it."),
        ),
        "over_quota": (words("Over its quota"), words("A sample: look at who sends so much, and lock its account.")),
        "too_many_strangers": (
            words("Too many strangers"),
            words("Commission the devices that are yours, and forget those that nobody knows."),
        ),
        "quarantine_full": (
            words("Quarantine full"),
            words("A sample of what came after it was full: its text says for which reason."),
        ),
        "bad_transition": (words("Unreadable alarm"), words("An error of the hub itself: report it.")),
    }
    return {code: Reason(*texts) for code, texts in told.items()}
