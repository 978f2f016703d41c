"""The command line: `beffroi COMMAND`. What a command does is in hub/commands, loaded when it is called."""

import importlib
import os
import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from pydantic_settings import SettingsError

from hub import journal
from hub.clock import FASTEST
from hub.errors import BadSetting, BeffroiError
from hub.settings import Settings

MOMENTS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"]

app = typer.Typer(no_args_is_help=True, add_completion=False, help="The command centre of a city.")
devices_app = typer.Typer(no_args_is_help=True, help="The registry of devices.")
accounts_app = typer.Typer(no_args_is_help=True, help="Accounts on the broker.")
grafana_app = typer.Typer(no_args_is_help=True, help="Dashboards of Grafana, made of the declarations.")
contracts_app = typer.Typer(no_args_is_help=True, help="Contracts of delegated providers.")
keys_app = typer.Typer(no_args_is_help=True, help="API keys of contracts.")
rules_app = typer.Typer(no_args_is_help=True, help="The rules that watch over devices.")
fences_app = typer.Typer(no_args_is_help=True, help="Geofences that rules read.")
quarantine_app = typer.Typer(no_args_is_help=True, help="What could not be stored.")
log_app = typer.Typer(no_args_is_help=True, help="The log of raw messages.")
people_app = typer.Typer(no_args_is_help=True, help="People who use the page.")
teams_app = typer.Typer(no_args_is_help=True, help="Teams of agents, and what each answers for.")
app.add_typer(devices_app, name="devices")
app.add_typer(accounts_app, name="accounts")
app.add_typer(grafana_app, name="grafana")
app.add_typer(contracts_app, name="contracts")
app.add_typer(keys_app, name="keys")
app.add_typer(rules_app, name="rules")
app.add_typer(fences_app, name="fences")
app.add_typer(quarantine_app, name="quarantine")
app.add_typer(log_app, name="log")
app.add_typer(people_app, name="people")
app.add_typer(teams_app, name="teams")

RuleKind = Annotated[str, typer.Argument(help="The kind of device.")]
RuleCode = Annotated[str, typer.Argument(help="The rule's code, as in beffroi rules list.")]
ThresholdName = Annotated[str, typer.Argument(help="The threshold's name.")]
InCommune = Annotated[str | None, typer.Option("--commune", help="In one commune.")]
InGroup = Annotated[str | None, typer.Option("--group", help="On a device and all that hangs from it: commune/id.")]
OfModel = Annotated[str | None, typer.Option("--model", help="On the devices of a model.")]
OnDevice = Annotated[str | None, typer.Option("--device", help="On a single device: commune/id.")]


def main() -> None:
    """Run a command; an error of ours is one sentence and an exit code."""
    try:
        app()
    except BeffroiError as error:
        sys.stderr.write(f"beffroi: {error}\n")
        sys.exit(error.exit_code)


def command(name: str) -> Any:
    """The module of a command."""
    return importlib.import_module(f"hub.commands.{name}")


def read_settings() -> Settings:
    """The settings of this run; BadSetting names the first that is wrong."""
    known = {f"BEFFROI_{name.upper()}" for name in Settings.model_fields}
    for name in os.environ:
        if name.startswith("BEFFROI_") and not name.startswith("BEFFROI_TEST_") and name not in known:
            raise BadSetting(f"{name} is no setting; docs/operating.md lists them")
    try:
        settings = Settings()
    except ValidationError as error:
        raise BadSetting(_first_fault(error)) from error
    except SettingsError as error:
        name = str(error).split('"')[1].upper()
        raise BadSetting(f"BEFFROI_{name} is not JSON: {error.__cause__}") from error
    except ValueError as error:
        raise BadSetting(f"beffroi.toml cannot be read: {error}") from error
    journal.configure(settings.log_format)
    return settings


def _first_fault(error: ValidationError) -> str:
    first = error.errors()[0]
    path = [str(part) for part in first["loc"]]
    name = f"BEFFROI_{'.'.join(path).upper()}" if path[:1] and path[0] in Settings.model_fields else ".".join(path)
    if first["type"] == "extra_forbidden":
        return f"{name} in beffroi.toml is no setting; docs/operating.md lists them"
    told = "" if first["type"] == "missing" else f" {str(first['input'])[:80]!r}"
    return f"{name}{told} is wrong: {first['msg'].removeprefix('Value error, ')}"


# The hub and its processes


@app.command(epilog="Example: beffroi up --speed 60")
def up(
    simulate: Annotated[bool, typer.Option(help="Run the simulated city too.")] = True,
    speed: Annotated[float, typer.Option(help="Hub time per real time.", min=1, max=FASTEST)] = 1.0,
    scenario: Annotated[
        str | None, typer.Option(help="What the simulated city goes through; see beffroi simulate --list.")
    ] = None,
    start: Annotated[
        str | None, typer.Option(help="Where hub time starts, such as 2027-03-27T20:00; later than now, local time.")
    ] = None,
) -> None:
    """Set everything up and run the whole hub until Ctrl-C."""
    up = importlib.import_module("hub.up").up
    up(read_settings(), simulate=simulate, speed=speed, scenario=scenario, start=start)


@app.command(epilog="Example: beffroi migrate")
def migrate() -> None:
    """Bring the database to the present schema and make the operator's account."""
    command("migrate").run(read_settings())


@app.command(epilog="Example: beffroi intake")
def intake() -> None:
    """Receive messages from the sources into the log."""
    command("intake").run(read_settings())


@app.command(epilog="Example: beffroi worker")
def worker() -> None:
    """Evaluate the rules and store the readings."""
    command("worker").run(read_settings())


@app.command(epilog="Example: beffroi telealert")
def telealert() -> None:
    """Turn transitions into incidents and notifications."""
    command("telealert").run(read_settings())


@app.command(epilog="Example: beffroi serve")
def serve() -> None:
    """Serve the page."""
    command("serve").run(read_settings())


# Tools


@app.command(epilog="Example: beffroi simulate --fault feeder_trip@90s+40min --truth truth.jsonl")
def simulate(
    scenario: Annotated[
        str | None, typer.Option(help="What the city goes through: a name of --list, or a file.")
    ] = None,
    list_: Annotated[bool, typer.Option("--list", help="Print the scenarios and the faults, and end.")] = False,
    seed: Annotated[
        int | None, typer.Option(help="The same seed and start give the same messages. In place of the scenario's.")
    ] = None,
    scale: Annotated[float, typer.Option(help="Share of the city's devices, over 0 to 1.")] = 1.0,
    fault: Annotated[
        list[str] | None, typer.Option(help="NAME[:COUNT, share or device][@START[+DURATION]]; may be repeated.")
    ] = None,
    truth: Annotated[Path | None, typer.Option(help="File that gets the start, end and cause of every fault.")] = None,
    recording: Annotated[list[Path] | None, typer.Option(help="A recording to loop beside the city.")] = None,
    register: Annotated[bool, typer.Option(help="Put the city's devices into the registry first.")] = False,
    speed: Annotated[float | None, typer.Option(help="Refuse to run unless the hub's time is this fast.")] = None,
    ask_clock: Annotated[bool, typer.Option(help="Follow the clock of the hub that runs.")] = True,
) -> None:
    """Publish what a city of 67,000 devices publishes, with the faults asked for."""
    module = command("simulate")
    if list_:
        typer.echo(module.listed())
        return
    show = module.Show(scenario, seed, scale, fault or (), truth, recording or (), register, speed, ask_clock)
    module.run(read_settings(), show)


@app.command(epilog="Example: beffroi record evening.jsonl.gz --topic 'city/+/street_lighting/#' --for 2h")
def record(
    file: Annotated[Path, typer.Argument(help="The file to write; compressed when its name ends with .gz.")],
    topic: Annotated[
        list[str] | None, typer.Option(help="Topic filter; may be repeated. What the hub listens to when absent.")
    ] = None,
    duration: Annotated[
        str | None, typer.Option("--for", metavar="DURATION", help="End by itself after 20s, 5min, 1.5h or 2d.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """Write what passes on the broker, for `beffroi replay`. Exit code 1 when the record has a gap."""
    raise typer.Exit(command("record").run(read_settings(), file, topics=topic or (), duration=duration, force=force))


@app.command(epilog="Example: beffroi replay evening.jsonl.gz --speed 60")
def replay(
    file: Annotated[
        Path, typer.Argument(help="A record (plain or .gz), another recording, or readings exported as Parquet.")
    ],
    speed: Annotated[float, typer.Option(help="How many times as fast as it was recorded, at most 1000.")] = 1.0,
    keep_time: Annotated[bool, typer.Option(help="Do not shift event times to now.")] = False,
    page: Annotated[bool, typer.Option(help="Let what is replayed call people.")] = False,
) -> None:
    """Play a recording: it updates states and history, and calls nobody unless asked to.

    Exit code 1 when not all of it was played; every line that was left out is named.
    """
    code = command("replay").run(read_settings(), file, speed=speed, keep_time=keep_time, page=page)
    raise typer.Exit(code)


@app.command(epilog="Example: beffroi score storm_night --seed 101 --seed 102 --strict")
def score(
    scenario: Annotated[str, typer.Argument(help="A name of beffroi simulate --list, or a file.")],
    seed: Annotated[
        list[int] | None, typer.Option(help="In place of the scenario's; may be repeated, and counts together.")
    ] = None,
    scale: Annotated[float, typer.Option(help="Share of the city's devices, over 0 to 1.")] = 0.2,
    each: Annotated[
        int, typer.Option(help="At least so many devices have each fault that is ordered by a count.", min=1)
    ] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for programs.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit code 1 when a target is missed.")] = False,
) -> None:
    """How well the rules detect: play a scenario through them at full speed and compare with what was injected.

    Needs no hub, broker or database. docs/detection.md tells how it is measured, and the targets.
    """
    found = command("score").run(read_settings(), scenario, seeds=seed or (), scale=scale, each=each, as_json=as_json)
    if strict and (misses := found.misses()):
        sys.stderr.write("".join(f"beffroi: {scenario}: {missed}\n" for missed in misses))
        raise typer.Exit(1)


@devices_app.command("import", epilog="Example: beffroi devices import lamps.csv")
def import_devices(file: Annotated[Path, typer.Argument(help="YAML or CSV, told by its ending.")]) -> None:
    """Add or change devices from a file. Good rows go in; bad ones are named, and the exit code is 1."""
    raise typer.Exit(min(command("devices").import_file(read_settings(), file), 1))


@devices_app.command(
    "export", epilog="Example: beffroi devices export lamps.csv --kind street_lighting --commune dijon"
)
def export_devices(
    file: Annotated[Path, typer.Argument(help="YAML or CSV, told by its ending; - writes CSV to the terminal.")] = Path(
        "-"
    ),
    kind: Annotated[str | None, typer.Option(help="One kind alone.")] = None,
    commune: Annotated[str | None, typer.Option(help="One commune alone.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """Write the declared devices to a file that `beffroi devices import` reads back."""
    command("devices").export_file(read_settings(), file, kind=kind, commune=commune, force=force)


@devices_app.command("forget", epilog="Example: beffroi devices forget 'invented-*' --kind water_meter --dry-run")
def forget_devices(
    pattern: Annotated[str, typer.Argument(help="The device's id; * stands for anything.")],
    kind: Annotated[str | None, typer.Option(help="One kind alone.")] = None,
    commune: Annotated[str | None, typer.Option(help="One commune alone.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say how many there are, and change nothing.")] = False,
) -> None:
    """Forget devices that speak and that nobody declared, such as names that somebody invented.

    The worker does it. Declared devices stay, and those that an incident, a look at a position or another device
    names. What was stored of the forgotten stays in the tables as long as readings are kept, and is shown nowhere; one
    that speaks again is met anew.
    """
    command("forget").run(read_settings(), pattern, kind=kind, commune=commune, dry_run=dry_run)


@rules_app.command("list", epilog="Example: beffroi rules list --kind water_meter")
def list_rules(
    kind: Annotated[str | None, typer.Option(help="One kind alone.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One rule per line, for programs.")] = False,
) -> None:
    """Every rule: what it watches, how urgent it is, its hold and thresholds, and where they come from.

    Also those of the city's own, and the thresholds that it has tuned.
    """
    command("rules").list_rules(read_settings(), kind, as_json=as_json)


@rules_app.command("add", epilog="Example: beffroi rules add hot-drivers.yaml")
def add_rules(file: Annotated[Path, typer.Argument(help="YAML: a rule, or a list of rules.")]) -> None:
    """Add rules of the city's own, or replace those of the same code; all of the file or none."""
    command("policy").add(read_settings(), file)


@rules_app.command("remove", epilog="Example: beffroi rules remove street_lighting hot_driver")
def remove_rule(kind: RuleKind, code: RuleCode) -> None:
    """Remove a rule of the city's own. What it has on is over, and its incidents keep their words."""
    command("policy").remove(read_settings(), kind, code)


@rules_app.command("set", epilog="Example: beffroi rules set street_lighting lamp_out min_ratio 0.1 --commune dijon")
def set_threshold(
    kind: RuleKind,
    code: RuleCode,
    threshold: ThresholdName,
    value: Annotated[float, typer.Argument(help="Its value there.")],
    commune: InCommune = None,
    group: InGroup = None,
    model: OfModel = None,
    device: OnDevice = None,
) -> None:
    """Set a rule's threshold for a part of the city, for all of it without an option; the narrower counts.

    hold_s, calm_s, priority and enabled (1 or 0) are thresholds of every rule.
    """
    module, override = command("policy"), importlib.import_module("devices.policy").Override
    scope, place = module.scope_of(commune=commune, group=group, model=model, device=device)
    module.set_threshold(read_settings(), override(kind, code, threshold, value, scope, place))


@rules_app.command("unset", epilog="Example: beffroi rules unset street_lighting lamp_out min_ratio --commune dijon")
def unset_threshold(
    kind: RuleKind,
    code: RuleCode,
    threshold: ThresholdName,
    commune: InCommune = None,
    group: InGroup = None,
    model: OfModel = None,
    device: OnDevice = None,
) -> None:
    """Let a rule's threshold be again what it is around that part of the city."""
    module = command("policy")
    scope, place = module.scope_of(commune=commune, group=group, model=model, device=device)
    module.unset_threshold(read_settings(), kind, code, threshold, scope, place)


@rules_app.command("history", epilog="Example: beffroi rules history --limit 10")
def rules_history(
    limit: Annotated[int, typer.Option(help="How many, the last first.", min=1, max=100_000)] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="One version per line, for programs.")] = False,
) -> None:
    """What was changed in the rules, by whom and when."""
    command("policy").history(read_settings(), limit, as_json=as_json)


@rules_app.command("undo", epilog="Example: beffroi rules undo 12")
def undo_rules(version: Annotated[int, typer.Argument(help="Its number in beffroi rules history.", min=1)]) -> None:
    """Put back what a version changed, as a new version; not when the same was changed again since."""
    command("policy").undo(read_settings(), version)


@rules_app.command(
    "backtest", epilog="Example: beffroi rules backtest lamp_out --from 2026-11-15 --to 2026-11-25 --set hold_s=1800"
)
def backtest_rule(
    since: Annotated[datetime, typer.Option("--from", help="The city's time.", formats=MOMENTS)],
    until: Annotated[datetime, typer.Option("--to", help="Up to before; the city's time.", formats=MOMENTS)],
    rule: Annotated[str | None, typer.Argument(help="The rule's code.")] = None,
    file: Annotated[
        Path | None, typer.Option(help="A new rule, or another form of one, as rules add reads it.")
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Another threshold, hold_s, calm_s or priority; repeatable."),
    ] = None,
    kind: Annotated[str | None, typer.Option(help="Where two kinds have a rule of that code.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The whole result, for programs.")] = False,
) -> None:
    """Run a rule over recorded history and show what it would have fired; with changes, beside the one in force."""
    command("backtest").run(
        read_settings(), rule, since, until, kind=kind, file=file, changes=changes or (), as_json=as_json
    )


@rules_app.command("test", epilog="Example: beffroi rules test docs/examples/lighting-rules.yaml")
def test_rules(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="YAML: devices, readings, what is expected.")],
    kind: Annotated[str | None, typer.Option(help="The tests of one kind alone.")] = None,
) -> None:
    """Play tables of readings on the rules, and compare what fires and clears. The exit code is 1 when a test fails."""
    if exit_code := command("rules_test").run(files, kind):
        raise typer.Exit(exit_code)


@rules_app.command("why", epilog="Example: beffroi rules why street_lighting L00123 lamp_out --commune dijon")
def why_rule(
    kind: Annotated[str, typer.Argument(help="The kind of device.")],
    device: Annotated[str, typer.Argument(metavar="ID", help="The device's id.")],
    rule: Annotated[str | None, typer.Argument(help="The rule's code; every rule of the device when absent.")] = None,
    commune: Annotated[str | None, typer.Option(help="Where two communes have a device of that id.")] = None,
) -> None:
    """Ask the worker why a rule fires on a device, or does not: what it sees now, thresholds, and how long it waits."""
    command("why").run(read_settings(), kind, device, rule, commune=commune)


@accounts_app.command("add", epilog="Example: beffroi accounts add cabinet-17 city/dijon/street_lighting/A-DIJ-017")
def add_account(
    name: Annotated[str, typer.Argument(help="The account's name.")],
    prefixes: Annotated[
        list[str], typer.Argument(help="Topics it may publish under, such as city/dijon/street_lighting.")
    ],
) -> None:
    """Make an account on the embedded broker, or replace it. Prints its password, once."""
    settings = read_settings()
    if settings.mqtt_url:
        raise BadSetting("BEFFROI_MQTT_URL names a broker of your own: make its accounts there")
    typer.echo(importlib.import_module("hub.runtime.mosquitto").add_account(settings, name, prefixes))


@accounts_app.command("write", epilog="Example: beffroi accounts write")
def write_accounts() -> None:
    """Write what a Mosquitto in a container of its own reads: configuration, passwords and access list."""
    typer.echo(command("accounts").write(read_settings()))


@grafana_app.command("push", epilog="Example: beffroi grafana push --dry-run")
def push_dashboards(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would change, and change nothing.")] = False,
    contracts: Annotated[
        bool, typer.Option("--contracts", help="An organisation for each contract, in place of the city's dashboards.")
    ] = False,
    delete_ended: Annotated[
        bool,
        typer.Option("--delete-ended", help="With --contracts: delete the organisations of contracts that ended."),
    ] = False,
) -> None:
    """Make the Grafana of BEFFROI_GRAFANA_URL hold the dashboards; what is as declared is not touched."""
    if contracts:
        command("grafana_contracts").push(read_settings(), dry_run=dry_run, delete_ended=delete_ended)
    elif delete_ended:
        raise BadSetting("--delete-ended goes with --contracts")
    else:
        command("grafana").push(read_settings(), dry_run=dry_run)


@grafana_app.command("export", epilog="Example: beffroi grafana export dashboards")
def export_dashboards(folder: Annotated[Path, typer.Argument(help="Folder that Grafana provisions from.")]) -> None:
    """Write the dashboards as files."""
    command("grafana").export(read_settings(), folder)


@grafana_app.command("role", epilog="Example: beffroi grafana role")
def prepare_grafana_role(
    password: Annotated[
        str | None,
        typer.Option(envvar="GRAFANA_DATABASE_PASSWORD", show_envvar=True, help="Generated and printed when absent."),
    ] = None,
) -> None:
    """Let Grafana read the database: its role's password, and views of every kind as declared now."""
    command("grafana").prepare_role(read_settings(), password)


@contracts_app.command("import", epilog="Example: beffroi contracts import contracts.yaml")
def import_contracts(file: Annotated[Path, typer.Argument(help="YAML.")]) -> None:
    """Add or change contracts from a file, all or none."""
    command("contracts").import_file(read_settings(), file)


@contracts_app.command("list", epilog="Example: beffroi contracts list")
def list_contracts() -> None:
    """Every contract, with what it covers."""
    command("contracts").list_contracts(read_settings())


@contracts_app.command("accesses", epilog="Example: beffroi contracts accesses water-2026 --limit 10")
def list_accesses(
    contract: Annotated[str | None, typer.Argument(help="A contract's name; all when absent.")] = None,
    limit: Annotated[int, typer.Option(help="How many, the last first.", min=1, max=100_000)] = 50,
) -> None:
    """What contracts asked of the API, the refused questions too."""
    command("contracts").list_accesses(read_settings(), contract, limit)


@keys_app.command(
    "add", epilog='Example: beffroi keys add water-2026 "Data team of the water company" --scope read --days 90'
)
def add_key(
    contract: Annotated[str, typer.Argument(help="The contract's name.")],
    holder: Annotated[str, typer.Argument(help="Who is given it.")],
    scope: Annotated[list[str] | None, typer.Option(help="read or export; may be repeated; both when absent.")] = None,
    days: Annotated[int, typer.Option(help="How long it is good.", min=1, max=3660)] = 365,
) -> None:
    """Make an API key of a contract. Prints it, once."""
    typer.echo(command("contracts").add_key(read_settings(), contract, holder, scope or (), days))


@keys_app.command("list", epilog="Example: beffroi keys list")
def list_keys() -> None:
    """Every API key, without its secret."""
    command("contracts").list_keys(read_settings())


@keys_app.command("revoke", epilog="Example: beffroi keys revoke k3x9qm2a")
def revoke_key(prefix: Annotated[str, typer.Argument(help="The eight characters after bfr_.")]) -> None:
    """Make a key useless, at once and for good."""
    command("contracts").revoke_key(read_settings(), prefix)


@people_app.command("add", epilog="Example: beffroi people add amina --role agent --team Signals")
def add_person(
    login: Annotated[str, typer.Argument(help="The name to sign in with.")],
    role: Annotated[str, typer.Option(help="operator sees everything; agent what the team answers for.")],
    team: Annotated[str | None, typer.Option(help="Required for an agent.")] = None,
    language: Annotated[str, typer.Option(help="fr or en.")] = "fr",
    ask: Annotated[bool, typer.Option("--ask", help="Ask for the password instead of making one.")] = False,
) -> None:
    """Let somebody use the page. Prints the password, once."""
    asked = _asked_password() if ask else None
    made = command("people").add_person(read_settings(), login, role, team=team, language=language, password=asked)
    typer.echo(made or f"{login} may sign in")


@people_app.command("list", epilog="Example: beffroi people list")
def list_people() -> None:
    """Everybody who may use the page."""
    command("people").list_people(read_settings())


@people_app.command("remove", epilog="Example: beffroi people remove amina")
def remove_person(login: Annotated[str, typer.Argument(help="Who.")]) -> None:
    """Let somebody use the page no longer, at once. What they did stays in the incidents' stories."""
    command("people").remove_person(read_settings(), login)


@people_app.command("password", epilog="Example: beffroi people password amina")
def set_password(
    login: Annotated[str, typer.Argument(help="Who.")],
    ask: Annotated[bool, typer.Option("--ask", help="Ask for the password instead of making one.")] = False,
) -> None:
    """Give somebody a new password and end their sessions. Prints it, once."""
    made = command("people").set_password(read_settings(), login, _asked_password() if ask else None)
    typer.echo(made or f"{login} has a new password")


def _asked_password() -> str:
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))


@teams_app.command("add", epilog="Example: beffroi teams add Signals --kind traffic_light")
def add_team(
    name: Annotated[str, typer.Argument(help="The team's name.")],
    kind: Annotated[list[str] | None, typer.Option(help="May be repeated; every kind when absent.")] = None,
    commune: Annotated[list[str] | None, typer.Option(help="May be repeated; every commune when absent.")] = None,
) -> None:
    """Make a team, or change what it answers for."""
    typer.echo(f"{name}: {command('people').put_team(read_settings(), name, kind or (), commune or ())}")


@teams_app.command("list", epilog="Example: beffroi teams list")
def list_teams() -> None:
    """Every team, with what it answers for."""
    command("people").list_teams(read_settings())


@teams_app.command("remove", epilog="Example: beffroi teams remove Signals")
def remove_team(name: Annotated[str, typer.Argument(help="The team's name.")]) -> None:
    """Remove a team that nobody is in."""
    command("people").remove_team(read_settings(), name)


@log_app.command("adopt", epilog="Example: beffroi log adopt store")
def adopt_log(reader: Annotated[str, typer.Argument(help="store or telealert.")]) -> None:
    """Make a reader go on in the log that is there; what it had not read and is not in it is lost, and counted."""
    typer.echo(command("log").adopt_log(read_settings(), reader))


@fences_app.command("import", epilog="Example: beffroi fences import fences.geojson")
def import_fences(
    file: Annotated[Path, typer.Argument(help="GeoJSON: polygons, and lines with a width_m, each with a name.")],
) -> None:
    """Put the fences of a file in place of those of the same names, all or none. Rules see them within 5 seconds."""
    command("fences").import_file(read_settings(), file)


@fences_app.command("list", epilog="Example: beffroi fences list")
def list_fences() -> None:
    """Every fence, with what it is for and the rules of the kinds that read it."""
    command("fences").list_fences(read_settings())


@fences_app.command("remove", epilog="Example: beffroi fences remove depot")
def remove_fence(name: Annotated[str, typer.Argument(help="The fence's name.")]) -> None:
    """Remove a fence. To a rule that reads it every device is then outside."""
    command("fences").remove(read_settings(), name)


@fences_app.command("export", epilog="Example: beffroi fences export fences.geojson")
def export_fences(
    file: Annotated[Path, typer.Argument(help="A GeoJSON file, or - for standard output.")],
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
) -> None:
    """Write every fence into a file that can be imported again."""
    command("fences").export_file(read_settings(), file, force=force)


ReasonOption = Annotated[str | None, typer.Option(help="One reason alone.")]
SourceOption = Annotated[str | None, typer.Option(help="One source alone.")]
SinceOption = Annotated[datetime | None, typer.Option(help="Received at or after; the city's time.", formats=MOMENTS)]
NumberOption = Annotated[
    list[int] | None,
    typer.Option("--id", help="A message by its number in the list; may be repeated.", min=1, max=2**63 - 1),
]
UntilOption = Annotated[datetime | None, typer.Option(help="Received before; the city's time.", formats=MOMENTS)]


@quarantine_app.command("list", epilog="Example: beffroi quarantine list --reason out_of_range --limit 5")
def list_quarantine(
    reason: ReasonOption = None,
    source: SourceOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    released: Annotated[bool, typer.Option("--released", help="What was released in the last 30 days.")] = False,
    limit: Annotated[int, typer.Option(help="How many messages, the last first.", min=1, max=100_000)] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="One message per line, for programs.")] = False,
) -> None:
    """What could not be stored, and why."""
    module = command("quarantine")
    choice = module.Choice(reason, source, since, until)
    module.list_quarantine(read_settings(), choice, limit=limit, released=released, as_json=as_json)


@quarantine_app.command("replay", epilog="Example: beffroi quarantine replay --reason out_of_range --dry-run")
def replay_quarantine(
    reason: ReasonOption = None,
    source: SourceOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    number: NumberOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what could be read now, and change nothing.")] = False,
) -> None:
    """Read again what is in quarantine, once its cause is mended. It updates history and states, and calls nobody.

    The worker does it, with the codecs and settings that it was started with. What it still cannot read stays in
    quarantine, and the exit code is then 1.
    """
    module = command("quarantine")
    choice = module.Choice(reason, source, since, until, number or None)
    raise typer.Exit(min(module.replay(read_settings(), choice, dry_run=dry_run), 1))


@quarantine_app.command(
    "discard", epilog="Example: beffroi quarantine discard --reason invalid_json --until 2026-09-01"
)
def discard_quarantine(
    reason: ReasonOption = None,
    source: SourceOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    number: NumberOption = None,
) -> None:
    """Give up what is in quarantine, for good: payloads go, and the accounts say so. Name at least one choice."""
    module = command("quarantine")
    choice = module.Choice(reason, source, since, until, number or None)
    module.discard(read_settings(), choice)


@app.command(epilog="Example: beffroi backup /mnt/backup/2026-11-25")
def backup(
    folder: Annotated[Path, typer.Argument(help="A new folder, best on another disk; it holds every secret.")],
) -> None:
    """Copy a running hub into a folder, verify the copy, and say to which moment it reaches."""
    command("backup").run(read_settings(), folder)


@app.command(epilog="Example: beffroi restore /mnt/backup/2026-11-25 --to 2026-11-25T14:30")
def restore(
    folder: Annotated[Path, typer.Argument(help="What `beffroi backup` made.")],
    to: Annotated[
        datetime | None,
        typer.Option(
            help="The database as it was at this moment, the city's time; needs the archive.", formats=MOMENTS
        ),
    ] = None,
    archive: Annotated[
        Path | None, typer.Option(help="The archive that goes on from the backup; BEFFROI_ARCHIVE when absent.")
    ] = None,
    database_only: Annotated[
        bool, typer.Option("--database-only", help="Keep logs, accounts and the rules' state of the home as they are.")
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Move what the home holds aside, inside the home.")
    ] = False,
    timeline: Annotated[
        int | None,
        typer.Option(help="Of an archive that goes on after an earlier restore; the backup's own when absent."),
    ] = None,
) -> None:
    """Make a home of a backup, with the hub stopped: to its end, to that of the archive, or to a moment of it."""
    module, settings = command("restore"), read_settings()
    module.run(settings, module.Wish(folder, module.as_moment(to, settings), archive, database_only, replace, timeline))


@app.command(epilog="Example: beffroi status")
def status(
    as_json: Annotated[bool, typer.Option("--json", help="Everything, for programs.")] = False,
) -> None:
    """How the hub is doing. The exit code is 1 when something is wrong; the first lines say what."""
    raise typer.Exit(min(command("status").run(read_settings(), as_json=as_json), 1))


@app.command(epilog="Example: beffroi audit")
def audit(
    as_json: Annotated[bool, typer.Option("--json", help="The whole result, for programs.")] = False,
    every: Annotated[
        str | None, typer.Option(metavar="DURATION", help="Go on, gently, every 90s, 15min or 6h, until Ctrl-C.")
    ] = None,
) -> None:
    """Recount the logs and the tables: is every message where it should be? Exit code 1 when something is missing.

    What is missing is named. It may run while the hub works or is stopped; it needs the database and the home.
    """
    if every is None:
        raise typer.Exit(min(command("audit").run(read_settings(), as_json=as_json), 1))
    if as_json:
        raise BadSetting("--json does not go with --every: the results are in the log, on the page and on /metrics")
    command("audit").run_every(read_settings(), every)


if __name__ == "__main__":
    main()
