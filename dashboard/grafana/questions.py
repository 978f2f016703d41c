"""What the panels ask, in a language: queries filled in from the declarations of the kinds. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from devices.kind import Field, Indicator, Kind, Text
from store.grafana import Part, any_of, each, figures, fill, identifier, labels, literals, part_of
from store.rollup_ddl import AREA_HOURS, AREA_QUARTERS

TITLES: Mapping[str, Text] = {
    "age": Text("Âge", "Age"),
    "code": Text("Défaut", "Fault"),
    "commune": Text("Commune", "Commune"),
    "count": Text("Nombre", "Count"),
    "device": Text("Équipement", "Device"),
    "half": Text("La moitié sous", "Half under"),
    "high": Text("Maximum", "Highest"),
    "kind": Text("Domaine", "Kind"),
    "last": Text("Dernier", "Last"),
    "low": Text("Minimum", "Lowest"),
    "mean": Text("Moyenne", "Mean"),
    "messages": Text("Messages", "Messages"),
    "most": Text("95 % sous", "95 % under"),
    "quarantined": Text("En quarantaine", "Quarantined"),
    "reader": Text("Lecteur", "Reader"),
    "since": Text("Depuis", "Since"),
    "state": Text("État", "State"),
    "street": Text("Rue", "Street"),
    "type": Text("Type", "Type"),
}
AGES = (
    Text("moins d'1 h", "under 1 h"),
    Text("1 à 4 h", "1 to 4 h"),
    Text("4 à 24 h", "4 to 24 h"),
    Text("1 à 7 jours", "1 to 7 days"),
    Text("plus de 7 jours", "over 7 days"),
)
STATES: Mapping[str, Text] = {
    "new": Text("nouveau", "new"),
    "acknowledged": Text("pris en compte", "acknowledged"),
    "on_site": Text("sur place", "on site"),
    "on_hold": Text("en attente", "on hold"),
    "fixed": Text("réparé", "fixed"),
    "closed": Text("clos", "closed"),
}


@dataclass(frozen=True)
class Questions:
    """The queries over some kinds, all of them or one."""

    kinds: tuple[Kind, ...]
    language: str
    timezone: str
    of_city: bool = True
    """May they ask what only the city knows: the quarantine, the log, what nobody declared?"""

    def say(self, text: Text) -> str:
        """A text in the language of the page."""
        return text.fr if self.language == "fr" else text.en

    def ask(self, name: str, /, **more: Part) -> str:
        """A query of store/queries/grafana.sql over these kinds."""
        return fill(name, **{**self._parts, **more})

    def of_table(self, name: str, kind: Kind, /, **more: Part) -> str:
        """A query on the readings of a kind, or on the figures of its communes."""
        tables = {"table": kind.name, "quarters": AREA_QUARTERS.name(kind), "hours": AREA_HOURS.name(kind)}
        names = {part: identifier(table) for part, table in tables.items()}
        return self.ask(name, kind=kind.name, kind_name=self.say(kind.label), **names, **more)

    def of_field(self, name: str, kind: Kind, field: Field, /, **more: Part) -> str:
        return self.of_table(name, kind, **figures(field), **more)

    def of_flags(self, kind: Kind, flags: Iterable[Field]) -> str:
        """How many devices raise each flag."""
        parts = [self._titled(flag) for flag in flags]
        return self.of_table("flags", kind, flag_counts=each("flag_count", parts), flag_sums=each("flag_sum", parts))

    def of_fields(self, kind: Kind, type_name: str, fields: Iterable[Field]) -> str:
        """The mean of each field over the devices of a type."""
        return self.of_table("measures", kind, type=type_name, means=each("mean", map(self._titled, fields)))

    def of_indicator(self, kind: Kind, indicator: Indicator) -> str:
        """A figure that the city watches."""
        return self.of_table(
            "indicator",
            kind,
            indicator=indicator.name,
            figure=part_of(f"figure_{indicator.how}"),
            indicator_title=identifier(self.say(indicator.title)),
        )

    def _titled(self, field: Field) -> dict[str, Part]:
        return {"title": identifier(self.say(field.label)), **figures(field)}

    @cached_property
    def _parts(self) -> dict[str, Part]:
        silences = [(kind.name, rule.code) for kind in self.kinds for rule in kind.rules if rule.is_silence]
        titles = {f"{name}_title": identifier(self.say(text)) for name, text in TITLES.items()}
        return {
            **titles,
            **{f"age_{place}": self.say(text) for place, text in enumerate(AGES, 1)},
            "kinds": literals(kind.name for kind in self.kinds),
            "timezone": self.timezone,
            "silence_of_incident": any_of(("kind", "code"), silences),
            "silence_codes": literals(code for _, code in silences),
            "state_label": labels(("i.state",), {(state,): self.say(text) for state, text in STATES.items()}),
            "kind_label": labels(("i.kind",), {(kind.name,): self.say(kind.label) for kind in self.kinds}),
            "code_label": labels(
                ("i.kind", "i.code"),
                {(kind.name, rule.code): self.say(rule.title) for kind in self.kinds for rule in kind.rules},
            ),
            "type_label": labels(
                ("d.kind", "d.type"),
                {(kind.name, type.name): self.say(type.label) for kind in self.kinds for type in kind.types},
            ),
        }
