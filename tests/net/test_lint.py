"""The linter against netx: an error where netx failed or gave other spikes than slayer, none elsewhere.

What netx did with every fixture is stored beside it (scripts/net_fixtures.py ran it on lava-dl 0.6.0).
"""

from __future__ import annotations

import numpy as np
import pytest

from convert.net_lint import lint, refused

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
def test_an_error_is_found_where_netx_goes_wrong_and_nowhere_else(name, case):
    path, arrays = case(name)
    findings = lint(path)
    wrong_but_sdnn_input = [f for f in findings if not f.place.endswith("(input): neuron")]
    if name.startswith("sdnn"):  # netx was run with skip_layers=1 and a Delta of its own: what the fix says
        assert len(wrong_but_sdnn_input) < len(findings)
        findings = wrong_but_sdnn_input
    assert refused(findings) != agrees(arrays, name), findings
