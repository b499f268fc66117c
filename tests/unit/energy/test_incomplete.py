"""Joules in spite of uncounted nodes: only when asked for, and never without saying so."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from convert.ir import Affine, BadInput, Graph, Input
from convert.ir.node import LinearNode
from energy.bills import bills
from energy.conventions import NAMED
from energy.costs import cost_table
from energy.counts import count
from energy.energy import incomplete, price, spread
from energy.layer import layers
from energy.movement import Machine
from energy.priced import Terms, priced
from energy.report import Report

TABLE = cost_table("horowitz45-fp32")
SCHEMAS = Path(__file__).parents[3] / "energy" / "schema"
FILES = {"samples": "samples-3.json", "summary": "summary-2.json"}
WARNING = "INCOMPLETE: 75.0% of the outputs were not counted: swirl (Swirl)"


@dataclass(frozen=True, eq=False)
class Swirl(LinearNode):
    """A node nobody knows."""

    def out_shape(self, name, *in_shapes):
        return in_shapes[0]


def counts(swirl=True):
    middle = {"swirl": Swirl()} if swirl else {}
    nodes = {"x": Input((3,), "binary"), **middle, "fc": Affine(np.ones((1, 3)))}
    edges = tuple(pairwise(nodes))
    return count(Graph(nodes, edges, ("fc",), "folded"), {"x": np.ones((2, 2, 3), int)})


def test_joules_are_refused_unless_asked_for():
    found = counts()
    for asked in (lambda: price(found, TABLE), lambda: spread(found, TABLE, NAMED["exact"])):
        with pytest.raises(BadInput, match=r"energy refused: not counted: swirl \(Swirl, 75.0% of the out"):
            asked()
    # unknown operands are counted as non-zero, one MAC each: 2 steps x 3
    assert price(found, TABLE, ["exact"], allow_uncounted=True)["exact"].total().tolist() == [6 * 4.6] * 2
    assert len(spread(found, TABLE, NAMED["exact"], allow_uncounted=True)) > 10
    assert incomplete(found) == WARNING and incomplete(counts(swirl=False)) is None


@pytest.mark.parametrize("swirl", [True, False])
def test_the_warning_is_on_every_headline(tmp_path, swirl):
    with Report(tmp_path, TABLE, terms=Terms(tuple(NAMED.values()), allow_uncounted=True)) as report:
        report.add(counts(swirl), ["a", "b"])
    rows = [json.loads(line) for line in (tmp_path / "samples.jsonl").read_text().splitlines()]
    summary = json.loads((tmp_path / "summary.json").read_text())
    for body, name in ((summary, "summary"), *((row, "samples") for row in rows)):
        assert body["energy_incomplete"] == (WARNING if swirl else None) and body["energy"]
        jsonschema.validate(body, json.loads((SCHEMAS / FILES[name]).read_text()))
    headlines = [line for line in report.table().splitlines() if " per sample (" in line]
    assert len(headlines) == len(NAMED)
    assert all(("[INCOMPLETE]" in line) == swirl for line in headlines)
    assert (WARNING in report.table()) == swirl


def test_a_report_says_how_it_counted(tmp_path):
    chosen = (NAMED["paper-sdt"].switched("head", "ignored"), NAMED["exact"])
    with Report(tmp_path, TABLE, terms=Terms(chosen)) as report:
        report.add(counts(swirl=False), ["a", "b"])
    told = report.summary["conventions"]
    assert [c["name"] for c in told] == ["paper-sdt+head=ignored", "exact"]
    assert told[0]["switches"]["head"] == "ignored" and told[1]["switches"]["head"] == "counted"
    spread_ = report.summary["spread"]
    assert spread_["convention"] == "paper-sdt+head=ignored"
    totals = [v["total_pj"] for v in spread_["variants"]]
    means = [e["total_pj"] for e in report.summary["energy"].values()]
    assert (spread_["min_pj"], spread_["max_pj"]) == (min(totals + means), max(totals + means))
    assert spread_["min_pj"] == 0.0 < spread_["max_pj"]  # its only layer is the head


def test_a_chip_has_no_conventions():
    chip, found = cost_table("loihi1-davies2018"), counts(swirl=False)
    assert set(bills(found, chip)) == {"exact", "exact-idle"}
    for asked in ([NAMED["paper-sdt"]], [NAMED["exact"].switched("neurons", "ignored")]):
        with pytest.raises(BadInput, match=r"loihi1-davies2018 prices the events of a chip, and .* leave"):
            bills(found, chip, conventions=asked)


def test_memory_of_the_total_is_in_every_variant():
    """The spread is about the switches: what they do not touch is the same in all of them."""
    table, nodes = (
        cost_table("lemaire2022-interp"),
        {"x": Input((3,), "binary"), "fc": Affine(np.ones((1, 3)))},
    )
    graph = Graph(nodes, (("x", "fc"),), ("fc",), "folded")
    found = priced(counts(swirl=False), table, Terms(machine=Machine(layers(graph))))
    bill = found.bills["exact"]
    moved = bill.component("memory") + bill.component("addressing")
    assert (moved > 0).all()
    without = spread(counts(swirl=False), table, NAMED["exact"])
    for variant, bare in zip(found.variants, without, strict=True):
        assert variant.pj == pytest.approx(bare.pj + moved, rel=1e-12)
