"""Cost tables are data with a source; a wrong one is refused with all its faults in one line."""

import numpy as np
import pytest

from convert.ir import Affine, BadInput, Graph, Input
from energy.costs import TABLES, cost_table, known_tables, load_cost_table
from energy.counts import count
from energy.energy import price


def test_horowitz_fp32():
    table = cost_table("horowitz45-fp32")
    assert dict(table.pj) == {"add": 0.9, "multiply": 3.7, "mac": 4.6, "ac": 0.9}
    assert (table.node_nm, table.voltage_v, table.precision, table.confidence) == (45, 0.9, "fp32", "high")
    assert "ISSCC 2014" in table.source[0]


def test_every_shipped_table_loads():
    assert known_tables()
    assert [cost_table(name).name for name in known_tables()] == list(known_tables())


def test_there_is_no_default_and_no_guess():
    with pytest.raises(BadInput, match="'loihi3' is unknown; known: .*horowitz45-fp32"):
        cost_table("loihi3")


@pytest.mark.parametrize("old, new, why", [
    ("mac = 4.6", "mac = -1", "mac = -1 must be a number above 0"),
    ("mac = 4.6", "mac = true", "mac = True must be"),
    ("mac = 4.6", "", r"\[pj\] lacks mac"),
    ("mac = 4.6", "mac = 4.6\nmagic = 1.0", "magic: unknown operation"),
    ("mac = 4.6", "mac = nan", "mac = nan must be"),
    ('confidence = "high"', 'confidence = "sure"', "confidence must be one of"),
    ("node_nm = 45", "node_nm = 0", "node_nm must be above 0"),
    ("node_nm = 45", "node_um = 45", "unknown key 'node_um'"),
    ("version = 1", 'version = "1"', "version must be a whole number"),
    ('precision = "fp32"', 'precision = ""', "precision must be text"),
    ('name = "horowitz45-fp32"', 'name = "other"', "not the file's"),
    ("[pj]", "[pj", "not a readable cost table"),
])  # fmt: skip
def test_broken_tables(tmp_path, old, new, why):
    text = (TABLES / "horowitz45-fp32.toml").read_text()
    assert old in text
    path = tmp_path / "horowitz45-fp32.toml"
    path.write_text(text.replace(old, new))
    with pytest.raises(BadInput, match=why) as error:
        load_cost_table(path)
    assert "\n" not in str(error.value)


def test_a_missing_price_is_not_zero(tmp_path):
    path = tmp_path / "mine.toml"
    text = (TABLES / "horowitz45-fp32.toml").read_text().replace("horowitz45-fp32", "mine")
    path.write_text(text.replace("add = 0.9\n", ""))
    nodes = {"x": Input((1,), "binary"), "fc": Affine(np.ones((1, 1)), np.ones(1))}
    c = count(Graph(nodes, (("x", "fc"),), ("fc",), "folded"), {"x": np.ones((1, 1, 1), int)})
    with pytest.raises(BadInput, match="mine: no figure for 'add'"):
        price(c, load_cost_table(path))
    with pytest.raises(BadInput, match="convention 'optimistic' is unknown; known: exact, paper"):
        price(c, cost_table("horowitz45-fp32"), ["optimistic"])
