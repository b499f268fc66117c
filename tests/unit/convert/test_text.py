"""The text form of a graph: stable, complete, and the same as the golden files."""

from __future__ import annotations

from pathlib import Path

import pytest

from convert.ir import text
from scripts import remake_golden

GOLDEN = Path(__file__).resolve().parents[2] / "golden"


@pytest.mark.parametrize("name", list(remake_golden.GRAPHS))
def test_golden(name):
    """The file holds what the script makes now; a change that is meant is made by running the script."""
    assert (GOLDEN / f"{name}.txt").read_text() == remake_golden.render(name)


def test_every_golden_file_says_what_made_it_and_is_made():
    files = {path.stem: path.read_text() for path in GOLDEN.glob("*.txt")}
    assert set(files) == set(remake_golden.GRAPHS)
    assert all(body.startswith("# made by `python scripts/remake_golden.py`") for body in files.values())


def test_every_node_appears_once_with_its_inputs_and_shape(traced_case):
    graph = traced_case.graph
    lines = text(graph).splitlines()
    assert len(lines) == len(graph.nodes) + 2
    for line, (name, node, inputs) in zip(lines[1:-1], graph, strict=True):
        shape = "x".join(map(str, graph.shapes[name]))
        assert line.split()[0] == name
        assert f"{type(node).__name__}(" in line
        assert line.endswith(f"[{shape}]" + (f" <- {', '.join(inputs)}" if inputs else ""))
    assert lines[-1] == f"  -> {', '.join(graph.outputs)}"
