"""`beffroi rules why`: why a rule fires on a device, or does not, asked of the worker that runs."""

import asyncio

from rich.console import Console

from dashboard.asking_why import PATIENCE_S, ask_why
from dashboard.why_words import Told, told
from hub.commands.status import known_home, plain_words
from hub.commands.tables import print_table
from hub.errors import BadSetting, BeffroiError
from hub.secrets import mqtt_url
from hub.settings import Settings
from rules.explain import Question


def run(settings: Settings, kind: str, device_id: str, code: str | None, *, commune: str | None) -> None:
    """Ask and print; BeffroiError when the worker does not answer, BadSetting when it knows no such device or rule."""
    question = Question(kind, id=device_id, commune=commune, code=code)
    answer = asyncio.run(ask_why(mqtt_url(settings, known_home(settings)), question))
    if answer is None:
        raise BeffroiError(f"the worker has not answered for {PATIENCE_S:g} s; is it running? beffroi status says it")
    if answer.fault:
        raise BadSetting(answer.fault)
    shown = told(answer.whys, plain_words(settings.timezone))
    for rule in shown:
        _print(rule, is_whole=rule.is_firing or len(shown) == 1)


def _print(rule: Told, *, is_whole: bool) -> None:
    console = Console(highlight=False, markup=False, soft_wrap=True)
    style = "bold red" if rule.is_firing else None
    console.print(f"P{rule.priority} {rule.code}, {rule.title}: {rule.verdict}", style=style)
    if not is_whole:
        return
    for sentence in rule.more:
        console.print(f"   {sentence}")
    print_table(("   what is seen now", "", ""), [(f"   {label}", value, how) for label, value, how in rule.columns])
    print_table(("   threshold", "", ""), [(f"   {name}", value, origin) for name, value, origin in rule.thresholds])
    if rule.grades:
        grades = [(f"   P{priority}", holds, when) for priority, holds, when in rule.grades]
        print_table(("   other priority", "holds", "when"), grades)
