"""`.net` files without Lava: written, read back, refused. Lava itself reads them in tests/conformance."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from convert.ir import (
    ArtifactError,
    ConvWeights,
    DenseWeights,
    Input,
    LoihiIntegrator,
    LoihiLIF,
    Population,
    Program,
    Projection,
    Unsupported,
)
from convert.net_reader import read_net
from convert.net_weights import fault
from convert.to_lava import chain_reasons, write_net

LIF = LoihiLIF(dv=512, vth=70, du=1000)


def population(name, shape, model, latency):
    return Population(name, shape, model, latency)


def chain(**changes):
    """Input 2x5x4, conv, dense with a delay; `changes` replace populations' models or projections' fields."""
    rng = np.random.default_rng(0)
    kernel = rng.integers(-9, 12, (3, 2, 2, 3)).astype(np.int8)
    conv = ConvWeights(kernel, (2, 5, 4), (3, 4, 4), (1, 1), (0, 1), (1, 1), 1)
    dense = DenseWeights(rng.integers(-128, 128, (6, 48)).astype(np.int8))
    populations = {
        "input": population("input", (2, 5, 4), changes.get("input", Input((2, 5, 4), "binary")), 0),
        "layer1": population("layer1", (3, 4, 4), changes.get("layer1", LIF), 1),
        "layer3": population("layer3", (6,), changes.get("layer3", LIF), changes.get("latency", 2)),
    }
    a = {"weights": conv} | changes.get("a", {})
    b = {"weights": dense, "exp": 1, "delay": 4} | changes.get("b", {})
    projections = [
        Projection("input->layer1", "input", "layer1", **a),
        Projection("layer1->layer3", "layer1", "layer3", **b),
        *changes.get("more", ()),
    ]
    return Program(populations, projections, changes.get("outputs", ("layer3",)))


def worth(p):
    return p.weights.to_dense() * 2**p.exp


def test_round_trip(tmp_path):
    program = chain()
    write_net(tmp_path / "a.net", program)
    back = read_net(tmp_path / "a.net")
    assert list(back.populations) == list(program.populations)
    assert back.outputs == program.outputs
    for name, want in program.populations.items():
        got = back.populations[name]
        assert (got.shape, got.latency, type(got.model)) == (want.shape, want.latency, type(want.model))
        assert got.model.fields() == want.model.fields()
    for got, want in zip(back.projections, program.projections, strict=True):
        assert (got.name, got.src, got.dst, got.delay, got.exp) == (
            want.name,
            want.src,
            want.dst,
            want.delay,
            want.exp,
        )
        assert type(got.weights) is type(want.weights)
        assert np.array_equal(worth(got), worth(want))
    write_net(tmp_path / "b.net", back)
    assert (tmp_path / "a.net").read_bytes() == (tmp_path / "b.net").read_bytes()


def test_the_container_is_slayers(tmp_path):
    write_net(tmp_path / "a.net", chain())
    with h5py.File(tmp_path / "a.net") as file:
        types = [file[f"layer/{i}/type"] for i in range(4)]
        assert [t[0].decode() for t in types] == ["input", "conv", "flatten", "dense"]
        assert all(t.shape == (1,) and t.dtype == "S10" for t in types)
        dense, neuron = file["layer/3"], file["layer/3/neuron"]
        assert neuron["type"][()] == b"CUBA" and neuron["type"].shape == ()
        assert {k: neuron[k][()] for k in ("iDecay", "vDecay", "vThMant", "refDelay", "gradedSpike")} == {
            "iDecay": 1001, "vDecay": 512, "vThMant": 70, "refDelay": 1, "gradedSpike": False,
        }  # fmt: skip
        assert dense["weight"].dtype == np.float32 and dense["delay"][()].tolist() == [4] * 6
        assert file["layer/1/weight"].shape == (3, 2, 2, 3)
        assert not file.attrs and not dense.attrs


def test_weights_of_one_sign_keep_their_ninth_bit(tmp_path):
    matrix = np.array([[255, 3] + [0] * 46], np.int16).repeat(6, axis=0)
    program = chain(b={"weights": DenseWeights(matrix), "exp": 0, "bits": 9})
    write_net(tmp_path / "a.net", program)
    back = read_net(tmp_path / "a.net").projections[1]
    assert (back.bits, back.exp) == (9, 0)
    assert np.array_equal(back.weights.matrix, matrix)


DENSE = np.full((6, 48), 2, np.int8)
REFUSED = {
    "graded input": ({"input": Input((2, 5, 4), "graded")}, "input: graded input"),
    "readout": ({"layer3": LoihiIntegrator()}, "layer3: LoihiIntegrator"),
    "bias": ({"layer1": LoihiLIF(dv=1, vth=9, bias_mant=np.array(3))}, "layer1: has a bias"),
    "branch": ({"more": (Projection("skip", "input", "layer3", DenseWeights(np.ones((6, 40), np.int8))),)},
               "input: branches into input->layer1, skip"),
    "two inputs": ({"layer1": Input((3, 4, 4), "binary")}, "2 inputs"),
    "conv delay": ({"a": {"delay": 2}}, "netx ignores the delay of a conv"),
    "idle": ({"latency": 4}, "2 idle steps"),
    "exponent": ({"b": {"exp": -1, "weights": DenseWeights(DENSE + 1)}}, "drops bits of the sum"),
    "range": ({"b": {"exp": 3, "weights": DenseWeights(DENSE * 30)}}, "outside -256..255"),
    "zeros": ({"b": {"weights": DenseWeights(DENSE * 0)}}, "all weights are zero"),
    "outputs": ({"outputs": ("layer1", "layer3")}, "gives its last layer"),
}  # fmt: skip


@pytest.mark.parametrize("changes, said", REFUSED.values(), ids=REFUSED)
def test_what_is_no_chain_is_refused(changes, said, tmp_path):
    program = chain(**changes)
    assert any(said in reason for reason in chain_reasons(program)), chain_reasons(program)
    with pytest.raises(Unsupported) as error:
        write_net(tmp_path / "a.net", program)
    assert error.value.exit_code == 4 and "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


def test_an_exponent_below_zero_that_drops_nothing_is_written(tmp_path):
    assert not chain_reasons(chain(b={"exp": -1, "weights": DenseWeights(DENSE)}))


@pytest.mark.parametrize("weights, holds", [
    ([[-12, 10]], True), ([[254, -256]], True), ([[255, 0]], True), ([[-255, -1]], True),
    ([[127, -128]], True),
    ([[253, -255]], False), ([[-256, -1]], False), ([[129, -2]], False), ([[256, 0]], False),
])  # fmt: skip
def test_what_a_synapse_holds(weights, holds):
    assert (fault(np.array(weights)) is None) is holds


def edited(path, edit):
    write_net(path, chain())
    with h5py.File(path, "r+") as file:
        edit(file)
    return path


def put(name, value):
    def edit(file):
        if name in file:
            del file[name]
        file[name] = value

    return edit


FOREIGN = {
    "unknown layer": (
        put("layer/1/type", np.array([b"lstm"], "S10")),
        r"layer 1 \(lstm\): layer type 'lstm'",
    ),
    "message bits": (put("layer/3/neuron/messageBits", 8), "neuron/messageBits is not understood"),
    "neuron": (put("layer/3/neuron/type", "ALIF"), "neuron type ALIF: its threshold adapts"),
    "bias": (put("layer/3/bias", np.full(6, 5000.0)), "bias 5000..5000 is outside -4095..4095"),
    "norm": (put("layer/3/neuron/weight_exp", 1.0), "neuron/weight_exp 1 divides a current"),
    "branch": (put("layer/3/inputs", np.array([0, 1])), "dataset inputs names an input: a branch"),
    "concat": (put("layer/3/type", np.array([b"concat"], "S10")), "joins several layers"),
    "zeros": (put("layer/3/weight", np.zeros((6, 48))), "all 288 weights are zero"),
    "diverged": (put("layer/3/weight", np.full((6, 48), np.nan)), "NaN or infinity"),
    "threshold": (put("layer/3/neuron/vThMant", 200000), r"vThMant is 200000, outside 0..131071 \(17 bits\)"),
    "affine inside": (put("layer/1/neuron/vThMant", 262143), "a layer without spikes"),
    "odd weights": (
        put("layer/3/weight", np.full((6, 48), 253) * np.where(np.eye(6, 48), -1, 1)),
        "odd weights of both signs",
    ),
    "no leak": (put("layer/3/neuron/iDecay", 0), r"iDecay is 0..0, outside 1..4096"),
    "second input": (put("layer/3/type", np.array([b"input"], "S10")), "an input layer inside"),
    "fractions": (put("layer/3/weight", np.full((6, 48), 0.5)), "holds fractions"),
    "late": (put("layer/3/delay", np.full(6, 63.0)), "outside 0..62"),
    "graded": (put("layer/3/neuron/gradedSpike", True), "neuron/gradedSpike is True"),
    "decays": (put("layer/3/neuron/vDecay", np.arange(5)), r"neuron/vDecay of shape \(5,\)"),
    "thresholds": (put("layer/3/neuron/vThMant", np.arange(6)), "holds 6 different values"),
    "range": (put("layer/3/weight", np.full((6, 48), 300.0)), "outside -256..255"),
    "root": (put("notes", 1), "holds notes beside its layers"),
    "input neuron": (put("layer/0/weight", 64.0), "dataset weight is not understood"),
    "no flatten": (
        put("layer/2/type", np.array([b"dense"], "S10")),
        "without a flatten",
    ),
}


@pytest.mark.parametrize("edit, said", FOREIGN.values(), ids=FOREIGN)
def test_nothing_of_a_file_is_ignored(edit, said, tmp_path):
    with pytest.raises((Unsupported, ArtifactError), match=said) as error:
        read_net(edited(tmp_path / "a.net", edit))
    assert error.value.exit_code in (3, 4) and "\n" not in str(error.value)
    if "layer type" in said:
        assert error.value.exit_code == 4


def only_the_input(file):
    for i in (1, 2, 3):
        del file[f"layer/{i}"]


BROKEN = {
    "nothing but an input": (only_the_input, "no layer of neurons comes last"),
    "missing dataset": (lambda f: f.pop("layer/3/weight"), "no dataset 'weight'"),
    "gap": (lambda f: f.move("layer/3", "layer/7"), "expected groups 0..3"),
    "features": (put("layer/3/inFeatures", 7), "inFeatures is 7"),
    "shape": (put("layer/1/shape", np.array([3, 4, 5])), "the conv gives"),
    "dimensions": (put("layer/3/weight", np.ones((6, 47))), "between 48 sources and 6 neurons"),
}


@pytest.mark.parametrize("edit, said", BROKEN.values(), ids=BROKEN)
def test_a_broken_file_is_said(edit, said, tmp_path):
    with pytest.raises(ArtifactError, match=said) as error:
        read_net(edited(tmp_path / "a.net", edit))
    assert error.value.exit_code == 3 and "\n" not in str(error.value)


def test_no_file_and_no_hdf5(tmp_path):
    with pytest.raises(ArtifactError, match="no such file"):
        read_net(tmp_path / "none.net")
    write_net(tmp_path / "a.net", chain())
    whole = (tmp_path / "a.net").read_bytes()
    for content in (b"", b"not hdf5", whole[: len(whole) // 2]):
        (tmp_path / "b.net").write_bytes(content)
        with pytest.raises(ArtifactError, match="not a readable"):
            read_net(tmp_path / "b.net")
