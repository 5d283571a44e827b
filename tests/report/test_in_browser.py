# SPDX-License-Identifier: MIT
"""The report in a real headless Chromium, loaded from disk."""

import shutil

import pytest

from conftest import FOREIGN
from cowfast.plotting import Document
from cowfast.report import render

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright (extra: test)")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: on Debian, apt install chromium"),
]
# Without these Chromium asks for updates and the like as it starts, which is its business and not the page's.
QUIET = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
QUIET += ["--disable-component-update", "--disable-sync", "--disable-quic"]
COPIES = {"linux-5.10": 300, "linux-5.16": 1200, "sole-owner": 45}


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    rows = [
        {"policy": policy, "seed": seed, "source": "random-mix", "counters": {"copies": copies + seed}}
        for policy, copies in COPIES.items()
        for seed in (1, 2, 3)
    ]
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(render(Document(rows)), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=QUIET, env=FOREIGN)
        yield browser
        browser.close()


@pytest.fixture
def page(browser, report):
    context = browser.new_context(viewport={"width": 1100, "height": 900})
    page = context.new_page()
    page.asked, page.complaints = [], []
    page.on("request", lambda request: page.asked.append(request.url))
    page.on("console", lambda message: page.complaints.append(message.text))
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.goto(report.as_uri())
    yield page
    context.close()


def column(page):
    return page.locator("table.sortable").first.locator("tbody th").all_inner_texts()


def test_loads_from_disk_without_a_request_or_a_complaint(page, report):
    page.wait_for_load_state("networkidle")
    assert [url for url in page.asked if url != report.as_uri() and not url.startswith("data:")] == []
    assert page.complaints == []
    assert page.locator("figure svg").count() >= 3
    assert all(figure.bounding_box()["height"] > 100 for figure in page.locator("figure svg").all())


def test_click_on_a_heading_sorts(page):
    assert column(page) == list(COPIES)
    head = page.locator("table.sortable").first.locator("thead button", has_text="pages copied")
    head.click()
    assert column(page) == ["linux-5.16", "linux-5.10", "sole-owner"]
    head.click()
    assert column(page) == ["sole-owner", "linux-5.10", "linux-5.16"]
    assert page.locator("th[aria-sort]").count() == 1


def test_light_and_dark(page):
    colours = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        colours.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert colours == ["rgb(255, 255, 255)", "rgb(22, 25, 29)"]


def test_fits_a_phone_and_prints(page):
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.pdf(format="A4").startswith(b"%PDF")


def test_reads_without_javascript(browser, report):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(report.as_uri())
    assert page.locator("tbody th").first.inner_text().startswith("linux-5.10")
    context.close()
