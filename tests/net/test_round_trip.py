"""Round trips: a file netx loads rightly comes back dataset for dataset, a program comes back as it was."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from convert.ir import (
    DenseWeights,
    Input,
    LoihiLIF,
    LoihiRF,
    LoihiRFIZ,
    LoihiSigmaDelta,
    Population,
    Program,
    Projection,
    Unsupported,
)
from convert.net_lint import lint, refused
from convert.net_reader import read_net
from convert.to_lava import difference, write_net

EXACT = "dense dense_decays dense_delay dense_equality conv conv_groups flatten recurrent rf rf_iz sdnn"
SIGMA = "sdnn_output sdnn_delay"
REFUSED = {
    "norm": "has a bias", "norm_delay": "has a bias", "rf_lsb": "period",
    "norm_recurrent": "chain", "rf_delay": "ignores", "affine": "LoihiIntegrator", "input_affine": "chain",
    "input_neuron": "graded input", "norm_scale_up": "has a bias",
    "sdnn_norm": "a bias", "sdnn_conv": "wraps", "average": "LoihiIntegrator",
}  # fmt: skip


def datasets(path):
    found = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, item: found.update({name: item}) or None)
        return {
            name: (item.dtype, item.shape, item[()])
            for name, item in found.items()
            if isinstance(item, h5py.Dataset)
        }


@pytest.mark.parametrize("name", f"{EXACT} {SIGMA}".split())
def test_a_file_comes_back_dataset_for_dataset(name, exported, tmp_path):
    """Names, types, shapes and values; the files are lava-dl's own."""
    path, _ = exported(name)
    write_net(tmp_path / "again.net", read_net(path))
    want, got = datasets(path), datasets(tmp_path / "again.net")
    assert set(got) == set(want) and len(want) > 8
    for key, (dtype, shape, value) in want.items():
        assert (got[key][0], got[key][1]) == (dtype, shape), key
        assert np.array_equal(got[key][2], value), key


@pytest.mark.parametrize("name, said", REFUSED.items(), ids=REFUSED)
def test_what_netx_would_get_wrong_is_not_written(name, said, exported, tmp_path):
    program = read_net(exported(name)[0])
    with pytest.raises(Unsupported, match=said) as error:
        write_net(tmp_path / "a.net", program)
    assert error.value.exit_code == 4 and "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["pool", "pool_odd", "unpool", "convt", "conv_delay", "recurrent_delay"])
def test_layers_netx_gets_wrong_are_rewritten(name, exported, tmp_path):
    """Pools as grouped convolutions or dense layers, a convolution's delays as a dense layer's, and so on:
    the same program, in a file in which the linter finds no error."""
    program = read_net(exported(name)[0])
    assert refused(lint(exported(name)[0]))
    write_net(tmp_path / "a.net", program)
    assert difference(program, read_net(tmp_path / "a.net")) is None
    assert not refused(lint(tmp_path / "a.net"))


def program(model, into, back=None, delays=(0,), message="binary", source=None):
    """Input 6 -> 4 neurons; into: one matrix a port; each delay takes its share of the rows."""
    before = source or Input((6,), message)
    populations = {"x": Population("x", (6,), before, 0), "y": Population("y", (4,), model, 1)}
    projections = []
    for port, matrix in zip(model.ports, into, strict=True):
        for i, delay in enumerate(delays):
            keep = (np.arange(4) % len(delays) == i)[:, None]
            weights = DenseWeights(matrix if len(delays) == 1 else (matrix * keep).astype(np.int8))
            projections.append(Projection(f"{port}{delay}", "x", "y", weights, 1, delay, 8, port))
    if back is not None:
        projections.append(Projection("back", "y", "y", DenseWeights(back), 1, 1))
    return Program(populations, projections, ("y",))


def weights(seed, *shape):
    return np.random.default_rng(seed).integers(-100, 120, shape).astype(np.int8)


PROGRAMS = {
    "lif": program(LoihiLIF(dv=9, vth=70), [weights(0, 4, 6)]),
    "decays": program(LoihiLIF(dv=np.arange(4), vth=70, du=np.arange(4) + 9), [weights(1, 4, 6)]),
    "recurrent": program(LoihiLIF(dv=9, vth=70), [weights(2, 4, 6)], weights(3, 4, 4)),
    "delay": program(LoihiLIF(dv=9, vth=70), [weights(4, 4, 6)], delays=(7,)),
    "rf": program(LoihiRF(2882, 2298, 40), [weights(5, 4, 6), weights(6, 4, 6)]),
    "rf_iz": program(LoihiRFIZ(2882, 2298, 40), [weights(5, 4, 6), weights(6, 4, 6)]),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_comes_back_as_it_was(name, tmp_path):
    """Shapes, latencies, neurons, what each weight is worth, delays; names and mantissas may differ."""
    write_net(tmp_path / "a.net", PROGRAMS[name])
    assert difference(PROGRAMS[name], read_net(tmp_path / "a.net")) is None


def test_a_delay_each_neuron_comes_back(tmp_path, exported):
    """Delays that differ become projections that share the neurons among them; read back, the same ones."""
    p = read_net(exported("dense_delay")[0])
    assert len(p.projections) > 4
    write_net(tmp_path / "a.net", p)
    assert difference(p, read_net(tmp_path / "a.net")) is None


def test_a_difference_is_found():
    """The comparison itself: it must tell other weights, neurons and delays apart."""
    a = PROGRAMS["lif"]
    assert difference(a, program(LoihiLIF(dv=9, vth=71), [weights(0, 4, 6)])) == "y"
    assert difference(a, program(LoihiLIF(dv=9, vth=70), [weights(1, 4, 6)])) == "a0"
    assert difference(a, PROGRAMS["delay"]) == "a delay"
    assert difference(a, PROGRAMS["recurrent"]) == "a delay"


LOSSY = {
    "decays that lose a bit": (LoihiRF(2607, 2607, 40), 2, "goes through a period"),
    "state exponent": (LoihiRF(2882, 2298, 40, 5), 2, "state_exp 5"),
    "sigma-delta without its input": (LoihiSigmaDelta(8, 0, 6, 6), 1, "graded"),
}


@pytest.mark.parametrize("model, ports, said", LOSSY.values(), ids=LOSSY)
def test_a_neuron_netx_would_change_is_refused(model, ports, said, tmp_path):
    with pytest.raises(Unsupported, match=said):
        write_net(tmp_path / "a.net", program(model, [weights(5, 4, 6)] * ports))
