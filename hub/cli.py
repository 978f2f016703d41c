"""The command line: `beffroi COMMAND`. What a command does is in hub/commands, loaded when it is called."""

import importlib
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from pydantic_settings import SettingsError

from hub import journal
from hub.errors import BadSetting, BeffroiError
from hub.settings import Settings

app = typer.Typer(no_args_is_help=True, add_completion=False, help="The command centre of a city.")
devices_app = typer.Typer(no_args_is_help=True, help="The registry of devices.")
accounts_app = typer.Typer(no_args_is_help=True, help="Accounts on the broker.")
grafana_app = typer.Typer(no_args_is_help=True, help="Dashboards of Grafana, made of the declarations.")
contracts_app = typer.Typer(no_args_is_help=True, help="Contracts of delegated providers.")
keys_app = typer.Typer(no_args_is_help=True, help="API keys of contracts.")
quarantine_app = typer.Typer(no_args_is_help=True, help="What could not be stored.")
log_app = typer.Typer(no_args_is_help=True, help="The log of raw messages.")
app.add_typer(devices_app, name="devices")
app.add_typer(accounts_app, name="accounts")
app.add_typer(grafana_app, name="grafana")
app.add_typer(contracts_app, name="contracts")
app.add_typer(keys_app, name="keys")
app.add_typer(quarantine_app, name="quarantine")
app.add_typer(log_app, name="log")


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


@app.command()
def up(
    simulate: Annotated[bool, typer.Option(help="Run the simulated city too.")] = True,
    speed: Annotated[float, typer.Option(help="Hub time per real time.", min=1, max=60)] = 1.0,
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


@app.command()
def migrate() -> None:
    """Bring the database to the present schema and make the operator's account."""
    command("migrate").run(read_settings())


@app.command()
def intake() -> None:
    """Receive messages from the sources into the log."""
    command("intake").run(read_settings())


@app.command()
def worker() -> None:
    """Evaluate the rules and store the readings."""
    command("worker").run(read_settings())


@app.command()
def telealert() -> None:
    """Turn transitions into incidents and notifications."""
    command("telealert").run(read_settings())


@app.command()
def serve() -> None:
    """Serve the page."""
    command("serve").run(read_settings())


# Tools


@app.command()
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


@app.command()
def replay(
    file: Annotated[Path, typer.Argument(help="A recording.")],
    speed: Annotated[float, typer.Option(help="How many times as fast as it was recorded.")] = 1.0,
    keep_time: Annotated[bool, typer.Option(help="Do not shift event times to now.")] = False,
    page: Annotated[bool, typer.Option(help="Let what is replayed call people.")] = False,
) -> None:
    """Play a recording. It updates states and history, and calls nobody unless asked to."""
    bad = command("replay").run(read_settings(), file, speed=speed, keep_time=keep_time, page=page)
    raise typer.Exit(min(bad, 1))


@devices_app.command("import")
def import_devices(file: Annotated[Path, typer.Argument(help="YAML or CSV, told by its ending.")]) -> None:
    """Add or change devices from a file. Good rows go in; bad ones are named, and the exit code is 1."""
    raise typer.Exit(min(command("devices").import_file(read_settings(), file), 1))


@accounts_app.command("add")
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


@accounts_app.command("write")
def write_accounts() -> None:
    """Write what a Mosquitto in a container of its own reads: configuration, passwords and access list."""
    typer.echo(command("accounts").write(read_settings()))


@grafana_app.command("push")
def push_dashboards(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would change, and change nothing.")] = False,
) -> None:
    """Make the Grafana of BEFFROI_GRAFANA_URL hold the dashboards; what is as declared is not touched."""
    command("grafana").push(read_settings(), dry_run=dry_run)


@grafana_app.command("export")
def export_dashboards(folder: Annotated[Path, typer.Argument(help="Folder that Grafana provisions from.")]) -> None:
    """Write the dashboards as files."""
    command("grafana").export(read_settings(), folder)


@grafana_app.command("role")
def prepare_grafana_role(
    password: Annotated[
        str | None,
        typer.Option(envvar="GRAFANA_DATABASE_PASSWORD", show_envvar=True, help="Generated and printed when absent."),
    ] = None,
) -> None:
    """Let Grafana read the database: its role's password, and views of every kind as declared now."""
    command("grafana").prepare_role(read_settings(), password)


@contracts_app.command("import")
def import_contracts(file: Annotated[Path, typer.Argument(help="YAML.")]) -> None:
    """Add or change contracts from a file, all or none."""
    command("contracts").import_file(read_settings(), file)


@contracts_app.command("list")
def list_contracts() -> None:
    """Every contract, with what it covers."""
    command("contracts").list_contracts(read_settings())


@contracts_app.command("accesses")
def list_accesses(
    contract: Annotated[str | None, typer.Argument(help="A contract's name; all when absent.")] = None,
    limit: Annotated[int, typer.Option(help="How many, the last first.", min=1, max=100_000)] = 50,
) -> None:
    """What contracts asked of the API, the refused questions too."""
    command("contracts").list_accesses(read_settings(), contract, limit)


@keys_app.command("add")
def add_key(
    contract: Annotated[str, typer.Argument(help="The contract's name.")],
    holder: Annotated[str, typer.Argument(help="Who is given it.")],
    scope: Annotated[list[str] | None, typer.Option(help="read or export; may be repeated; both when absent.")] = None,
    days: Annotated[int, typer.Option(help="How long it is good.", min=1, max=3660)] = 365,
) -> None:
    """Make an API key of a contract. Prints it, once."""
    typer.echo(command("contracts").add_key(read_settings(), contract, holder, scope or (), days))


@keys_app.command("list")
def list_keys() -> None:
    """Every API key, without its secret."""
    command("contracts").list_keys(read_settings())


@keys_app.command("revoke")
def revoke_key(prefix: Annotated[str, typer.Argument(help="The eight characters after bfr_.")]) -> None:
    """Make a key useless, at once and for good."""
    command("contracts").revoke_key(read_settings(), prefix)


@log_app.command("adopt")
def adopt_log(reader: Annotated[str, typer.Argument(help="store or telealert.")]) -> None:
    """Make a reader go on in a new log; what it had not read of the old one is lost."""
    typer.echo(command("log").adopt_log(read_settings(), reader))


@quarantine_app.command("list")
def list_quarantine(
    reason: Annotated[str | None, typer.Option(help="One reason alone.")] = None,
    limit: Annotated[int, typer.Option(help="How many messages, the last first.", min=1, max=100_000)] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="One message per line, for programs.")] = False,
) -> None:
    """What could not be stored, and why."""
    command("quarantine").list_quarantine(read_settings(), reason=reason, limit=limit, as_json=as_json)


@app.command()
def status(
    as_json: Annotated[bool, typer.Option("--json", help="Everything, for programs.")] = False,
) -> None:
    """How the hub is doing. The exit code is 1 when something is wrong; the first lines say what."""
    raise typer.Exit(min(command("status").run(read_settings(), as_json=as_json), 1))


if __name__ == "__main__":
    main()
