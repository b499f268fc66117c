"""The reader gives slayer's own outputs: every fixture that slayer ran, exactly."""

from __future__ import annotations

import shutil

import h5py
import numpy as np
import pytest

from convert.ir import Unsupported
from convert.net_reader import read_net
from deploy.loihi_sim import LoihiSim

EXACT = [
    "dense",
    "dense_bare",
    "dense_delay",
    "dense_decays",
    "dense_equality",
    "recurrent",
    "recurrent_delay",
    "conv",
    "conv_groups",
    "conv_delay",
    "flatten",
    "pool",
    "pool_odd",
    "unpool",
    "convt",
    "norm",
    "norm_bare",
    "norm_delay",
    "norm_recurrent",
    "norm_conv",
    "norm_scale_up",
    "norm_scale_down",
    "input_neuron",
    "input_affine",
    "input_spikes",
    "rf",
    "rf_iz",
    "rf_delay",
    "rf_lsb",
    "rf_conv",
    "affine",
    "affine_bare",
    "average",
    "sdnn",
    "sdnn_output",
    "sdnn_conv",
    "sdnn_norm",
    "sdnn_delay",
]
UNIT = {"affine": 1 / 4096, "affine_bare": 1 / 4096, "average": 1 / 192, "sdnn_output": 2.0**-18}


def aligned(program, got, raw, shifts):
    """slayer's raw output in the program's steps: back by all blocks' shifts, in raw time by the last's."""
    start = 1 if program.meta["net.phase"] == "raw" else int(shifts)
    return raw[start : start + len(got)], got[: len(raw) - start]


@pytest.mark.parametrize("name", EXACT)
def test_the_program_computes_what_slayer_computed(name, exported, run):
    """Tolerance 0: integers, and floats that are integers times a power of two (or an average's 1/3)."""
    path, arrays = exported(name)
    program = read_net(path)
    out = program.outputs[0]
    got = run(program, arrays["input"])[out]
    model = program.populations[out].model
    unit = UNIT.get(name, 1 / 4096 if model.message == "graded" else 1)
    want, got = aligned(program, got, arrays["slayer"], arrays["shifts"])
    assert np.count_nonzero(want) >= 5, "vacuous case"
    different = (got * unit).astype(np.float32).reshape(want.shape) != want.astype(np.float32)
    assert not different.any()


@pytest.mark.parametrize(
    "name",
    [
        "dense_delay",
        "recurrent",
        "conv",
        "pool_odd",
        "norm_delay",
        "input_affine",
        "rf",
        "rf_iz",
        "sdnn",
        "sdnn_conv",
    ],
)
def test_loihi_sim_gives_the_same(name, exported, run):
    """The compiled simulator on the program, population by population, beside the plain integers above."""
    path, arrays = exported(name)
    program = read_net(path)
    names = [n for n in program.neurons() if program.populations[n].model.spiking]
    got = LoihiSim(threads=1).compile(program).run(arrays["input"][:, None].astype(np.float64), names)
    want = run(program, arrays["input"])
    for n in names:
        assert np.array_equal(got.rasters[n][:, 0].astype(np.int64), want[n]), n
    assert got.counts[program.outputs[0]].sum() > 10, "vacuous case"


def test_what_each_layer_becomes(exported):
    """The forms the program gets: few enough to read them off."""

    def forms(name):
        program = read_net(exported(name)[0])
        return [(p.src, p.dst, type(p.weights).__name__, p.exp, p.delay, p.port) for p in program.projections]

    assert forms("recurrent") == [
        ("input", "layer1", "DenseWeights", 0, 0, "a"), ("layer1", "layer1", "DenseWeights", 0, 1, "a")
    ]  # fmt: skip
    assert forms("pool")[0] == ("input", "layer1", "ConvWeights", 0, 0, "a")
    assert forms("pool_odd")[0][2] == "SparseWeights"
    assert {p[-1] for p in forms("rf")} == {"real", "imag"}
    assert ("layer1.always", "layer1", "DenseWeights", 0, 0, "a") in forms("norm_recurrent")
    delays = {p.delay for p in read_net(exported("recurrent_delay")[0]).projections if p.src != p.dst}
    assert len(delays) > 2
    phases = {
        n: read_net(exported(n)[0]).meta["net.phase"] for n in ("dense", "norm", "norm_conv", "sdnn_norm")
    }
    assert phases == {"dense": "aligned", "norm": "raw", "norm_conv": "aligned", "sdnn_norm": "aligned"}


REFUSED = {
    "alif": "neuron type ALIF: its threshold adapts", "adrf": "the adaptation", "adrf_iz": "the adaptation",
    "kwta": "holds nothing", "decimation": "averages 7 neurons in 0 groups",
    "norm_scale_current": "weight_exp 1",
}  # fmt: skip


@pytest.mark.parametrize("name, said", REFUSED.items(), ids=REFUSED)
def test_what_no_program_holds_is_refused(name, said, exported):
    with pytest.raises(Unsupported, match=said) as error:
        read_net(exported(name)[0])
    assert error.value.exit_code == 4 and "\n" not in str(error.value)


def test_a_delay_each_synapse_is_read_as_netx_takes_it(exported, tmp_path):
    """[out, in] and [in] delays, which slayer does not write: every synapse has its own."""
    for delays in (np.arange(63.0).reshape(7, 9), np.arange(9.0)):
        shutil.copy(exported("dense")[0], tmp_path / "a.net")
        with h5py.File(tmp_path / "a.net", "r+") as file:
            file["layer/1/delay"] = delays
        into = read_net(tmp_path / "a.net").into("layer1")
        want = np.broadcast_to(delays, (7, 9)).astype(int)
        for p in into:
            target, source, _ = p.weights.synapses()
            assert (want[target, source] == p.delay).all()
        assert sum(len(p.weights.values) for p in into) == 63


def test_the_fixtures_are_what_the_page_says(about):
    """lava-dl's own failures, as it said them: what slayer cannot export, what netx cannot load."""
    assert (
        "Average" in about["average"]["by hand"]["2"]
        and "TimeDecimation" in about["decimation"]["by hand"]["2"]
    )
    assert "no attribute 'in_channels'" in about["rf_conv"]["by hand"]["1"]
    assert "missing 1 required positional argument" in about["adrf_iz"]["slayer fails"]
    for name in ("pool", "unpool", "convt", "average"):
        assert "NotImplementedError" in about[name]["netx fails"]
    assert (
        "KeyError" in about["kwta"]["netx fails"] and "No subcompiler" in about["input_neuron"]["netx fails"]
    )
