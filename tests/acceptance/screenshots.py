"""Pictures of a running hub's pages, on a desk and on a phone, by night and by day, in French and English.

    python -m tests.acceptance.screenshots http://127.0.0.1:8080 FOLDER --login operator

The password is read from BEFFROI_PAGE_PASSWORD. One line is written per picture, and one per fault that axe-core or
the browser's console reports; the exit code is 1 when there is any.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import BrowserContext, Page, sync_playwright

from hub.runtime import programs
from hub.runtime.chromium import LAUNCH_ARGUMENTS
from hub.settings import Settings

AXE = Path("node_modules/axe-core/axe.min.js")
AXE_RUN = """;axe.run().then(({ violations }) => JSON.stringify(violations.map(
    ({ id, nodes }) => `${id}: ${nodes.slice(0, 4).map(({ target }) => target).join(", ")}`)))"""
DESK, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
LOOKS = (
    ("desk", DESK, "dark", "fr"),
    ("desk", DESK, "light", "en"),
    ("phone", PHONE, "dark", "fr"),
    ("phone", PHONE, "light", "en"),
)
SETTLE_MS = 12_000


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("address")
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--login", default="operator")
    arguments.add_argument("--device", type=int, action="append", default=[], help="device page to show as well")
    given = arguments.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    faults = 0
    with sync_playwright() as playwright:
        program = programs.chromium(Settings()).path
        browser = playwright.chromium.launch(executable_path=program, args=list(LAUNCH_ARGUMENTS))
        for device, size, theme, language in LOOKS:
            context = browser.new_context(
                base_url=given.address, viewport=size, color_scheme=theme, locale=language, device_scale_factor=1
            )
            for fault in _pictures(context, given, f"{device}-{theme}-{language}", language):
                faults += 1
                sys.stdout.write(f"{fault}\n")
            context.close()
        browser.close()
    return 1 if faults else 0


def _pictures(context: BrowserContext, given: argparse.Namespace, look: str, language: str) -> Iterator[str]:
    """Take every picture in one look; what was wrong, in words."""
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto("/login")
    yield from _take(page, given.folder / f"{look}-login.png", said)
    sign_in(page, given.login, os.environ["BEFFROI_PAGE_PASSWORD"])
    choose_language(page, language)
    page.wait_for_timeout(SETTLE_MS)
    yield from _take(page, given.folder / f"{look}-map.png", said)
    if "phone" in look:
        page.evaluate("document.getElementById('map').scrollIntoView()")
        page.wait_for_timeout(500)
        yield from _take(page, given.folder / f"{look}-map-below.png", said)
    for name, path in (
        ("incidents", "/incidents"),
        ("incident", "/incidents/1"),
        ("commission", "/commission"),
        ("quarantine", "/quarantine"),
        ("release", "/quarantine/release"),
        ("health", "/health"),
        ("nothing", "/devices/999999999"),
    ):
        page.goto(path)
        yield from _take(page, given.folder / f"{look}-{name}.png", said, full=name == "incident")
    for device_no in given.device:
        page.goto(f"/devices/{device_no}")
        page.wait_for_timeout(SETTLE_MS / 2)
        yield from _take(page, given.folder / f"{look}-device-{device_no}.png", said, full=True)


def sign_in(page: Page, login: str, password: str) -> None:
    """Fill in the form and wait for the live map."""
    page.goto("/login")
    page.fill("input[name=login]", login)
    page.fill("input[name=password]", password)
    page.click("form button.primary")
    page.wait_for_url("**/")


def choose_language(page: Page, language: str) -> None:
    button = page.locator(f"form[action='/language'] button[value={language}]")
    if button.count():
        button.click()
        page.wait_for_load_state("load")


def _take(page: Page, path: Path, said: list[str], *, full: bool = False) -> Iterator[str]:
    page.screenshot(path=path, full_page=full)
    sys.stdout.write(f"{path}\n")
    yield from (f"  {path.stem}: console: {text}" for text in said if "404" not in text)
    said.clear()
    yield from (f"  {path.stem}: axe: {fault}" for fault in axe_faults(page))


def axe_faults(page: Page) -> list[str]:
    """What axe-core finds wrong; run by the browser's debugger, since the page's policy lets no script in."""
    session = page.context.new_cdp_session(page)
    expression = AXE.read_text(encoding="utf-8") + AXE_RUN
    answer = session.send("Runtime.evaluate", {"expression": expression, "awaitPromise": True, "returnByValue": True})
    session.detach()
    return list(json.loads(answer["result"]["value"]))


if __name__ == "__main__":
    sys.exit(main())
