"""Names of conventions are pinned, switches are fields, the page names them all."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from convert.ir import BadInput
from energy.conventions import NAMED, SWITCHES, Convention, convention

EXACT, SPIKFORMER = NAMED["exact"], NAMED["paper-spikformer"]


def test_switches_and_fields_are_the_same():
    fields = {f.name.replace("_", "-") for f in dataclasses.fields(Convention)} - {"name"}
    assert fields == set(SWITCHES) and len(fields) >= 10
    for named in NAMED.values():
        described = named.describe()
        assert set(described["switches"]) == fields
        assert all(value in SWITCHES[switch] for switch, value in described["switches"].items())
    assert all(why for values in SWITCHES.values() for why in values.values())


def test_names_are_pinned():
    differs = {
        name: {
            s: (v, c.describe()["switches"][s])
            for s, v in SPIKFORMER.describe()["switches"].items()
            if c.describe()["switches"][s] != v
        }
        for name, c in NAMED.items()
    }
    assert list(NAMED) == ["exact", "paper-spikformer", "paper-sdt", "paper-spikingformer"]
    assert differs["paper-sdt"] == {"rate": ("mean", "nonzero"), "first-operand": ("class", "mac")}
    assert differs["paper-spikingformer"] == {
        "integers": ("ac", "dense-mac"), "attention": ("operand", "kv"), "full-rate": ("ac", "mac"),
        "head": ("counted", "mac-once"),
    }  # fmt: skip
    assert len(differs["exact"]) == 11


def test_a_changed_convention_says_so():
    once = EXACT.switched("first-layer", "once")
    assert once.name == "exact+first-layer=once" and once.first_layer == "once"
    assert once.switched("padding", "dense").name == "exact+first-layer=once,padding=dense"
    assert EXACT.switched("first-layer", "steps") is EXACT
    with pytest.raises(BadInput, match="switch 'first-layers' is unknown; known: first-layer, "):
        EXACT.switched("first-layers", "once")
    with pytest.raises(BadInput, match="first-layer=twice: unknown value; known: steps, once"):
        EXACT.switched("first-layer", "twice")
    with pytest.raises(BadInput, match="'paper' is unknown; known: exact, paper-spikformer"):
        convention("paper")


def test_the_page_names_every_switch():
    page = (Path(__file__).parents[3] / "docs" / "energy.md").read_text(encoding="utf-8")
    missing = [f"{s}={v}" for s, values in SWITCHES.items() for v in values if f"`{v}`" not in page]
    assert not missing and all(f"`{s}`" in page for s in SWITCHES)
    assert all(f"`{name}`" in page for name in NAMED)
