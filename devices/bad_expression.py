"""What is wrong with a condition that an operator wrote, in words and with its place. Pure."""

from devices.kind import Text
from hub.errors import BadSetting

SAID = {
    "empty": Text("La condition est vide.", "The condition is empty."),
    "long": Text(
        "La condition dépasse {most} caractères : faites-en deux règles.",
        "The condition has more than {most} characters: make two rules of it.",
    ),
    "deep": Text(
        "Trop de parenthèses ou d'opérations imbriquées : faites-en deux règles.",
        "Too many parts within parts: make two rules of it.",
    ),
    "many": Text(
        "La condition lit plus de {most} colonnes : faites-en deux règles.",
        "The condition reads more than {most} columns: make two rules of it.",
    ),
    "character": Text("« {found} » n'a pas de sens ici.", "{found!r} means nothing here."),
    "instead": Text("Écrivez « {instead} » au lieu de « {found} ».", "Write {instead!r} in place of {found!r}."),
    "grammar": Text(
        "La condition ne se lit pas à partir d'ici : il manque un opérateur, une valeur ou une parenthèse.",
        "The condition cannot be read from here on: an operator, a value or a parenthesis is missing.",
    ),
    "comma": Text(
        "Une virgule ne sépare que les valeurs d'une fonction ; les décimales s'écrivent avec un point : 0.15.",
        "A comma only separates the values of a function; decimals are written with a point: 0.15.",
    ),
    "not_understood": Text(
        "Cette écriture n'est pas permise : il y a des nombres, des colonnes, + - * / %, des comparaisons, and, or,"
        " not et les fonctions {functions}.",
        "This is not allowed: there are numbers, columns, + - * / %, comparisons, and, or, not, and the functions"
        " {functions}.",
    ),
    "number": Text("Ce nombre est trop grand.", "This number is too large."),
    "column": Text(
        "La colonne « {name} » n'existe pas pour ce type ({why}).{hint_fr}",
        "There is no column {name!r} for this type ({why}).{hint_en}",
    ),
    "function": Text(
        "La fonction « {name} » n'existe pas ; il y a {functions}.",
        "There is no function {name!r}; there are {functions}.",
    ),
    "values": Text("{name} prend {wanted} valeur(s), et non {given}.", "{name} takes {wanted} value(s), not {given}."),
    "known": Text(
        "known prend le nom d'une colonne, comme known(power_w).",
        "known takes the name of a column, as in known(power_w).",
    ),
    "no_condition": Text(
        "Ceci est un nombre et non une condition : comparez-le, comme power_w > 0.",
        "This is a number and no condition: compare it, as in power_w > 0.",
    ),
    "no_column": Text(
        "La condition ne lit aucune colonne : elle serait toujours vraie ou toujours fausse.",
        "The condition reads no column: it would always be true, or never.",
    ),
}
"""What is wrong with a condition, by code."""


class BadExpression(BadSetting):
    """A condition cannot be read: `code` of SAID with its parameters, at `position`, counted in characters from 0."""

    def __init__(self, code: str, position: int, **parameters: object) -> None:
        self.code, self.position, self.parameters = code, position, parameters
        super().__init__(f"{self.said.en} (character {position + 1})")

    @property
    def said(self) -> Text:
        """The reason in the hub's languages, without the position."""
        return Text(*(text.format(**self.parameters) for text in SAID[self.code]))
