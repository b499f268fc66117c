"""Cost tables are data with a source; a wrong one is refused with all its faults in one line."""

import json
import tomllib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convert.ir import Affine, BadInput, Graph, Input
from energy.costs import TABLES, cost_table, known_tables, load_cost_table, open_cost_table, unpublished
from energy.counts import count
from energy.energy import price
from energy.ram import Ram
from energy.table_faults import faults


def test_horowitz_fp32():
    table = cost_table("horowitz45-fp32")
    assert dict(table.pj) == {"add": 0.9, "multiply": 3.7, "mac": 4.6, "ac": 0.9}
    assert (table.node_nm, table.voltage_v, table.precision, table.confidence) == (45, 0.9, "fp32", "high")
    assert "ISSCC 2014" in table.source[0]


SHIPPED = {
    "horowitz45-fp32", "horowitz45-fp16", "horowitz45-int8", "horowitz45-int32", "lemaire2022-interp",
    "lemaire2022-leat", "loihi1-davies2018", "loihi1-sanafe", "kerasspiking-loihi", "truenorth-26",
    "truenorth-400gsops", "spinnaker1", "spinnaker2-450", "spinnaker2-10", "tianjic", "odin", "reckon",
    "ubrain", "neuronflow", "seneca", "yan2024-22nm",
}  # fmt: skip


def test_every_table_is_there():
    assert set(known_tables()) == SHIPPED


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_every_table_loads_and_says_what_it_is(name):
    table = cost_table(name)
    assert table.name == name and table.source and table.scope and table.confidence
    operations = {"arithmetic": ("mac", "ac"), "chip": ("sop", "sop_dense")}[table.kind]
    assert any(operation in table.pj for operation in operations)
    assert json.loads(json.dumps(table.describe(), allow_nan=False))["pj"] == dict(table.pj)


@pytest.mark.parametrize("name, pj", [
    ("horowitz45-fp16", {"add": 0.4, "multiply": 1.1, "mac": 1.5, "ac": 0.4}),
    ("horowitz45-int8", {"add": 0.03, "multiply": 0.2, "mac": 0.23, "ac": 0.03}),
    ("horowitz45-int32", {"add": 0.1, "multiply": 3.1, "mac": 3.2, "ac": 0.1}),
    ("loihi1-davies2018", {"sop": 23.6, "neuron_active": 81, "neuron_inactive": 52, "message": 1.7,
                           "hop_x": 3, "hop_y": 4}),
    ("loihi1-sanafe", {"sop_dense": 35.5, "sop_sparse": 33.6, "sop_conv": 24, "neuron_active": 51.2 + 21.6,
                       "neuron_inactive": 51.2, "spike": 69.3, "message": 111, "hop_x": 3, "hop_y": 4.2}),
    ("kerasspiking-loihi", {"sop": 27.1, "neuron_active": 81}),
    ("truenorth-26", {"sop": 26}), ("truenorth-400gsops", {"sop": 1000 / 400}),
    ("spinnaker1", {"sop": 13_300, "neuron_active": 26_000}),
    ("spinnaker2-450", {"sop": 450, "neuron_active": 2190}), ("spinnaker2-10", {"sop": 10}),
    ("tianjic", {"sop": 1.54}), ("odin", {"sop": 12.7}), ("reckon", {"sop": 5.3}), ("ubrain", {"sop": 26}),
    ("neuronflow", {"sop": 20}), ("seneca", {"sop": 2.8}), ("yan2024-22nm", {"ac": 0.05448, "add": 0.05448}),
])  # fmt: skip
def test_the_published_figures(name, pj):
    assert dict(cost_table(name).pj) == pytest.approx(pj)


def test_the_ratio_matters_more_than_the_node():
    ratios = [cost_table(f"horowitz45-{p}") for p in ("fp32", "int8", "int32")]
    assert [round(t.price("mac") / t.price("ac"), 1) for t in ratios] == [5.1, 7.7, 32.0]


@pytest.mark.parametrize("name, why", [
    ("loihi2", "Intel has published no energy per operation of Loihi 2"), ("speck", "about 5 mW"),
    ("dynap-cnn", "about 5 mW"), ("dynap_cnn", "about 5 mW"), ("DynapCNN", "about 5 mW"),
    ("akida", "about 30 mW"), ("xylo", "0.028 mJ an inference"),
])  # fmt: skip
def test_a_chip_without_figures_is_refused_by_name(name, why):
    with pytest.raises(BadInput, match=why) as error:
        open_cost_table(name)
    assert "\n" not in str(error.value) and "no energy per operation" in str(error.value)


def test_all_five_are_refused():
    assert set(unpublished()) == {"loihi2", "speck", "dynap-cnn", "akida", "xylo"}
    assert not set(unpublished()) & set(known_tables())


def test_an_unknown_price_says_why():
    with pytest.raises(BadInput, match="yan2024-22nm: no figure for 'mac': the paper's table of MACs"):
        cost_table("yan2024-22nm").price("mac")
    assert cost_table("truenorth-26").price("neuron_active") == 0.0  # within the 26 pJ


def test_there_is_no_default_and_no_guess():
    with pytest.raises(BadInput, match=r"'loihi3' is unknown; known: .*horowitz45-fp32"):
        cost_table("loihi3")


@pytest.mark.parametrize("old, new, why", [
    ("mac = 4.6", "mac = -1", "mac = -1 must be a number above 0"),
    ("mac = 4.6", "mac = true", "mac = True must be"),
    ("mac = 4.6", "", r"\[pj\] lacks mac"),
    ("mac = 4.6", "mac = 4.6\nmagic = 1.0", "magic: unknown operation"),
    ("mac = 4.6", "mac = nan", "mac = nan must be"),
    ("mac = 4.6", f"mac = 1{'0' * 400}", r"mac = 10+ must be a number above 0"),
    ("mac = 4.6", f"mac = 1{'0' * 5000}", "not a readable cost table"),
    ("mac = 4.6", f"mac = {'[' * 9000}", "not a readable cost table"),
    ('confidence = "high"', 'confidence = "sure"', "confidence must be one of"),
    ("node_nm = 45", "node_nm = 0", "node_nm must be above 0"),
    ("node_nm = 45", "node_um = 45", "unknown key 'node_um'"),
    ("version = 1", 'version = "1"', "version must be a whole number"),
    ('precision = "fp32"', 'precision = ""', "precision must be text"),
    ('name = "horowitz45-fp32"', 'name = "other"', "not the file's"),
    ("[pj]", "[pj", "not a readable cost table"),
    ("mac = 4.6", "mac = 3.2", r"mixed precision: mac = 3.2 is not multiply \+ add = 4.6"),
    ("ac = 0.9 ", "ac = 0.1 ", "ac = 0.1 is not add = 0.9; mixed precision: mac = 4.6 is Horowitz"),
    ('precision = "fp32"', 'precision = "fp32/int8"', "precision 'fp32/int8' must be one"),
    ('precision = "fp32"', 'precision = "fp16"', "word_bits 32 beside fp16"),
    ('kind = "arithmetic"', 'kind = "quantum"', "kind 'quantum' must be one of arithmetic, chip"),
    ('kind = "arithmetic"', 'kind = "chip"', "add: unknown operation; known to chip"),
    ("source = [", "source = []\nother = [", "source must be a list of citations"),
    ('law = "levels"', 'law = "cubic"', "law 'cubic' must be one of levels, linear, affine"),
    ("word_bits = 32", "word_bits = 32\nspeed = 1", r"\[memory\] unknown key 'speed'"),
    ("fifo_messages = 1000", "", r"\[memory\] lacks fifo_messages"),
    ("[32768, 20.0]", "[4096, 20.0]", "points must ascend"),
    ("[32768, 20.0]", "[32768, -1]", r"points must be pairs \[bytes, pJ\]"),
    ("beyond = 1300.0", "beyond = 0", "beyond must be above 0"),
    ("in_total = false", "in_total = 0", "in_total must be true or false"),
    ('charged = "share"', 'charged = "half"', "charged must be one of share, access"),
    ("[memory]", '[unknown]\nmac = "?"\n[memory]', r"\[unknown\] mac: has a price in \[pj\] too"),
    ("[memory]", "[included]\nwings = 3\n[memory]", r"\[included\] must give a reason"),
])  # fmt: skip
def test_broken_tables(tmp_path, old, new, why):
    text = (TABLES / "horowitz45-fp32.toml").read_text()
    assert old in text
    path = tmp_path / "horowitz45-fp32.toml"
    path.write_text(text.replace(old, new))
    with pytest.raises(BadInput, match=why) as error:
        load_cost_table(path)
    assert "\n" not in str(error.value)


def test_all_faults_in_one_line(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('name = "mine"\nversion = 1.5\n[pj]\nmac = -1\nac = "1"\n')
    with pytest.raises(BadInput) as error:
        load_cost_table(path)
    told = str(error.value)
    for fault in (
        "title must be text",
        "version must be",
        "source must be",
        "mac = -1",
        "ac = '1'",
        "confidence",
    ):
        assert fault in told
    assert "\n" not in told and "Traceback" not in told


@pytest.mark.parametrize("old, new, why", [
    ("sop = 23.6", "", "lacks sop, or sop_dense, sop_sparse and sop_conv together"),
    ("sop = 23.6", "sop_dense = 23.6", "lacks sop, or"),
    ("sop = 23.6", "mac = 23.6", "mac: unknown operation; known to chip"),
    ("[pj]", '[memory]\nlaw = "affine"\n[pj]', r"\[memory\] belongs to arithmetic tables"),
])  # fmt: skip
def test_broken_chip_tables(tmp_path, old, new, why):
    text = (TABLES / "loihi1-davies2018.toml").read_text()
    assert old in text
    path = tmp_path / "loihi1-davies2018.toml"
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(BadInput, match=why):
        load_cost_table(path)


ODD = st.sampled_from([None, True, -1, 0, 1, 2.5, float("nan"), "", "x", [], [1], [[1, 2, 3]], {}, {"x": 1}])


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(["horowitz45-fp32", "loihi1-davies2018", "lemaire2022-leat"]),
    ODD,
    st.data(),
)
def test_any_value_anywhere_is_a_fault_or_a_table(name, odd, data):
    body = tomllib.loads((TABLES / f"{name}.toml").read_text())
    inside = data.draw(st.sampled_from([body, *(v for v in body.values() if isinstance(v, dict))]))
    inside[data.draw(st.sampled_from([*inside, "kind", "memory", "unknown"]))] = odd
    found = faults(body)
    assert all(isinstance(fault, str) and "\n" not in fault for fault in found)
    if not found and "memory" in body:
        assert Ram.of(body["memory"]).pj(1000) >= 0


def test_a_table_of_ones_own(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(
        'name = "mine"\nversion = 3\ntitle = "Mine"\nsource = ["a paper"]\nprecision = "int4"\n'
        'scope = "all"\nconfidence = "low"\n[pj]\nmac = 0.1\nac = 0.02\n'
    )
    table = open_cost_table(str(path))
    assert (table.kind, table.price("mac"), table.node_nm, table.memory) == ("arithmetic", 0.1, None, None)
    with pytest.raises(BadInput, match=r"none.toml: not a readable cost table"):
        open_cost_table(str(tmp_path / "none.toml"))


def test_a_missing_price_is_not_zero(tmp_path):
    path = tmp_path / "mine.toml"
    text = (TABLES / "horowitz45-fp32.toml").read_text().replace("horowitz45-fp32", "mine")
    path.write_text(text.replace("add = 0.9\n", ""))
    nodes = {"x": Input((1,), "binary"), "fc": Affine(np.ones((1, 1)), np.ones(1))}
    c = count(Graph(nodes, (("x", "fc"),), ("fc",), "folded"), {"x": np.ones((1, 1, 1), int)})
    with pytest.raises(BadInput, match="mine: no figure for 'add'"):
        price(c, load_cost_table(path))
    with pytest.raises(
        BadInput, match="convention 'optimistic' is unknown; known: exact, paper-spikformer, paper-sdt"
    ):
        price(c, cost_table("horowitz45-fp32"), ["optimistic"])
