"""Chunks: the same files whoever made them and whenever they came, each written once."""

import json

import numpy as np
import pytest

from convert.ir import LIF, Affine, BadInput, Graph, Input
from energy.answers import Answers
from energy.chunk import Chunk, chunk
from energy.costs import cost_table
from energy.counts import counter
from energy.report import Report

TABLE = cost_table("horowitz45-fp32")
CUTS = ((0, 2), (2, 3), (3, 7))


def chunks():
    nodes = {"x": Input((3,), "binary"), "fc": Affine(np.ones((2, 3)), np.ones(2)), "lif": LIF(0.5)}
    counting = counter(Graph(nodes, (("x", "fc"), ("fc", "lif")), ("lif",), "folded"))
    rng = np.random.default_rng(8)
    data = {"x": rng.integers(0, 2, (4, 7, 3)), "lif": rng.integers(0, 2, (4, 7, 2), np.uint8)}
    out = []
    for index, (a, b) in enumerate(CUTS):
        answers = Answers([f"s{i}" for i in range(a, b)], list(range(a, b)), [i % 3 for i in range(a, b)])
        out.append(chunk(index, counting.count({n: r[:, a:b] for n, r in data.items()}), TABLE, answers))
    return out


def write(out, given):
    with Report(out, TABLE, {"model": "three-two"}) as report:
        taken = [report.take(c) for c in given]
    return taken, *((out / name).read_bytes() for name in ("samples.jsonl", "summary.json"))


def test_order_of_arrival_and_another_process_change_no_byte(tmp_path):
    first, second, third = chunks()
    want = write(tmp_path / "a", [first, second, third])
    assert b'"s6"' in want[1]
    away = [Chunk.of_state(json.loads(json.dumps(c.state()))) for c in (third, first, second)]
    assert write(tmp_path / "b", away)[1:] == want[1:]


def test_a_chunk_that_comes_twice_is_written_once(tmp_path):
    first, second, third = chunks()
    want = write(tmp_path / "a", [first, second, third])
    taken, *files = write(tmp_path / "b", [first, first, third, third, second, third])
    assert taken == [True, False, True, False, True, False]
    assert files == list(want[1:])


def test_a_missing_chunk_leaves_nothing(tmp_path):
    first, _, third = chunks()
    with pytest.raises(BadInput, match="chunk 1 never came, 1 wait"):
        write(tmp_path, [third, first])
    assert list(tmp_path.iterdir()) == []
