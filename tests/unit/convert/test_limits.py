"""What is well formed but beyond a chip: one line with node, value, limit and remedy, exit code 4, from a
graph or program made by hand and from its file alike. What is not well formed stays exit code 3."""

from __future__ import annotations

import json

import numpy as np
import pytest

from convert.ir import (
    Add,
    Affine,
    Conv2d,
    ConvWeights,
    Delay,
    DenseWeights,
    Graph,
    GraphError,
    Input,
    LimitError,
    LoihiLIF,
    LoihiLIFReset,
    LoihiSigmaDelta,
    LoihiTernaryLIF,
    Population,
    Program,
    Projection,
    SparseWeights,
    StepConv,
    Unsupported,
    load_graph,
    load_program,
    save_graph,
    save_program,
)
from convert.passes.lower import lower


def refusal(make, *words, exit_code=4):
    with pytest.raises(Unsupported if exit_code == 4 else GraphError) as caught:
        make()
    said = str(caught.value)
    assert caught.value.exit_code == exit_code and "\n" not in said
    assert all(word in said for word in words), said


def linear(node, shape, model=None):
    nodes = {"input": Input(shape, "binary"), "linear": node, "lif": model or LoihiLIF(0, 1)}
    return Graph(nodes, (("input", "linear"), ("linear", "lif")), ("lif",), "integer")


def program(weights=None, back=None, **changes):
    """x -> y, and back: y -> y with this delay, where one is given."""
    populations = {
        "x": Population("x", (3,), Input((3,), "binary")),
        "y": Population("y", (3,), LoihiLIF(0, 1), 1),
    }
    made = [Projection("p", "x", "y", weights or DenseWeights(np.ones((3, 3), np.int8)), **changes)]
    if back is not None:
        made.append(Projection("q", "y", "y", DenseWeights(np.ones((3, 3), np.int8)), delay=back))
    return Program(populations, tuple(made), ("y",))


@pytest.mark.parametrize("make, said, todo", [
    (lambda: LoihiLIF(0, 1 << 17), "LoihiLIF: vth = 131072 is outside 0..131071", "17 bits: scale threshold"),
    (lambda: LoihiTernaryLIF(0, 1, -(1 << 17)), "vth_lo = -131072 is outside -131071..131071", "17 bits"),
    (lambda: LoihiLIF(4097, 1), "dv = 4097 is outside 0..4096", "12 bits"),
    (lambda: LoihiLIF(0, 1, 4096), "du = 4096 is outside 0..4095", "12 bits"),
    (lambda: LoihiLIF(0, 1, bias_mant=np.array([4096])), "bias_mant 4096..4096 is outside", "raise bias_exp"),
    (lambda: LoihiLIF(0, 1, bias_exp=8), "bias_exp = 8 is outside 0..7", "choose one that fits"),
    (lambda: LoihiSigmaDelta(1 << 23), "vth = 8388608 is outside 0..8388607", "scale threshold"),
])  # fmt: skip
def test_fields_of_neurons(make, said, todo):
    refusal(make, said, todo)


def test_fields_that_make_no_sense_are_not_well_formed():
    refusal(lambda: LoihiLIF(0, 1.5), "vth = 1.5 is no integer", exit_code=3)
    refusal(lambda: LoihiLIFReset(0, 1, 3, 3), "reset_offset 3 >= reset_interval 3", exit_code=3)


def sparse(value):
    return SparseWeights(np.arange(4), np.arange(3), np.full(3, value, np.int16), (3, 3))


def shared(value):
    kernel = np.full((1, 1, 1, 1), value, np.int16)
    return ConvWeights(kernel, (1, 1, 3), (1, 1, 3), (1, 1), (0, 0), (1, 1), 1)


@pytest.mark.parametrize("make, said, todo", [
    (lambda: program(DenseWeights(np.full((3, 3), 9)), bits=4),
     "p: weights of 0..9 do not fit 4 bits (-8..7)", ""),
    (lambda: program(sparse(-129)), "p: weights of -129..0 do not fit 8 bits (-128..127)", "down together"),
    (lambda: program(shared(128)), "p: weights of 0..128 do not fit 8 bits", "scale the weights"),
    (lambda: program(exp=9), "p: weight exponent 9 is outside -8..8", "scale the weights"),
    (lambda: program(delay=63), "p: chip delay 63 is outside 0..62", "chain relay neurons"),
    (lambda: program(back=0), "q: chip delay -1 is outside 0..62, on a cycle from y", "delay it by 1 more"),
])  # fmt: skip
def test_projections(make, said, todo):
    refusal(make, said, todo)


def test_programs_at_the_limits_are_held_and_malformed_ones_are_not():
    assert program(sparse(-128), exp=8, delay=62, back=1).chip_delay(program(delay=62).projections[0]) == 62
    refusal(lambda: program(delay=-1), "p: chip delay -1", "y needs a latency of 1 more", exit_code=3)
    refusal(lambda: program(bits=0), "p: weights of 0 bits", exit_code=3)
    refusal(lambda: program(DenseWeights(np.ones((3, 3)))), "p: weights of type float64", exit_code=3)


@pytest.mark.parametrize("between", [Affine(np.eye(2)), Delay(1)])
def test_a_cycle(between):
    """With a delay or without: only its members are named, not what is behind it."""
    nodes = {"input": Input((2,)), "sum": Add(), "fc": between, "after": Affine(np.eye(2))}
    edges = (("input", "sum"), ("sum", "fc"), ("fc", "sum"), ("fc", "after"))
    with pytest.raises(LimitError, match=r"^(sum|fc): is in a cycle through (sum, fc|fc, sum): ") as caught:
        Graph(nodes, edges, ("after",))
    assert caught.value.exit_code == 4 and "projection back" in str(caught.value)
    with pytest.raises(LimitError, match=r"^fc: is in a cycle through fc: "):
        Graph({"fc": Affine(np.eye(2))}, (("fc", "fc"),), ("fc",))


@pytest.mark.parametrize("node, shape", [
    (Affine(np.zeros((2, 3), np.int8)), (3,)),
    (StepConv(np.zeros((2, 3, 5), np.int8)), (3, 4)),
    (Conv2d(np.zeros((2, 1, 3, 3), np.int8)), (1, 4, 4)),
])  # fmt: skip
def test_matrices_of_zeros_are_not_lowered(node, shape):
    size = node.weight.size if isinstance(node, Conv2d) else 6 if len(shape) == 1 else 6 * 4 * 5
    refusal(
        lambda: lower(linear(node, shape)),
        f"lif: the weights from input are all zero ({size} of {size})",
        "remove",
    )


def test_one_delay_of_zeros_is_lowered():
    """A tap that is zero is a synapse that costs; the branch as a whole is not."""
    weight = np.zeros((2, 3, 5), np.int8)
    weight[:, :, 2] = 1
    assert len(lower(linear(StepConv(weight), (3, 4))).projections) == 5


def test_a_shared_kernel_that_does_not_fit_is_not_lowered():
    node = Conv2d(np.full((2, 1, 3, 3), 200, np.int16))
    refusal(
        lambda: lower(linear(node, (1, 4, 4))),
        "lif: weights of 0..200 do not fit 8 bits (-128..127)",
        "quantise",
    )


def edit(path, change):
    with np.load(path) as file:
        members = dict(file)
    body = json.loads(members["graph.json"].tobytes())
    change(body)
    members["graph.json"] = np.frombuffer(json.dumps(body).encode(), np.uint8)
    np.savez_compressed(path, **members)


@pytest.mark.parametrize("change, said", [
    (lambda b: b["populations"]["y"]["model"].update(vth=1 << 17), "y: LoihiLIF: vth = 131072"),
    (lambda b: b["projections"][0].update(exp=99), "p: weight exponent 99"),
    (lambda b: b["projections"][0].update(delay=99), "p: chip delay 99"),
    (lambda b: b["projections"][0].update(bits=1), "p: weights of 0..1 do not fit 1 bits"),
    (lambda b: b["projections"][1].update(delay=0), "q: chip delay -1"),
])  # fmt: skip
def test_a_program_edited_by_hand(change, said, tmp_path):
    path = tmp_path / "p.npz"
    save_program(path, program(back=1))
    edit(path, change)
    refusal(lambda: load_program(path), f"{path}: {said}")


@pytest.mark.parametrize("change, said", [
    (lambda b: b["nodes"]["lif"].update(vth=1 << 17), "lif: LoihiLIF: vth = 131072"),
    (lambda b: b["edges"].append(["linear", "linear"]), "linear: is in a cycle through linear"),
])  # fmt: skip
def test_a_graph_edited_by_hand(change, said, tmp_path):
    path = tmp_path / "g.npz"
    save_graph(path, linear(Affine(np.ones((2, 3), np.int8)), (3,)))
    edit(path, change)
    refusal(lambda: load_graph(path), f"{path}: {said}")
