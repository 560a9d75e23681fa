"""A real Chromium with the page in it, which complains of whatever a person would never see."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from attrs import define, field

try:
    from playwright.sync_api import Browser, Page, sync_playwright
except ModuleNotFoundError:  # pragma: no cover - it is one of the extra `dev`
    pytest.skip("playwright is not installed: the page is not tested", allow_module_level=True)

#: Features of the window around the page, which nobody sees: each new window would load two pages
#: for its address bar, at more CPU than ours. The first are off in playwright's own list, which
#: this one replaces.
_WITHOUT = (
    "DestroyProfileOnBrowserClose",
    "HttpsUpgrades",
    "LensOverlay",
    "MediaRouter",
    "NetworkTimeServiceQuerying",
    "OptimizationHints",
    "PaintHolding",
    "WebUIOmniboxAimPopup",
    "WebUIOmniboxFullPopup",
    "WebUIOmniboxPopup",
)
#: Without the network of the browser's own.
_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    f"--disable-features={','.join(_WITHOUT)}",
]
#: What the console says of a server that is away, or of an answer that the test asks for.
_EXPECTED = ("Failed to load resource", "net::ERR_")


def chromium() -> str:
    """The path of Debian's browser; skips the test where it is missing."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("no Chromium here: the page is not tested (apt-get install chromium)")
    return path


@contextmanager
def browsing() -> Iterator[Browser]:
    path = chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=_ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


@define(eq=False)
class Visit:
    """A page of the server's, in a browser of its own; its troubles are kept."""

    page: Page
    url: str
    #: Errors of the console and of scripts, and requests to other hosts.
    troubles: list[str] = field(factory=list)

    def open(self, view: str = "add") -> None:
        self.page.goto(f"{self.url}/#{view}")
        self.page.wait_for_selector("body[data-ready]")

    def show(self, view: str) -> None:
        self.page.click(f'nav [data-view="{view}"]')
        self.page.wait_for_selector(f"#view-{view}:not([hidden])")

    def add(self, *paths: Path) -> None:
        """As a person who chooses a folder, or files."""
        folder = len(paths) == 1 and paths[0].is_dir()
        chosen: Any = str(paths[0]) if folder else [str(path) for path in paths]
        self.page.set_input_files("#pick-folder" if folder else "#pick-files", chosen)

    def press(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).first.click()

    def wait_for_phase(self, phase: str, timeout_s: float = 60) -> None:
        """Until the first of what is added has come so far."""
        self.page.wait_for_selector(f'.item[data-phase="{phase}"]', timeout=timeout_s * 1000)

    def text(self, selector: str) -> str:
        return self.page.inner_text(selector)


@contextmanager
def visiting(browser: Browser, url: str, *, expects_errors: bool = False, **options: Any):
    """Opens a page; at the end nothing may be in the console that is not expected."""
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
    context.set_default_timeout(30_000)
    page = context.new_page()
    visit = Visit(page, url)
    host = urlsplit(url).netloc

    def of_console(message: Any) -> None:
        expected = expects_errors and any(text in message.text for text in _EXPECTED)
        if message.type in {"error", "warning"} and not expected:
            where = message.location.get("url")
            visit.troubles.append(f"{message.type}: {message.text} ({where})")

    def of_request(request: Any) -> None:
        asked = urlsplit(request.url)
        if asked.scheme in {"http", "https", "ws", "wss"} and asked.netloc != host:
            visit.troubles.append(f"a request to {request.url}")

    page.on("console", of_console)
    page.on("pageerror", lambda error: visit.troubles.append(f"script: {error}"))
    page.on("request", of_request)
    try:
        yield visit
        assert not visit.troubles, visit.troubles
    finally:
        context.close()
