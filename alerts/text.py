"""The words of tele-alert in the hub's languages: notifications, and the reasons in an incident's story. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo

from alerts.alarms import Turn
from alerts.ledger import Change, Purpose
from alerts.scene import Incident, Place, Scene
from devices.kind import Text
from devices.place import said_once

SMALL_WORDS = frozenset({"d", "de", "des", "du", "en", "et", "l", "la", "le", "les", "lès", "sous", "sur"})
TITLES: Mapping[Purpose, Text] = {
    "opened": Text("[P{priority}] Alerte de panne : {fault}", "[P{priority}] Fault alert: {fault}"),
    "closed": Text("[P{priority}] Fin de panne : {fault}", "[P{priority}] Fault over: {fault}"),
}
TODAY: Mapping[Purpose, Text] = {
    "opened": Text("depuis {time}", "since {time}"),
    "closed": Text("terminé à {time}", "over at {time}"),
}
ANOTHER_DAY: Mapping[Purpose, Text] = {
    "opened": Text("depuis le {day} à {time}", "since {day}, {time}"),
    "closed": Text("terminé le {day} à {time}", "over on {day} at {time}"),
}
ALARMS: Mapping[Turn, Text] = {
    "began": Text("[Beffroi] Alarme du système", "[Beffroi] Alarm of the hub"),
    "ended": Text("[Beffroi] Fin d'alarme du système", "[Beffroi] Alarm of the hub over"),
}
NO_NUMBER = Text(
    "base de données absente : l'incident sera sur la page à son retour",
    "the database is away: the incident will be on the page when it is back",
)
CALLED_ALONE = Text(
    "{title} ; appel passé pendant l'absence de la base de données", "{title}; called while the database was away"
)
REASONS: Mapping[str, Text] = {
    "rule_fired": Text("la règle s'est déclenchée : {title}", "the rule fired: {title}"),
    "cause_closed": Text(
        "le défaut dure après la fin de l'incident n° {about}, qui l'expliquait",
        "the fault outlasts incident {about}, which explained it",
    ),
    "priority_calls": Text("P{priority} : appel immédiat", "P{priority}: calls at once"),
    "morning_list": Text(
        "P{priority} : attend la liste du matin, seuls P1 à P{notify_priority} appellent",
        "P{priority}: waits for the morning list, only P1 to P{notify_priority} call",
    ),
    "replayed": Text("lecture rejouée : n'appelle personne", "replayed reading: calls nobody"),
    "late": Text("lecture arrivée en retard : n'appelle personne", "reading that came late: calls nobody"),
    "end_replayed": Text(
        "fin connue par une lecture rejouée : n'appelle personne", "its end is told by a replayed reading: calls nobody"
    ),
    "end_late": Text(
        "fin connue par une lecture arrivée en retard : n'appelle personne",
        "its end is told by a reading that came late: calls nobody",
    ),
    "more_urgent": Text("plus urgent : P{priority}", "more urgent: P{priority}"),
    "less_urgent": Text("moins urgent : P{priority}", "less urgent: P{priority}"),
    "unstable": Text(
        "va et vient : se tait jusqu'à une heure de calme", "comes and goes: says no more until an hour of calm"
    ),
    "live_reading": Text("une lecture en direct le confirme", "a live reading confirms it"),
    "explained_by": Text("expliqué par l'incident n° {about}", "explained by incident {about}"),
    "member_explained": Text(
        "{count} × {fault} : expliqué par cet incident, n'appelle personne",
        "{count} × {fault}: explained by this incident, calls nobody",
    ),
    "member_recovered": Text("{count} × {fault} : rétabli", "{count} × {fault}: recovered"),
    "confirmed_on_its_own": Text(
        "{count} × {fault} : confirmé en direct, a son propre incident",
        "{count} × {fault}: confirmed live, has its own incident",
    ),
    "rule_cleared": Text("la règle ne voit plus le défaut", "the rule sees the fault no more"),
}


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes in one language, one time zone and one hub's address."""

    language: str
    zone: tzinfo
    page_url: str
    notify_priority: int

    def title(self, incident: Incident, purpose: Purpose, scene: Scene) -> str:
        fault = scene.title(incident.kind, incident.code, self.language)
        return self._in(TITLES[purpose]).format(priority=incident.priority, fault=fault)

    def body(
        self,
        incident: Incident,
        purpose: Purpose,
        scene: Scene,
        *,
        served: Mapping[str, int],
        now: datetime,
        at: datetime,
    ) -> str:
        """One sentence with cause, place, what hangs from it and when (`at`), and a link.

        An incident has no number while the database is away: the link is then the device's.

        `served`: how many devices hang below the cause, by type.
        """
        place = scene.places[incident.cause_no]
        parts = [self._place(place), self._served(place, served, scene), self._when(purpose, at, now)]
        fault = scene.title(incident.kind, incident.code, self.language)
        sentence = f"{fault} - {', '.join(filter(None, parts))}"
        page = self.page_url.rstrip("/")
        if incident.number is None:
            return f"{sentence}\n{self._in(NO_NUMBER)}\n{page}/devices/{incident.cause_no}"
        return f"{sentence}\n{page}/incidents/{incident.number}"

    def called_alone(self, title: str) -> str:
        """What an incident's story says of a call that went out without the database."""
        return self._in(CALLED_ALONE).format(title=title)

    def alarm(self, sentence: str, turn: Turn, *, now: datetime, at: datetime) -> tuple[str, str]:
        """Title and body of an alarm of the hub itself, which began or ended at a time."""
        when = self._when("opened" if turn == "began" else "closed", at, now)
        return self._in(ALARMS[turn]), f"{sentence}\n{when.capitalize()}\n{self.page_url.rstrip('/')}/health"

    def reason(self, change: Change, count: int, scene: Scene) -> str:
        """Why a change of an incident's story happened."""
        incident = change.incident
        return self._in(REASONS[change.why]).format(
            title=scene.title(incident.kind, incident.code, self.language),
            fault=scene.title(incident.kind, change.fault, self.language) if change.fault else "",
            priority=incident.priority,
            notify_priority=self.notify_priority,
            about=change.about.number if change.about else "",
            count=count,
        )

    def _in(self, text: Text) -> str:
        return text.fr if self.language == "fr" else text.en

    def _place(self, place: Place) -> str:
        parts = said_once([place.label or place.id, place.street])
        return f"{', '.join(parts)} ({commune_name(place.commune)})"

    def _served(self, place: Place, served: Mapping[str, int], scene: Scene) -> str:
        """The most numerous type of device below, in words: '31 lampadaires'."""
        if not served:
            return ""
        type_name = max(served, key=lambda name: served[name])
        labels = {t.name: t.label for t in scene.kinds[place.kind].types} if place.kind in scene.kinds else {}
        return plural(served[type_name], self._in(labels.get(type_name, Text(type_name, type_name))), self.language)

    def _when(self, purpose: Purpose, at: datetime, now: datetime) -> str:
        local, today = at.astimezone(self.zone), now.astimezone(self.zone).date()
        text = self._in((TODAY if local.date() == today else ANOTHER_DAY)[purpose])
        return text.format(day=local.strftime("%d/%m" if self.language == "fr" else "%d %B"), time=f"{local:%H:%M}")


def plural(count: int, label: str, language: str) -> str:
    """A count of things: French marks the first word, English the last ('compteurs d'eau', 'water meters')."""
    words = label.lower().split(" ")
    marked = 0 if language == "fr" else -1
    if count > 1 and not words[marked].endswith(("s", "x")):
        words[marked] += "s"
    return f"{count} {' '.join(words)}"


def commune_name(slug: str) -> str:
    """A commune's name from its place on the wire: 'fontaine-les-dijon' is 'Fontaine-les-Dijon'."""
    words = slug.split("-")
    return "-".join(w if i and w in SMALL_WORDS else w.capitalize() for i, w in enumerate(words))
