"""report.html in a real browser: no errors, no network, marks in every chart, controls that work."""

import json
import re
from itertools import pairwise

import cv2
import numpy as np
import pytest

CHARTS = {  # chart -> the least marks it must show
    "#range": 2, "#layers-chart": 4, "#activity-chart": 24, "#skeleton": 2, "#raster": 1,
    "#classes-chart": 10, "#tornado": 2, "#twins": 4,
}  # fmt: skip


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1200])
def test_opens_silently_and_fits(opened, made, tmp_path, theme, width):
    seen = opened(made, width, theme)
    assert seen.said == []
    assert [url for url in seen.asked if not url.startswith(("file://", "data:"))] == []
    assert len([url for url in seen.asked if url.startswith("file://")]) == 1
    assert seen.page.evaluate("document.documentElement.scrollWidth") == width
    for chart, least in CHARTS.items():
        assert seen.count(f"{chart} .mark") >= least, chart
    first = json.loads((made.parent / "samples.jsonl").read_text().splitlines()[0])
    assert first["layers"][1]["spikes_out"] > 0
    marks = seen.page.locator("#raster .spikes").get_attribute("data-spikes")
    assert (seen.text("#raster figcaption b"), int(marks)) == (
        "first_spike",
        first["layers"][1]["spikes_out"],
    )
    seen.page.screenshot(path=tmp_path / "page.png", full_page=True)
    image = cv2.imread(str(tmp_path / "page.png"))
    ground = np.median(image, axis=(0, 1)).sum()
    assert ground > 600 if theme == "light" else ground < 150
    assert len(np.unique(image[::3].reshape(-1, 3), axis=0)) > 100  # text and charts, not a blank sheet


def test_nothing_but_its_own_script_can_run(opened, made):
    seen = opened(made)
    assert seen.page.evaluate("window.hacked") is None
    assert "</script><script>window.hacked" in seen.text("#classes-chart")
    assert "<" not in re.search(r'id="data">(.*?)</script>', made.read_text(), re.S).group(1)
    seen.page.evaluate("fetch('https://example.org/').catch(() => 0)")
    assert any("Content Security Policy" in line for line in seen.said)


def test_headline_has_no_more_digits_than_its_spread(opened, made):
    summary = json.loads((made.parent / "summary.json").read_text())
    low, high = summary["spread"]["min_pj"], summary["spread"]["max_pj"]
    value = summary["energy"]["exact"]["total_pj"]
    assert high - low > value / 10  # so that one digit or two are all there are
    shown = re.match(r"([\d.]+) (\S+)", opened(made).text("#title"))
    assert len(shown.group(1).replace(".", "").strip("0")) <= 2
    unit = {"pJ": 1, "nJ": 1e3, "µJ": 1e6}[shown.group(2)]
    assert abs(float(shown.group(1)) * unit - value) <= (high - low) / 2


def test_filter_and_order_of_layers(opened, made):
    seen = opened(made)
    every = seen.count("#layers-chart .rows li")
    seen.page.fill("#filter", "second")
    names = seen.page.locator("#layers-chart .name").all_inner_texts()
    assert 0 < len(names) < every and all("second" in name for name in names)
    assert seen.text("#status") == "2 of 4 layers"
    seen.page.fill("#filter", "nothing like it")
    assert "No layer" in seen.text("#layers-chart")
    seen.page.fill("#filter", "")
    seen.page.click("[data-order=network]")
    assert seen.page.locator("#layers-chart .name").all_inner_texts() == [
        "first", "first_spike", "second", "second_spike",
    ]  # fmt: skip
    assert seen.page.get_attribute("[data-order=network]", "aria-pressed") == "true"


def test_convention_and_sample_change_the_figures(opened, made):
    seen = opened(made)
    mean = seen.text("#layers-lead")
    seen.page.select_option("#convention", "paper-spikformer")
    assert "paper-spikformer" in seen.text("#layers-lead") != mean
    assert seen.count("#layers-chart .rows li") == 2  # neurons cost nothing there
    seen.page.select_option("#sample", "clip-07")
    assert "clip-07" in seen.text("#layers-lead") and "clip-07" in seen.text("#activity-lead")
    assert "clip-07" in seen.text("#one-lead")


def test_samples_filter_and_sort(opened, made):
    seen = opened(made)
    rows = [json.loads(line) for line in (made.parent / "samples.jsonl").read_text().splitlines()]
    by_energy = sorted(rows, key=lambda row: -row["energy"]["exact"]["total_pj"])

    def ids():
        return seen.page.locator("#samples-table tbody th").all_inner_texts()

    assert ids() == [row["sample_id"] for row in by_energy[:25]]
    seen.page.click("#samples-table [data-sort=sample_id]")
    assert ids()[:3] == ["clip-00", "clip-01", "clip-02"]
    assert seen.page.get_attribute("#samples-table th:first-child", "aria-sort") == "ascending"
    seen.page.click("#samples-table [data-sort=sample_id]")
    assert ids()[0] == "clip-29"
    seen.page.select_option("#by-answer", "wrong")
    assert set(ids()) == {row["sample_id"] for row in rows if not row["correct"]} != set()
    seen.page.select_option("#by-class", "stand up")
    assert set(ids()) == {r["sample_id"] for r in rows if not r["correct"] and r["label"] == 1}
    seen.page.select_option("#by-answer", "")
    seen.page.select_option("#by-class", "")
    seen.page.fill("#by-name", "15")
    assert ids() == ["clip-15"]
    seen.page.click("[data-sample=clip-15]")
    assert seen.page.input_value("#sample") == "clip-15"


def test_time_moves_skeleton_spikes_and_rates_together(opened, made):
    seen = opened(made)

    def places():
        x = (
            seen.page.get_attribute("#raster .cursor", "x"),
            seen.page.get_attribute("#activity-chart .now", "x"),
        )
        return *x, seen.page.get_attribute("#skeleton .bone", "x1"), seen.text("#when")

    start = places()
    assert (start[0], start[1], start[3]) == ("0", "0", "step 1 of 12")
    seen.page.click("#forth")
    assert places()[0] == "1" and places()[2] != start[2]
    seen.page.click("#back")
    assert places() == start
    seen.page.fill("#scrub", "11")
    assert (places()[0], places()[3]) == ("11", "step 12 of 12")
    seen.page.click("#play")
    seen.page.locator("#when", has_text=re.compile(r"step \d of")).wait_for()
    seen.page.click("#play")
    stopped = places()
    seen.page.wait_for_timeout(600)
    assert places() == stopped and seen.text("#play") == "Play"


def test_a_population_is_chosen_from_the_heat_map(opened, made):
    seen = opened(made)
    for name, neurons in (("first_spike", 48), ("second_spike", 24)):
        seen.page.click(f"[data-population={name}]")
        assert f"{neurons} neurons" in seen.text("#raster figcaption")
        assert seen.page.input_value("#population") == name
        assert seen.page.get_attribute(f"[data-population={name}]", "aria-pressed") == "true"


def test_theme_switch(opened, made):
    seen = opened(made, theme="dark")

    def ground():
        colour = seen.page.evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(map(int, re.findall(r"\d+", colour)))

    assert ground() < 150
    seen.page.click("[data-theme-choice=light]")
    assert ground() > 600
    seen.page.click("[data-theme-choice=dark]")
    assert ground() < 150
    seen.page.click("[data-theme-choice=system]")
    seen.page.emulate_media(color_scheme="light")
    assert ground() > 600


def test_keyboard_alone(opened, made):
    seen = opened(made)
    keys = seen.page.keyboard
    keys.press("Tab")
    assert seen.page.evaluate("document.activeElement.className") == "skip"
    seen.page.focus("#scrub")
    keys.press("ArrowRight")
    keys.press("ArrowRight")
    assert seen.text("#when") == "step 3 of 12"
    seen.page.focus("[data-population=second_spike]")
    keys.press("Enter")
    assert "second_spike" in seen.text("#raster figcaption")
    seen.page.focus("#samples-table [data-sort=spikes_out]")
    keys.press("Enter")
    assert seen.page.evaluate("document.activeElement.dataset.sort") == "spikes_out"
    assert seen.page.get_attribute("th:has([data-sort=spikes_out])", "aria-sort") == "descending"
    visited = set()
    seen.page.evaluate("document.activeElement.blur(); window.scrollTo(0, 0)")
    for _ in range(60):
        keys.press("Tab")
        visited.add(seen.page.evaluate("document.activeElement.id"))
    assert {"sample", "convention", "filter", "scrub", "play", "population"} <= visited


def test_what_a_screen_reader_is_told(opened, made):
    seen = opened(made)
    unnamed = seen.page.evaluate(
        "[...document.querySelectorAll('svg')].filter(s => !s.closest('[aria-hidden=true]') && "
        "!s.getAttribute('aria-label')).length"
    )
    assert unnamed == 0
    silent = seen.page.evaluate(
        "[...document.querySelectorAll('button, select, input')].filter(c => "
        "!(c.textContent.trim() || c.getAttribute('aria-label') || c.labels?.length)).length"
    )
    assert silent == 0
    levels = seen.page.evaluate("[...document.querySelectorAll('h1, h2, h3')].map(h => Number(h.tagName[1]))")
    assert levels[0] == 1 and all(b - a <= 1 for a, b in pairwise(levels))
    assert levels.count(1) == 1
    for chart in ("layers", "activity", "raster", "classes"):
        seen.page.click(f"#{chart}-table summary")
        seen.page.locator(f"#{chart}-table tbody tr").nth(1).wait_for()  # filled when it has opened
    assert seen.page.locator("#layers-table tbody th").all_inner_texts()[0] == "first"


def test_a_refused_report_names_no_joules(opened, refused):
    seen = opened(refused)
    assert seen.said == []
    assert seen.text("#title") == "no joules named"
    assert "swirl" in seen.text("#warnings") and "swirl" in seen.text("#uncounted table")
    assert not re.search(r"\d (pJ|nJ|µJ)\b", seen.page.inner_text("main").split("Where it comes from")[0])
    assert seen.count("#activity-chart .mark") >= 24


def test_a_page_without_close_samples_says_how_to_get_some(opened, distant):
    seen = opened(distant)
    assert seen.said == []
    assert "--page-samples" in seen.text("#one-lead")
    assert seen.count("#activity-chart .mark") >= 24 and seen.count("#raster .mark") == 0
