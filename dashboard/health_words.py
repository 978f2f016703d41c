"""The hub's health in words: one sentence per fault, sizes, names of readers and reasons. Pure."""

from dataclasses import dataclass
from datetime import timedelta

from dashboard.words import Words
from store.health import Fault, Health, Reader

GB, MB, KB = 1_000_000_000, 1_000_000, 1_000


@dataclass(frozen=True, slots=True)
class Reason:
    """Why messages are in the quarantine: its name for people, and what to do about it."""

    title: str
    advice: str


def sentence(fault: Fault, words: Words) -> str:
    """What is wrong and what it means, or what to do."""
    return _about_a_reader(fault, words) if fault.name else _about_the_hub(fault, words)


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
        "no_database": words("The database does not answer. Readings wait in the log, and no incident opens."),
        "no_broker": words("The broker does not answer: nothing is received."),
        "no_log": words("There is no log: intake has not run on this home."),
        "no_rules": rules,
        "silence": words("Nothing was received for {duration}.", duration=lasted),
        "disk": words("Only {size} of the disk is free.", size=size(fault.amount, words)),
        "clock": words(
            "This machine's clock and the database's differ by {n} s.", n=words.number(abs(fault.amount), 1)
        ),
        "archive": words(
            "The archive of the database fails, since {duration}: logs/postgres.log says why, and the disk fills.",
            duration=lasted,
        ),
        "rollups": words("The figures by the hour and day are {duration} behind the readings.", duration=lasted),
        "notifications": words.plural(
            "{n} notification has waited for more than five minutes.",
            "{n} notifications have waited for more than five minutes.",
            n,
        ),
    }
    return said[fault.code]


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
        "bad_transition": (words("Unreadable alarm"), words("An error of the hub itself: report it.")),
    }
    return {code: Reason(*texts) for code, texts in told.items()}
