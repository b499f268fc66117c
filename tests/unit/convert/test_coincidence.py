"""Products of spikes in integer graphs and programs: hand-sized truth, what is refused, delays over relays.

Everything is an integer: the tolerance is zero.
"""

from __future__ import annotations

import numpy as np
import pytest

from convert.ir import (
    LIF,
    Add,
    Affine,
    ChannelScale,
    Delay,
    Graph,
    Input,
    LeakyIntegrator,
    LoihiIntegrator,
    LoihiLIF,
    Reshape,
    ShapeError,
    SpikeAnd,
    SpikeMatMul,
    Unsupported,
)
from convert.passes.coincidence import MODEL
from convert.passes.lower import lower
from convert.passes.quantise import Calibration, Quantise
from deploy.loihi_sim import LoihiSim
from deploy.reference import Reference, values

BEHIND = LoihiLIF(dv=4096, vth=0)


def graph(product, left, right, *outputs, stage="integer", **nodes):
    """The nodes given (each behind the input, or behind the names in its tuple), the product, `lif`."""
    made, edges = {}, []
    for name, node in nodes.items():
        node, *inputs = node if isinstance(node, tuple) else (node,)
        made[name] = node
        edges += [(i, name) for i in inputs or (["input"] if name != "input" else [])]
    made["product"] = product
    edges += [(left, "product"), (right, "product")]
    made["lif"] = BEHIND if stage == "integer" else LIF(0.5)
    return Graph(made, (*edges, ("product", "lif")), outputs or ("lif",), stage)


def test_two_inputs_spike_exactly_when_both_did():
    """The four cases of an AND, each after each: nothing of a lone spike is left in the next step."""
    cases = [(0, 0), (0, 1), (1, 0), (1, 1)]
    pairs = [pair for a in cases for b in cases for pair in (a, b)]
    x = np.array(pairs, np.uint8).reshape(-1, 1, 2, 1)
    picked = {
        "a": (Affine(np.array([[9, 0]], np.int8)),), "a_lif": (LoihiLIF(4096, 1), "a"),
        "b": (Affine(np.array([[0, 9]], np.int8)),), "b_lif": (LoihiLIF(4096, 1), "b"),
    }  # fmt: skip
    made = graph(SpikeAnd(), "a_lif", "b_lif", input=Input((2, 1), "binary"), **picked)
    want = np.array([a & b for a, b in pairs])
    assert 0 < want.sum() < len(want)
    for compact in (True, False):
        got = LoihiSim(threads=1, compact=compact).compile(lower(made)).run(x, ["product", "lif"])
        np.testing.assert_array_equal(got.rasters["product"].reshape(-1), want)
        np.testing.assert_array_equal(got.rasters["lif"].reshape(-1), want)


def test_a_product_by_hand():
    """a = [[1, 1], [0, 1]], b = [[1, 0, 1], [1, 0, 0]]: y = [[2, 0, 1], [1, 0, 0]], neurons (i, j, k)."""
    made = graph(
        SpikeMatMul(), "a", "b", "lif", input=Input((10,), "binary"),
        pick_a=Affine(np.eye(10, dtype=np.int8)[:4] * 9), a_lif=(LoihiLIF(4096, 1), "pick_a"),
        a=(Reshape((2, 2)), "a_lif"),
        pick_b=Affine(np.eye(10, dtype=np.int8)[4:] * 9), b_lif=(LoihiLIF(4096, 1), "pick_b"),
        b=(Reshape((2, 3)), "b_lif"),
    )  # fmt: skip
    x = np.array([1, 1, 0, 1, 1, 0, 1, 1, 0, 0]).reshape(1, 1, 10)
    np.testing.assert_array_equal(values(made, x)["product"][0, 0], [[2, 0, 1], [1, 0, 0]])
    program = lower(made)
    population = program.populations["product"]
    assert population.shape == (2, 3, 2) and population.model is MODEL
    assert [p.weights.values.tolist() for p in program.into("product")] == [[2] * 12] * 2
    (summing,) = program.into("lif")
    np.testing.assert_array_equal(summing.weights.to_dense(), np.kron(np.eye(6), [1, 1]))
    got = LoihiSim(threads=1).compile(program).run(x, ["product", "lif"])
    met = got.rasters["product"][0, 0]
    np.testing.assert_array_equal(met, [[[1, 1], [0, 0], [1, 0]], [[0, 1], [0, 0], [0, 0]]])
    np.testing.assert_array_equal(got.rasters["lif"][0, 0], [[1, 0, 1], [1, 0, 0]])


def test_shapes_must_meet():
    assert SpikeMatMul().out_shape("y", (4, 2, 3), (4, 3, 5)) == (4, 2, 5)
    for a, b in (((2, 3), (4, 5)), ((4, 2, 3), (1, 3, 5)), ((2, 3), (4, 3, 5)), ((3,), (3,))):
        with pytest.raises(ShapeError, match=r"^y: expected \(\*batch, m, k\).*nothing is broadcast"):
            SpikeMatMul().out_shape("y", a, b)
    assert SpikeAnd().out_shape("y", (2, 3), (2, 1)) == (2, 3)
    for a, b in (((2, 3), (4, 3)), ((2, 3), (3,))):
        with pytest.raises(ShapeError, match="no other axis is broadcast"):
            SpikeAnd().out_shape("y", a, b)


SPIKES = Input((2, 2), "binary")
FLOAT = {
    "sum": ({"input": SPIKES, "s": (LIF(0.5), "input"), "x": (Add(), "s", "input")}, r"a sum of 2 tensors"),
    "map": ({"input": SPIKES, "x": ChannelScale(np.ones(2))}, r"a linear map \(ChannelScale\)"),
    "biased map": ({"input": SPIKES, "x": ChannelScale(np.ones(2), np.ones(2))}, r"a linear map"),
    "graded": ({"input": Input((2, 2), "graded"), "x": Reshape((2, 2))}, "a graded input"),
    "real": ({"input": Input((2, 2)), "x": Reshape((2, 2))}, "a real input"),
    "count": ({"input": SPIKES, "x": (SpikeMatMul(), "input", "input")}, "a count of coincidences"),
    "readout": ({"input": SPIKES, "x": LeakyIntegrator()}, r"a readout \(LeakyIntegrator\)"),
}


@pytest.mark.parametrize("kind", list(FLOAT))
@pytest.mark.parametrize("side", ["left", "right"])
def test_an_operand_that_is_no_spike_tensor_is_refused(kind, side):
    """By quantise, with the product, which side, what it is and what to do; and so by lower."""
    nodes, what = FLOAT[kind]
    nodes = {**nodes, "own": LIF(0.5), "late": (Delay(1), "x")}
    ends = ("late", "own") if side == "left" else ("own", "late")
    made = graph(SpikeMatMul(), *ends, stage="folded", **nodes)
    rates = {n: np.zeros(s) for n, s in made.shapes.items()}
    with pytest.raises(
        Unsupported, match=f"^product: its {side} operand .* is {what}.*put a spiking neuron"
    ) as caught:
        Quantise(Calibration(dict.fromkeys(rates, 1.0), rates))(made)
    assert caught.value.exit_code == 4


def test_lower_refuses_too():
    made = graph(SpikeAnd(), "s", "input", input=SPIKES, other=LoihiLIF(0, 9), s=(Add(), "input", "other"))
    with pytest.raises(Unsupported, match=r"^product: its left operand s is a sum of 2 tensors"):
        lower(made)
    made = graph(SpikeAnd(), "input", "input", "product", input=SPIKES)
    with pytest.raises(Unsupported, match=r"^product: is an output but no neuron"):
        lower(made)


def test_the_sum_keeps_zero_weights_and_does_not_grow():
    """Weights behind a product are repeated, once a coincidence; 127 fits however many are summed."""
    made = Graph(
        {"input": Input((3, 3), "binary"), "y": SpikeMatMul(), "w": ChannelScale(np.array([127, 0, -128])),
         "lif": BEHIND},
        (("input", "y"), ("input", "y"), ("y", "w"), ("w", "lif")), ("lif",), "integer",
    )  # fmt: skip
    (into,) = lower(made).into("lif")
    want = np.kron(np.diag(np.repeat([127, 0, -128], 3)), np.ones((1, 3), int))
    np.testing.assert_array_equal(into.weights.to_dense(), want)
    assert len(into.weights.values) == 27, "zeros are synapses"
    x = (np.random.default_rng(0).random((9, 2, 3, 3)) < 0.6).astype(np.uint8)
    assert_as_the_reference(made, x)


def assert_as_the_reference(made, x):
    program, names = lower(made), made.spiking()
    want = Reference().compile(made).run(x, names)
    assert all(want.rasters[n].any() for n in names), "vacuous case"
    got = LoihiSim(threads=1).compile(program).run(x, names)
    for n in names:
        np.testing.assert_array_equal(got.rasters[n], want.rasters[n])
    for n, out in want.outputs.items():
        np.testing.assert_array_equal(got.outputs[n], out)
    return program


def delayed(*steps, source=None, **nodes):
    """The input, or a neuron behind it, heard after each of these delays."""
    made = {"input": source or Input((3,), "binary"), **nodes}
    edges = [(a, b) for a, b in zip(made, list(made)[1:], strict=False)]
    last = list(made)[-1]
    for n in steps:
        made |= {f"late{n}": Delay(n), f"w{n}": ChannelScale(np.array([7, 5, 3], np.int8))}
        edges += [(last, f"late{n}"), (f"late{n}", f"w{n}"), (f"w{n}", "sum")]
    made |= {"sum": Add(), "lif": LoihiLIF(dv=2000, vth=9), "out": LoihiIntegrator()}
    return Graph(made, (*edges, ("sum", "lif"), ("lif", "out")), ("out", "lif"), "integer")


@pytest.mark.parametrize(
    ("steps", "relays"),
    [((0, 62), 0), ((1, 63), 1), ((3, 125), 1), ((3, 126), 2), ((70, 100, 130, 190), 3)],
)
def test_a_long_delay_goes_through_relays(steps, relays):
    """Chip delay 62 is the last without one, each relay adds 63; they are shared by all that need them."""
    made = delayed(*steps, mix=ChannelScale(np.array([2, 2, 2], np.int8)), first=LoihiLIF(4096, 1))
    x = (np.random.default_rng(1).random((220, 2, 3)) < 0.3).astype(np.uint8)
    program = assert_as_the_reference(made, x)
    assert [n for n in program.populations if "~" in n] == [f"first~{j}" for j in range(1, relays + 1)]
    assert len({p.name for p in program.projections}) == len(program.projections)
    assert max(map(program.chip_delay, program.projections)) <= 62
    names = ["first", *(f"first~{j}" for j in range(1, relays + 1))]
    got = LoihiSim(threads=1).compile(program).run(x, names)
    for name in names:  # aligned: a relay spikes as its source does
        np.testing.assert_array_equal(got.rasters[name], got.rasters["first"])


def test_an_operand_from_long_ago():
    made = graph(SpikeAnd(), "input", "late", input=SPIKES, late=Delay(90))
    x = (np.random.default_rng(2).random((120, 1, 2, 2)) < 0.5).astype(np.uint8)
    assert "input~1" in assert_as_the_reference(made, x).populations


def test_delays_without_a_relay_are_refused():
    graded = delayed(3, 80, source=Input((3,), "graded", 0.1))
    with pytest.raises(Unsupported, match=r"^lif: hears input 80 chip steps late, above the 62 .* graded"):
        lower(graded)
    with pytest.raises(Unsupported, match=r"^lif: hears input 5000 chip steps late, above the 2078 that"):
        lower(delayed(3, 5000))
    taken = Graph(
        {"input": Input((3,), "binary"), "late": Delay(99), "lif": BEHIND, "input~1": BEHIND},
        (("input", "late"), ("late", "lif"), ("input", "input~1")), ("lif",), "integer",
    )  # fmt: skip
    with pytest.raises(Unsupported, match=r"^input~1: the relays of input would have this name"):
        lower(taken)
