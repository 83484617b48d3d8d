"""Take docs/screenshots/resource.png anew: the first host's page of a running metaconsole.

`nephoscope user sign-in-link admin | xargs .venv/bin/python docs/screenshots/take.py`, a quarter of an hour after
`nephoscope up` started.
"""
# ruff: noqa: INP001

import sys
from pathlib import Path
from urllib.parse import urljoin

from playwright.sync_api import sync_playwright

TARGET = Path(__file__).with_name("resource.png")
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage")


def take(link: str) -> None:
    """Sign in by the one-time link and write the picture; identities of the machine lie below its edge."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", headless=True, args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 736}, color_scheme="light", locale="en-GB")
        page.goto(link)
        page.goto(urljoin(link, "/resources?kind=host&range=15m"))
        page.locator("#found th[scope=row] a").first.click()
        page.locator('section.graph[data-state="drawn"]').nth(3).wait_for()
        page.locator('#lamp[data-lamp="live"]').wait_for()
        page.screenshot(path=TARGET)
        browser.close()


if __name__ == "__main__":
    take(sys.argv[1])
