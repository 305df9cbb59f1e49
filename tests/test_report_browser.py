"""The page of `testbed report` in a browser without a screen: what it shows, and by keyboard."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from report_parts import SCENARIO, one_figure, with_pictures

from testbed.commands.report_command import write_report
from testbed.commands.run_command import RunOptions, run_scenario
from testbed.figures import catalogue

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

CHROMIUM = os.environ.get("TESTBED_CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
if not Path(CHROMIUM).is_file():
    pytest.skip("there is no Chromium; TESTBED_CHROMIUM names one", allow_module_level=True)
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@dataclass
class Opened:
    """A page that is open, all that it asked for, and what it complained of."""

    page: playwright.Page
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with reports of one run, and of two."""
    folder = tmp_path_factory.mktemp("browser")
    file = folder / "two.yaml"
    file.write_text(SCENARIO)
    run_scenario(file, [], ["testbed"], RunOptions(folder / "out", workers=1, quiet=True))
    with_pictures(folder / "out")
    makers, catalogue.MAKERS = catalogue.MAKERS, (one_figure,)
    try:
        write_report([folder / "out"], folder / "one", "column")
        shutil.copytree(folder / "out", folder / "again")
        write_report([folder / "out", folder / "again"], folder / "two", "column")
    finally:
        catalogue.MAKERS = makers
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[playwright.Browser]:
    with playwright.sync_playwright() as tools:
        chromium = tools.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture
def opened(browser: playwright.Browser, reports: Path) -> Iterator[Opened]:
    with browser.new_context(viewport={"width": 1280, "height": 900}) as context:
        yield _open(context, reports / "one")


def _open(context: playwright.BrowserContext, folder: Path) -> Opened:
    found = Opened(context.new_page())
    found.page.on("request", lambda each: found.requests.append(each.url))
    found.page.on("console", lambda each: found.complaints.append(each.text))
    found.page.on("pageerror", lambda each: found.complaints.append(str(each)))
    found.page.goto((folder / "report.html").as_uri())
    return found


def _choice(page: playwright.Page, name: str) -> playwright.Locator:
    return page.get_by_role("combobox", name=name, exact=True)


def test_it_opens_from_the_disk_and_asks_nobody(opened: Opened) -> None:
    page = opened.page
    assert page.locator("h1").inner_text() == "two"
    assert page.locator("#chart svg.plot").is_visible()
    asked = [each for each in opened.requests if not each.startswith("data:")]
    assert asked == [page.url] and opened.complaints == []
    assert all(page.evaluate("[...document.images].map((each) => each.naturalWidth > 0)"))
    with page.expect_download() as download:
        page.locator("figcaption a", has_text="SVG").first.click()
    assert Path(download.value.path()).read_text().startswith("<?xml")


def test_checkboxes_hide_curves(opened: Opened) -> None:
    page = opened.page
    curves = page.locator('#chart svg.plot path[fill="none"]:not(.axis)')
    bands = page.locator("#chart .band")
    rows = page.locator(".readout tbody tr")
    assert (bands.count(), rows.count()) == (2, 2)
    before = curves.count()
    box = page.get_by_label("jpeg (abbreviated)")
    box.focus()
    page.keyboard.press("Space")
    assert curves.count() == before / 2 and (bands.count(), rows.count()) == (1, 1)
    page.keyboard.press("Space")
    assert curves.count() == before
    page.get_by_label("95 % intervals").uncheck()
    assert bands.count() == 0


def test_choices_change_the_curves(opened: Opened) -> None:
    page = opened.page
    values = page.locator(".readout tbody tr td:nth-child(2)")
    seen = {values.first.inner_text()}
    _choice(page, "Channel").select_option(label="Rayleigh block fading")
    seen.add(values.first.inner_text())
    _choice(page, "Metric").select_option(label="SSIM")
    seen.add(values.first.inner_text())
    assert len(seen) == 3
    assert page.locator("#chart svg.plot").get_attribute("aria-label") == "SSIM against Es/N0 (dB)"
    _choice(page, "Table").select_option(label="Paired differences (differences.csv)")
    assert page.locator(".readout tbody tr").count() == 1
    assert opened.complaints == []


def test_the_keyboard_reaches_values(opened: Opened) -> None:
    page = opened.page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == "#main"
    page.locator("#chart .frame").focus()
    heading = page.locator(".readout h3")
    page.keyboard.press("Home")
    assert heading.inner_text() == "At Es/N0 0 dB"
    page.keyboard.press("ArrowRight")
    assert heading.inner_text() == "At Es/N0 3 dB"
    page.keyboard.press("End")
    assert heading.inner_text() == "At Es/N0 6 dB"
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    assert page.evaluate(outline) == "solid"


def test_the_pointer_reads_values(opened: Opened) -> None:
    page = opened.page
    page.locator("#chart svg.plot").scroll_into_view_if_needed()
    box = page.locator("#chart svg.plot").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 70, box["y"] + 100)
    assert page.locator(".readout h3").inner_text() == "At Es/N0 0 dB"


def test_the_slider_changes_pictures(opened: Opened) -> None:
    page = opened.page
    slider = page.get_by_label("Es/N0 over AWGN")
    image = page.locator(".received img").nth(1)
    slider.focus()
    page.keyboard.press("End")
    last, words = image.get_attribute("src"), page.locator(".received .words").nth(1)
    assert words.inner_text().strip() == "22.0 dB, SSIM 0.500"
    page.keyboard.press("Home")
    assert image.get_attribute("src") != last and "failed" in words.inner_text()
    assert slider.get_attribute("aria-valuetext") == "0 dB"


def test_tables_are_sorted_by_number_and_searched(opened: Opened) -> None:
    page = opened.page
    page.locator("summary", has_text="Statistics of every point").click()
    table = page.get_by_role("region", name="Statistics of every point").locator("table")
    heading = table.get_by_role("button", name="psnr_db", exact=True)
    heading.click()
    column = "(each) => [...each.tBodies[0].rows].map((row) => Number(row.cells[NUMBER].innerText))"
    number = heading.evaluate("(each) => each.closest('th').cellIndex")
    values = table.evaluate(column.replace("NUMBER", str(number)))
    assert values == sorted(values) and len(set(values)) > 3
    heading.click()
    values = table.evaluate(column.replace("NUMBER", str(number)))
    assert values == sorted(values, reverse=True)
    details = page.locator("details", has=table)
    details.get_by_label("Show rows with").fill("webp rayleigh")
    assert table.locator("tbody tr:visible").count() == 6


def test_dark_by_the_system_and_by_choice(browser: playwright.Browser, reports: Path) -> None:
    background = "getComputedStyle(document.body).backgroundColor"
    with browser.new_context(color_scheme="dark") as context:
        page = _open(context, reports / "one").page
        dark = page.evaluate(background)
        page.get_by_label("Appearance").select_option("light")
        assert page.evaluate(background) == "rgb(255, 255, 255)" != dark
        page.get_by_label("Appearance").select_option("dark")
        assert page.evaluate(background) == dark


@pytest.mark.parametrize("report", ["one", "two"])
def test_a_phone_scrolls_in_one_direction(
    browser: playwright.Browser, reports: Path, report: str
) -> None:
    with browser.new_context(viewport={"width": 390, "height": 844}) as context:
        page = _open(context, reports / report).page
        page.evaluate("document.querySelectorAll('details').forEach((each) => (each.open = true))")
        assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_tabs_show_one_run(browser: playwright.Browser, reports: Path) -> None:
    with browser.new_context(viewport={"width": 1280, "height": 900}) as context:
        opened = _open(context, reports / "two")
        page = opened.page
        assert page.locator("#run-0").is_visible() and not page.locator("#run-1").is_visible()
        page.get_by_role("tab").first.focus()
        page.keyboard.press("ArrowRight")
        assert page.locator("#run-1").is_visible() and not page.locator("#run-0").is_visible()
        assert page.get_by_role("tab").nth(1).get_attribute("aria-selected") == "true"
        assert page.locator("#chart .legend input").count() == 4
        assert opened.complaints == []
