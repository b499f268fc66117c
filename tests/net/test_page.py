"""docs/net.md has a row for every layer type and neuron the reader knows, and names no other."""

from __future__ import annotations

import re
from pathlib import Path

from convert.net_layers import KINDS
from convert.net_neurons import FIELDS, NO_MODEL

PAGE = Path(__file__).parents[2] / "docs" / "net.md"


def rows(head):
    """Names in backquotes of the first column of the table with this head."""
    lines = PAGE.read_text().split(f"| {head} | program | netx |")[1].split("\n\n")[0].splitlines()
    return {
        name for line in lines if line.startswith("|") for name in re.findall(r"`(\w+)`", line.split("|")[1])
    }


def test_every_layer_type_has_its_row():
    assert rows("layer") == {*KINDS, "concat"}


def test_every_neuron_has_its_row():
    assert rows("neuron") - {"vThMant"} == {*FIELDS, *NO_MODEL}
