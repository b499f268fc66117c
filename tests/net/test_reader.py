"""The reader gives slayer's own outputs: every fixture that slayer ran, exactly."""

from __future__ import annotations

import numpy as np
import pytest

from convert.net_reader import read_net

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
def test_the_program_computes_what_slayer_computed(name, case, run):
    """Tolerance 0: integers, and floats that are integers times a power of two (or an average's 1/3)."""
    path, arrays = case(name)
    program = read_net(path)
    out = program.outputs[0]
    got = run(program, arrays["input"])[out]
    model = program.populations[out].model
    unit = UNIT.get(name, 1 / 4096 if model.message == "graded" else 1)
    want, got = aligned(program, got, arrays["slayer"], arrays["shifts"])
    assert np.count_nonzero(want) >= 5, "vacuous case"
    different = (got * unit).astype(np.float32).reshape(want.shape) != want.astype(np.float32)
    assert not different.any()
