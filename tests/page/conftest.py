"""Reports on a small spiking graph, and the system's Chromium to open them with; none is downloaded."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convert.ir import LIF, Affine, Graph, Input
from convert.ir.node import LinearNode
from energy.answers import Answers
from energy.baselines import twin
from energy.bit_budget import Bits
from energy.chunk import chunk
from energy.costs import cost_table
from energy.counts import counter
from energy.priced import Terms
from energy.report import Report
from energy.shown import Shown, evenly, rasters, skeleton

HOSTILE = "</script><script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'>"
CLASSES = ["sit down", "stand up", HOSTILE]
STEPS, SAMPLES, CLOSE = 12, 30, 4


@dataclass(frozen=True, eq=False)
class Swirl(LinearNode):
    """A node nobody knows."""

    def out_shape(self, name, *in_shapes):
        return in_shapes[0]


def net(extra=None) -> Graph:
    draw = np.random.default_rng(2)
    nodes = {
        "x": Input((20,), "binary"), "first": Affine(draw.normal(0, 0.4, (48, 20))), "first_spike": LIF(0.5),
        "second": Affine(draw.normal(0, 0.3, (24, 48)), np.ones(24)), "second_spike": LIF(0.5),
    }  # fmt: skip
    if extra is not None:
        nodes["swirl"] = extra
    names = list(nodes)
    return Graph(nodes, tuple(pairwise(names)), (names[-1],), "folded")


def walking() -> np.ndarray:
    """[F, V, 3]: three joints on a line that swings."""
    t = np.linspace(0, 2 * np.pi, STEPS)[:, None]
    x = np.concatenate([0 * t, 0.2 * np.sin(t), 0.5 * np.sin(t)], axis=1)
    y = np.broadcast_to(np.array([[1.0, 0.5, 0.0]]), x.shape)
    return np.stack([x, y, 0.3 * x], axis=-1)


def report(out: Path, graph: Graph | None = None, close: int = CLOSE) -> Path:
    graph = graph or net()
    draw = np.random.default_rng(4)
    rates = np.linspace(0.1, 0.6, SAMPLES)[:, None]
    fired = {
        "x": draw.random((STEPS, SAMPLES, 20)) < rates,
        "first_spike": draw.random((STEPS, SAMPLES, 48)) < rates / 2,
        "second_spike": draw.random((STEPS, SAMPLES, 24)) < rates / 3,
    }
    fired = {name: spikes.astype(np.uint8) for name, spikes in fired.items()}
    ids = [f"clip-{n:02d}" for n in range(SAMPLES)]
    near = evenly(ids, close)
    bones = {name: skeleton(walking(), ((1, 0), (2, 1)), ("head", "hip", "foot")) for name in near}
    terms = Terms(twin=twin(net(), STEPS, STEPS), bits=Bits(8))
    header = {"model": "three-layer", "dataset": "walks", "split": "test", "class_names": CLASSES}
    with Report(out, cost_table("horowitz45-fp32"), header, terms, Shown(near, bones)) as made:
        labels = [n % 3 for n in range(SAMPLES)]
        answers = Answers(ids, labels, [0 if n % 7 else k for n, k in enumerate(labels)], [0.01] * SAMPLES)
        shown = [
            rasters(name, {k: v[:, ids.index(name)] for k, v in fired.items() if k != "x"}) for name in near
        ]
        made.take(chunk(0, counter(graph).count(fired), made.cost_table, answers, terms, shown))
    return out / "report.html"


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """report.html of 30 samples, 4 of them shown closely."""
    return report(tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="session")
def refused(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a network with a node that nobody counts."""
    return report(tmp_path_factory.mktemp("refused"), net(Swirl()))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Headless Chromium of the system, closed before the next file's tests: open, it costs them processor."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("no chromium on PATH; Debian: apt-get install chromium")
    api = pytest.importorskip("playwright.sync_api")
    with api.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield running
        running.close()


@dataclass
class Opened:
    """A page, what it said on the console, and what it asked of anybody."""

    page: Any
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def count(self, selector: str) -> int:
        return self.page.locator(selector).count()

    def text(self, selector: str) -> str:
        return self.page.locator(selector).first.inner_text()


Open = Callable[..., Opened]


@pytest.fixture
def opened(browser: Any) -> Iterator[Open]:
    """Opens a file: `opened(path, width=1200, theme="light")`, ready to be used."""
    pages = []

    def call(path: Path, width: int = 1200, theme: str = "light") -> Opened:
        page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=theme)
        pages.append(page)
        page.set_default_timeout(
            60_000
        )  # ms; a page is there in a second, on a machine with nothing else to do
        found = Opened(page)
        page.on("console", lambda message: found.said.append(message.text))
        page.on("pageerror", lambda error: found.said.append(str(error)))
        page.on("request", lambda request: found.asked.append(request.url))
        page.goto(path.as_uri())
        page.wait_for_selector("html[data-ready]")
        return found

    yield call
    for page in pages:
        page.close()


@pytest.fixture
def distant(tmp_path: Path) -> Path:
    """The page of a report of which no sample is shown closely."""
    return report(tmp_path, close=0)
