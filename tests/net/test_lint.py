"""The linter against netx: an error where netx failed or gave other spikes than slayer, none elsewhere.

What netx did with every fixture is stored beside it (scripts/net_fixtures.py ran it on lava-dl 0.6.0).
"""

from __future__ import annotations

import shutil
from dataclasses import replace

import h5py
import numpy as np
import pytest

from convert.ir import Program
from convert.net_lint import lint, refused
from convert.net_lint_neurons import lava_decays
from convert.net_reader import read_net

CASES = (
    "adrf adrf_iz alif average conv conv_delay conv_groups convt decimation dense dense_bare dense_decays "
    "dense_delay dense_equality flatten input_affine input_neuron input_spikes kwta norm norm_bare norm_conv "
    "norm_delay norm_recurrent norm_scale_current norm_scale_down norm_scale_up pool pool_odd recurrent "
    "recurrent_delay rf rf_conv rf_delay rf_iz sdnn sdnn_conv sdnn_delay sdnn_norm sdnn_output unpool"
)
SIGMA_DELTA = (
    2  # netx's steps behind slayer, whose sigma-delta blocks hand on at once: two layers of synapses
)


def agrees(arrays, name):
    """Whether netx gave slayer's outputs, exactly; slayer's values are integers in units of 1/4096 there."""
    if "netx" not in arrays or not len(arrays["slayer"]):
        return False
    want, got, late = arrays["slayer"].astype(np.float64), arrays["netx"].astype(np.float64), 0
    if name.startswith("sdnn"):
        want, late = want * (1 << 18 if name == "sdnn_output" else 4096), SIGMA_DELTA
    return np.array_equal(want[: len(want) - late], got[late:].reshape(len(got) - late, *want.shape[1:]))


@pytest.mark.parametrize("name", CASES.split())
def test_an_error_is_found_where_netx_goes_wrong_and_nowhere_else(name, exported):
    path, arrays = exported(name)
    findings = lint(path)
    wrong_but_sdnn_input = [f for f in findings if not f.place.endswith("(input): neuron")]
    if name.startswith("sdnn"):  # netx was run with skip_layers=1 and a Delta of its own: what the fix says
        assert len(wrong_but_sdnn_input) < len(findings)
        findings = wrong_but_sdnn_input
    assert refused(findings) != agrees(arrays, name), findings


def test_the_lost_bit_is_the_one_lava_loses(exported):
    """Real netx's decays on real Lava, stored with the fixture, beside our replay of both formulas."""
    _, arrays = exported("rf_lsb")
    with h5py.File(exported("rf_lsb")[0]) as file:
        decays = tuple(int(file[f"layer/1/neuron/{k}"][()]) for k in ("sinDecay", "cosDecay"))
    assert lava_decays(*decays) == tuple(arrays["netx_decays"]) != decays
    for name in ("rf", "rf_iz"):
        with h5py.File(exported(name)[0]) as file:
            decays = tuple(int(file[f"layer/2/neuron/{k}"][()]) for k in ("sinDecay", "cosDecay"))
        assert lava_decays(*decays) == tuple(exported(name)[1]["netx_decays"]) == decays


def test_the_threshold_where_slayer_spikes_at_equality_is_noted(exported):
    """slayer's threshold_eps is 0.01 of a count; at 64.0 float32 loses it, and both sides then differ."""
    path, arrays = exported("dense_equality_large")
    (found,) = lint(path)
    assert found.severity == "note" and found.place == "layer 1 (dense): neuron/vThMant"
    assert not agrees(arrays, "dense_equality_large") and arrays["netx"].any() and arrays["slayer"].any()


def put(name, value):
    def edit(file):
        if name in file:
            del file[name]
        if value is not None:
            file[name] = value

    return edit


def kind(i, name):
    return put(f"layer/{i}/type", np.array([name], "S10"))


W1, W3 = "layer 1 (conv): ", "layer 3 (dense): "
N3 = f"{W3}neuron/"
CONV, DENSE = "layer/1/weight", "layer/3/weight"


def matrix(*values):
    return np.resize(np.array(values, np.float32), (5, 32))


# edit of a good file (input 2x6x5, conv, flatten, dense) -> severity, place, words of what netx does
CLAIMS = {
    "fractions": (put(DENSE, matrix(2.5)), "error", f"{W3}weight", "cuts it off"),
    "nan": (put(DENSE, matrix(np.nan)), "error", f"{W3}weight", "casts"),
    "all zero": (put(DENSE, matrix(0)), "error", f"{W3}weight", "OverflowError"),
    "clipped": (put(DENSE, matrix(300, -4)), "error", f"{W3}weight", "clips them to -256..254"),
    "one sign": (put(DENSE, matrix(300)), "error", f"{W3}weight", "negative number of bits"),
    "nine bits": (put(DENSE, matrix(253, -255)), "error", f"{W3}weight", "lowest bit"),
    "conv beyond 8 bits": (put(CONV, np.full((4, 2, 3, 2), 400.0)), "warning", f"{W1}weight", "raw"),
    "conv sums": (put(CONV, np.full((4, 2, 3, 2), 8e5)), "warning", f"{W1}weight", "wraps each sum"),
    "conv zero": (put(CONV, np.zeros((4, 2, 3, 2))), "warning", f"{W1}weight", "never fires"),
    "conv delay": (put("layer/1/delay", np.ones(4)), "error", f"{W1}delay", "ignores"),
    "conv shape": (put("layer/1/shape", [4, 2, 5]), "error", f"{W1}shape", "RuntimeError"),
    "conv without neuron": (put("layer/1/neuron", None), "error", f"{W1}neuron", "KeyError"),
    "late": (put("layer/3/delay", np.full(5, 70.0)), "error", f"{W3}delay", "clips it to 62"),
    "half a step": (put("layer/3/delay", np.full(5, 1.5)), "warning", f"{W3}delay", "cuts"),
    "negative delay": (put("layer/3/delay", np.full(5, -1.0)), "error", f"{W3}delay", "ValueError"),
    "delays of nothing": (put("layer/3/delay", np.ones(3)), "error", f"{W3}delay", "RuntimeError"),
    "bias": (put("layer/3/bias", np.full(5, 6.0)), "error", f"{W3}bias", "integrates it from step 1"),
    "bias of 17 bits": (put("layer/3/bias", np.full(5, 4e4)), "error", f"{W3}bias", "wraps it to 16 bits"),
    "bias of 14 bits": (put("layer/3/bias", np.full(5, 5000.0)), "warning", f"{W3}bias", "13 bits"),
    "bias count": (put("layer/3/bias", np.ones(3)), "error", f"{W3}bias", "RuntimeError"),
    "inFeatures": (put("layer/3/inFeatures", 31), "warning", f"{W3}inFeatures", "never reads it"),
    "outFeatures": (put("layer/3/outFeatures", 6), "warning", f"{W3}outFeatures", "never reads it"),
    "shape": (put("layer/3/shape", np.array([6])), "error", f"{W3}shape", "RuntimeError"),
    "product": (put("layer/3/shape", np.array([5, 1, 1])), "note", f"{W3}shape", "multiplies"),
    "inputs": (put("layer/3/weight", np.full((5, 31), 2.0)), "error", f"{W3}weight", "connects"),
    "branch": (put("layer/3/inputs", np.array([0, 1])), "error", f"{W3}inputs", "takes the layer before"),
    "foreign": (put("layer/3/note", 1), "warning", f"{W3}note", "ignores"),
    "no flatten": (kind(2, "dropout"), "error", "layer 2 (dropout)", "skips the layer"),
    "pool": (kind(1, "pool"), "error", "layer 1 (pool)", "NotImplementedError"),
    "complex type": (kind(3, "dense_comp"), "error", "layer 3 (dense_comp)", "AttributeError"),
    "no type": (put("layer/3/type", None), "error", "layer 3 (no type)", "KeyError"),
    "late input": (kind(3, "input"), "error", "layer 3 (input)", "unconnected"),
    "gap": (lambda f: f.move("layer/3", "layer/7"), "error", "layer", "fails"),
    "beside": (put("notes", 1), "warning", "notes", "ignores"),
    "simulation": (put("simulation/Ts", 1), "note", "simulation", "ignores"),
    "neuron type": (put("layer/3/neuron/type", "LIF"), "error", f"{N3}type", "AttributeError"),
    "refractory": (put("layer/3/neuron/refDelay", 2), "error", f"{N3}refDelay", "no refractory period"),
    "graded": (put("layer/3/neuron/gradedSpike", True), "error", f"{N3}gradedSpike", "binary spikes"),
    "scale": (put("layer/3/neuron/weight_exp", [1.0]), "error", f"{N3}weight_exp", "ignores"),
    "no scale": (put("layer/3/neuron/weight_exp", [0.0]), "note", f"{N3}weight_exp", "ignores"),
    "messages": (put("layer/3/neuron/messageBits", 8), "error", f"{N3}messageBits", "TypeError"),
    "adaptation": (put("layer/3/neuron/thDecay", 8), "warning", f"{N3}thDecay", "ignores"),
    "threshold": (put("layer/3/neuron/vThMant", 200000), "error", f"{N3}vThMant", "no chip holds it"),
    "affine": (put("layer/3/neuron/vThMant", 262143), "warning", f"{N3}vThMant", "never spike"),
    "no leak": (put("layer/3/neuron/iDecay", 0), "warning", f"{N3}iDecay", "du = -1"),
    "decay": (put("layer/3/neuron/vDecay", 5000), "error", f"{N3}vDecay", "0..4096"),
    "no neuron": (put("layer/3/neuron", None), "error", f"{W3}neuron", "sums every current"),
}  # fmt: skip


@pytest.mark.parametrize("edit, severity, place, does", CLAIMS.values(), ids=CLAIMS)
def test_every_edit_of_a_good_file_is_found(edit, severity, place, does, exported, tmp_path):
    good, _ = exported("flatten")
    assert lint(good) == []
    shutil.copy(good, tmp_path / "a.net")
    with h5py.File(tmp_path / "a.net", "r+") as file:
        edit(file)
    found = [f for f in lint(tmp_path / "a.net") if f.place == place and f.severity == severity]
    assert any(does in f.netx for f in found), lint(tmp_path / "a.net")
    assert all(f.fix and f.found and "\n" not in str(f) for f in found)


@pytest.mark.parametrize("name", ["norm", "norm_bare", "norm_conv"])
def test_netx_begins_a_bias_one_step_before_slayer(name, exported, run):
    """Our program with each bias a step earlier, and nothing else changed, gives netx's spikes exactly."""
    path, arrays = exported(name)
    p = read_net(path)
    early = {n: replace(q, latency=0) for n, q in p.populations.items()}
    late = [replace(q, delay=1) for q in p.projections]  # every layer's input comes one chip step later
    got = run(Program(early, late, p.outputs), arrays["input"])[p.outputs[0]]
    want = arrays["netx"][: len(got)].astype(np.int64)
    assert want.sum() > 20, "vacuous case"
    assert np.array_equal(got, want) and not agrees(arrays, name)
