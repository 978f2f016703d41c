"""Pictures of a running hub's pages, on a desk and on a phone, by night and by day, in French and English.

    python -m tests.acceptance.screenshots http://127.0.0.1:8080 FOLDER --login operator

The password is read from BEFFROI_PAGE_PASSWORD; with `--agent LOGIN` that person's list is shown too, with the
password of BEFFROI_AGENT_PASSWORD. One line is written per picture, and one per fault: what axe-core or the browser's
console reports, or a page that is wider than its window. The exit code is 1 when there is any.
"""

import argparse
import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import BrowserContext, Page, sync_playwright

from devices.kind import kinds
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
    arguments.add_argument("--agent", help="an agent whose list is shown as well")
    arguments.add_argument("--incident", type=int, default=1, help="incident page to show")
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
            look = f"{device}-{theme}-{language}"
            for fault in (*_pictures(context, given, look, language), *_agent_pictures(context, given, look, language)):
                faults += 1
                sys.stdout.write(f"{fault}\n")
            context.close()
        browser.close()
    return 1 if faults else 0


def _pictures(context: BrowserContext, given: argparse.Namespace, look: str, language: str) -> Iterator[str]:
    """Take every picture in one look; what was wrong, in words."""
    page, said = _page(context)
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
        ("overview", "/overview"),
        *((f"overview-{kind}", f"/overview/{kind}") for kind in kinds()),
        ("incidents", "/incidents"),
        ("incidents-none", "/incidents?priority=1&text=nothing+like+this"),
        ("incidents-closed", "/incidents?show=closed"),
        ("incident", f"/incidents/{given.incident}"),
        ("team", "/team"),
        ("commission", "/commission"),
        ("quarantine", "/quarantine"),
        ("release", "/quarantine/release"),
        ("health", "/health"),
        ("nothing", "/devices/999999999"),
    ):
        page.goto(path)
        yield from _take(
            page, given.folder / f"{look}-{name}.png", said, full=name.startswith(("incident", "overview"))
        )
    for device_no in given.device:
        page.goto(f"/devices/{device_no}")
        page.click("#ask-why")
        page.wait_for_timeout(SETTLE_MS / 2)
        yield from _take(page, given.folder / f"{look}-device-{device_no}.png", said, full=True)


def _agent_pictures(context: BrowserContext, given: argparse.Namespace, look: str, language: str) -> Iterator[str]:
    """What an agent sees: the team's list, the first incident of it, and a page that is refused."""
    if not given.agent:
        return
    context.clear_cookies()
    page, said = _page(context)
    sign_in(page, given.agent, os.environ["BEFFROI_AGENT_PASSWORD"])
    choose_language(page, language)
    yield from _take(page, given.folder / f"{look}-agent-team.png", said)
    if page.locator(".job h2 a").count():
        page.locator(".job h2 a").first.click()
        page.wait_for_url("**/incidents/*")
        for details in page.locator(".moves summary").all():
            details.click()
        yield from _take(page, given.folder / f"{look}-agent-incident.png", said, full=True)
    page.goto("/quarantine")
    yield from _take(page, given.folder / f"{look}-agent-refused.png", said)


def _page(context: BrowserContext) -> tuple[Page, list[str]]:
    """A page, and what its console says from now on."""
    page, said = context.new_page(), list[str]()
    page.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    return page, said


def sign_in(page: Page, login: str, password: str) -> None:
    """Fill in the form and wait for the first page."""
    page.goto("/login")
    page.fill("input[name=login]", login)
    page.fill("input[name=password]", password)
    page.click("form button.primary")
    page.wait_for_url(lambda url: not url.endswith("/login"))


def choose_language(page: Page, language: str) -> None:
    button = page.locator(f"form[action='/language'] button[value={language}]")
    if button.count():
        button.click()
        page.wait_for_load_state("load")


def _take(page: Page, path: Path, said: list[str], *, full: bool = False) -> Iterator[str]:
    page.screenshot(path=path, full_page=full)
    sys.stdout.write(f"{path}\n")
    yield from (f"  {path.stem}: console: {text}" for text in said if not re.search("40[34]", text))
    over_px = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    if over_px > 0:
        yield f"  {path.stem}: {over_px} px wider than its window"
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
