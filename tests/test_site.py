"""The built site in a browser: nothing from outside, no error, no page wider than a phone. Skipped
where it is not built.
"""

import functools
import http.server
import shutil
import threading
from pathlib import Path

import pytest

SITE = Path(__file__).parent.parent / "site"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture
def address():
    """The site, served on this machine."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Nothing."""

    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=SITE)
    ) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.mark.skipif(not (SITE / "index.html").exists(), reason="make docs has not been run")
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium")
def test_pages_in_a_browser(address):
    from playwright.sync_api import TimeoutError, sync_playwright

    pages = [
        path.relative_to(SITE).as_posix()
        for path in sorted(SITE.rglob("*.html"))
        if path.name != "404.html"
    ]
    assert len(pages) > 25
    faults: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        tab = browser.new_context(color_scheme="dark").new_page()
        tab.set_default_timeout(60_000)
        tab.on("pageerror", lambda error: faults.append(f"{tab.url}: {error}"))
        tab.on(
            "console",
            lambda message: message.type == "error" and faults.append(f"{tab.url}: {message.text}"),
        )
        tab.on(
            "request",
            lambda asked: (
                asked.url.startswith((address, "data:", "blob:")) or faults.append(asked.url)
            ),
        )
        for page in pages:
            tab.goto(address + page)
            if page.startswith("gallery/") and page != "gallery/index.html":
                tab.wait_for_selector(".figure svg.main-svg")
            for width in (400, 1400):
                tab.set_viewport_size({"width": width, "height": 900})
                wide = "document.documentElement.scrollWidth"
                try:  # figures are drawn anew a moment after their page has another width
                    tab.wait_for_function(f"{wide} <= {width}", timeout=10_000)
                except TimeoutError:
                    found = tab.evaluate(wide)
                    faults.append(f"{page}: {found} px wide on a screen of {width}")
            if "$" in (
                left := tab.evaluate(
                    "[...document.querySelectorAll('article p')].map(p => p.innerText).join()"
                )
            ):
                faults.append(f"{page}: a formula was left as text: {left[left.index('$') :][:40]}")
        browser.close()
    assert faults == []
