"""What the docs name exists: files, commands, options, settings, targets; what they show works."""

import json
import re
import subprocess
import sys
import textwrap
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup

from hub.cli import app
from hub.commands_page import PAGE, commands_page, lacking_examples
from hub.settings import Keep, Settings, Source

ROOT = Path(__file__).parents[2]
DOCS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
OPERATING = ROOT / "docs/operating.md"
PAGES = pytest.mark.parametrize("page", DOCS, ids=lambda page: page.name)

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"(?:^ {4,}\S.*\n)+", re.MULTILINE)
SPAN = re.compile(r"`([^`\n]+(?:\n[^`\n]+)?)`")
COMMAND = re.compile(r"\bbeffroi ([a-z][^`\n#|;&]*)")
TARGET = re.compile(r"^\s*(?:[A-Z_]+=\S+ )*make ([a-z]+)", re.MULTILINE)
HOSTS = re.compile(r"\b(?:https?|mqtts?|wss?)://(?:[^\s/@`\"']+@)?([\w.-]+)")
KNOWN_HOSTS = re.compile(r"127\.0\.0\.1|host|grafana|.*\.example|mqtt\.hsl\.fi|keepachangelog\.com|semver\.org|\.\.\.")
"""Addresses that a page may name: examples, what it speaks of, and the forms that it follows."""
OUR_FOLDERS = {path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")}


def code(page: Path) -> list[str]:
    """Everything that a page shows as code: blocks and words."""
    text = page.read_text(encoding="utf-8")
    fenced = [body for _, body in FENCE.findall(text)]
    rest = FENCE.sub("", text)
    return [*fenced, *INDENTED.findall(rest), *(" ".join(span.split()) for span in SPAN.findall(rest))]


def prose(page: Path) -> str:
    """What is left of a page without its code."""
    return SPAN.sub("", INDENTED.sub("", FENCE.sub("", page.read_text(encoding="utf-8"))))


def anchors(page: Path) -> set[str]:
    """The places of a page to which a link may lead, as GitHub names them."""
    titles = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def rows(page: Path, column: str) -> dict[str, str]:
    """First and second cell of the table whose head begins with `column`."""
    _, _, table = page.read_text(encoding="utf-8").partition(f"\n| {column} |")
    cells = [line.split("|") for line in table.split("\n\n")[0].splitlines()[2:]]
    return {row[1].strip(" `"): row[2].strip(" `") for row in cells}


@PAGES
def test_links_lead_somewhere(page):
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        assert path.is_relative_to(ROOT) and path.exists(), f"{page.name}: {target} leads nowhere"
        assert not anchor or anchor in anchors(path), f"{page.name}: {target} has no such title"


@PAGES
def test_files_that_are_named_exist(page):
    for span in code(page):
        for word in re.findall(r"(?<![\w./{-])([\w.-]+/[\w./*-]*)(?![\w{])", span):
            is_ours = word.split("/")[0] in OUR_FOLDERS and " " not in span.strip()
            if is_ours:
                assert list(ROOT.glob(word.rstrip("/."))), f"{page.name}: there is no {word}"


def commands(group: TyperGroup, before: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], set[str]]]:
    """Every command of the program with its options."""
    for name, found in group.commands.items():
        if isinstance(found, TyperGroup):
            yield from commands(found, (*before, name))
        else:
            options = {option for parameter in found.params for option in (*parameter.opts, *parameter.secondary_opts)}
            yield (*before, name), {"--help", *options}


KNOWN = dict(commands(typer.main.get_command(app)))  # type: ignore[arg-type]  # an app of several commands is a group


@PAGES
def test_commands_and_their_options_exist(page):
    for span in code(page):
        for line in COMMAND.findall(span):
            words = line.split()
            name = next((tuple(words[:n]) for n in (2, 1) if tuple(words[:n]) in KNOWN), None)
            assert name, f"{page.name}: there is no command beffroi {line}"
            for option in re.findall(r"(?<!\S)--[a-z-]+", line):
                assert option in KNOWN[name], f"{page.name}: beffroi {' '.join(name)} has no {option}"


def test_every_command_is_documented():
    assert set(rows(OPERATING, "command")) == {f"beffroi {' '.join(name)}" for name in KNOWN}


def test_the_page_of_commands_is_as_the_commands_are():
    page = (ROOT / PAGE).read_text(encoding="utf-8")
    assert page == commands_page(app), "write it again with: python -m hub.commands_page"
    assert set(re.findall(r"^## beffroi (.+)$", page, re.MULTILINE)) == {" ".join(name) for name in KNOWN}


def test_every_command_shows_an_example_and_explains_what_it_takes():
    assert not lacking_examples(app), "give it one in hub/cli.py: epilog='Example: beffroi ...'"
    unexplained = re.findall(r"^\| (`.+`) \|  \|", (ROOT / PAGE).read_text(encoding="utf-8"), re.MULTILINE)
    assert not unexplained, "help is missing"


@PAGES
def test_make_has_the_targets_that_are_named(page):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    named = {target for span in code(page) for target in TARGET.findall(span)}
    assert named <= targets


@PAGES
def test_settings_that_are_named_exist(page):
    known = {f"BEFFROI_{name.upper()}" for name in Settings.model_fields}
    named = set(re.findall(r"\bBEFFROI_[A-Z_]+\b", page.read_text(encoding="utf-8")))
    assert named <= known, f"{page.name}: no setting {named - known}"


def shown(default: object) -> str:
    """A default as the table shows it: empty for none, or where a section of its own shows it."""
    if default in (None, ()) or repr(default) == "PydanticUndefined" or isinstance(default, Keep):
        return ""
    return json.dumps(default) if isinstance(default, bool) else str(default)


def test_every_setting_is_documented_with_its_default():
    wanted = {f"BEFFROI_{name.upper()}": shown(field.default) for name, field in Settings.model_fields.items()}
    assert rows(OPERATING, "setting") == wanted


def test_how_long_history_is_kept_is_documented():
    (block,) = re.findall(r"^    \[keep\]\n(?:    .+\n)+", OPERATING.read_text(encoding="utf-8"), re.MULTILINE)
    assert tomllib.loads(textwrap.dedent(block))["keep"] == Keep().model_dump()


def test_every_key_of_a_source_is_documented_with_its_default():
    assert rows(OPERATING, "key") == {name: shown(field.default) for name, field in Source.model_fields.items()}


@PAGES
def test_nothing_of_one_machine_is_named(page):
    text = page.read_text(encoding="utf-8")
    assert not re.search(r"(?<![\w.}~])/(?:work|root|home|tmp|opt)/", text), "an absolute path of somebody's machine"
    assert "../.." not in text
    strangers = {host for host in HOSTS.findall(text) if not KNOWN_HOSTS.fullmatch(host)}
    assert not strangers, f"addresses that the test does not know: {strangers}"


@PAGES
def test_words_are_plain(page):
    text = prose(page)
    assert "\N{EM DASH}" not in text and "!" not in text.replace("![", "[")


def python_blocks(page: Path) -> list[str]:
    return [body for language, body in FENCE.findall(page.read_text(encoding="utf-8")) if language == "python"]


@pytest.mark.parametrize("page", DOCS, ids=lambda page: page.name)
def test_quoted_code_stands_in_its_file(page):
    """A block that begins with the name of a file is a quotation."""
    for block in python_blocks(page):
        first, _, quoted = block.partition("\n")
        if first.startswith("# ") and first.endswith(".py"):
            source = (ROOT / first.removeprefix("# ")).read_text(encoding="utf-8")
            assert quoted.strip() in source, f"{page.name} quotes {first[2:]} wrongly"
        else:
            compile(block, page.name, "exec")


LAWS_WITH_ANOTHER_FOLDER = """
import sys, pytest, devices
devices.__path__.append(sys.argv[1])
sys.exit(pytest.main(["tests/contract/test_kinds.py", "-q", "-p", "no:cacheprovider", "-k", "waste_container"]))
"""


def test_the_kind_that_the_docs_add_obeys_every_law_of_kinds(tmp_path):
    """The file of docs/adding-a-kind.md, beside the built-in ones: found, decoded, its rules fire and are silent."""
    (declared,) = (block for block in python_blocks(ROOT / "docs/adding-a-kind.md") if "KIND = Kind(" in block)
    (tmp_path / "waste_container.py").write_text(declared, encoding="utf-8")
    run = [sys.executable, "-c", LAWS_WITH_ANOTHER_FOLDER, str(tmp_path)]
    laws = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=False)
    assert laws.returncode == 0, laws.stdout + laws.stderr
    passed = re.search(r"(\d+) passed", laws.stdout)
    assert passed and int(passed[1]) >= 3 * 4, "the laws were not tried on it"


def test_the_kind_that_the_docs_add_passes_the_linter():
    (declared,) = (block for block in python_blocks(ROOT / "docs/adding-a-kind.md") if "KIND = Kind(" in block)
    name = "--stdin-filename=devices/waste_container.py"
    for command in (("check",), ("format", "--check")):
        run = [sys.executable, "-m", "ruff", *command, name, "-"]
        result = subprocess.run(run, input=declared, cwd=ROOT, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stdout + result.stderr


def test_every_test_that_reliability_names_exists():
    page = (ROOT / "docs/reliability.md").read_text(encoding="utf-8")
    for line in page.splitlines():
        file = Path()
        for path, test in re.findall(r"`([\w/]+\.py)?::(\w+)`", line):
            file = ROOT / "tests" / path if path else file
            assert re.search(rf"^(async )?def {test}\(", file.read_text(encoding="utf-8"), re.MULTILINE), (file, test)
    assert page.count("::") > 50
