"""The page of `compare` in a real browser."""

import pytest

from energy.compare import compared
from energy.entry import entry
from energy.pages import compare_page


@pytest.fixture(scope="session")
def page(made, tmp_path_factory):
    """compare.html of a report with itself under another name."""
    one = entry(made.parent)
    twin = type(one)(**{**vars(one), "name": "</script><b>twin", "pj": {k: v / 4 for k, v in one.pj.items()}})
    path = tmp_path_factory.mktemp("compare") / "compare.html"
    path.write_text(compare_page(compared([one, twin])), encoding="utf-8")
    return path


@pytest.mark.parametrize("width", [360, 1200])
def test_opens_silently_and_fits(opened, page, width):
    seen = opened(page, width, "dark" if width == 360 else "light")
    assert seen.said == [] and len(seen.asked) == 1
    assert seen.page.evaluate("document.documentElement.scrollWidth") == width
    assert seen.count("#accuracy-chart .mark") == 2
    assert seen.count("#energy-chart .mark") == 2 and seen.count("#parts-chart .mark") >= 4
    assert seen.text("#title").startswith("0.25 ×")
    assert "</script><b>twin" in seen.text("#figures-table")


def test_convention_and_order(opened, page):
    seen = opened(page)
    seen.page.select_option("#convention", "paper-spikformer")
    assert "paper-spikformer" in seen.text("#claim")
    first = seen.text("#figures-table tbody th")
    seen.page.click("[data-sort=pj]")
    assert seen.text("#figures-table tbody th") != first
    assert seen.page.get_attribute("th:has([data-sort=pj])", "aria-sort") == "descending"
