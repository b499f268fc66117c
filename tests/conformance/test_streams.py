"""A stream is the whole window, frame by frame: on every target that streams, for every graph of the corpus.

Integer form: readouts after each frame, spikes of each frame, summed: equal, tolerance zero. Float form:
float32 on both sides, the step graph against the scan graph, whose products may be summed in another order.
"""

from __future__ import annotations

import numpy as np
import pytest

from convert.ir import Unsupported
from convert.passes.lower import lower
from deploy.stream import accumulated, open_stream
from deploy.target import TARGETS
from deploy.target import target as find

STREAMING = [name for name in TARGETS if find(name).streams]
STEPS, SAMPLES = 14, 2
RTOL, ATOL = 1e-5, 1e-5  # as in test_targets: float32 sums of some tens of products of order 1


def prefixes(graph, x, name):
    """Outputs of the whole-window run on the first 1, 2, ... frames, and whether anything spiked."""
    runner = find(name).compile(graph)
    records = [runner.run(x[: t + 1]) for t in range(len(x))]
    assert all(records[-1].counts[n].any() for n in graph.spiking()), "vacuous case"
    return [r.outputs for r in records]


def streamed(stream, graph, x):
    """What the stream's frames amount to so far, after each frame."""
    totals, found = {}, []
    for frame in x:
        got = stream(frame)
        assert tuple(got) == graph.outputs
        for name, value in got.items():
            totals[name] = accumulated(totals.get(name), value, graph.nodes[name].spiking)
        found.append(dict(totals))
    return found


def model_of(name, graph):
    return graph if "integer" in find(name).takes else lower(graph)


def test_onnx_and_the_simulator_stream():
    assert {"onnx", "loihi-sim"} <= set(STREAMING)


@pytest.mark.parametrize("name", STREAMING)
def test_integer_stream_is_the_whole_window(name, integer_case):
    graph, x = integer_case.graph, integer_case.x(STEPS, SAMPLES, seed=5)
    stream = open_stream(name, model_of(name, graph), SAMPLES)
    want = prefixes(graph, x, "reference")
    for t, got in enumerate(streamed(stream, graph, x)):
        for output, value in got.items():
            np.testing.assert_array_equal(value, want[t][output], err_msg=f"{output} after frame {t}")
            assert value.dtype == np.int64


def test_float_stream_is_the_whole_window(case):
    graph, x = case.graph, case.x(STEPS, SAMPLES, seed=5)
    want = prefixes(graph, x, "onnx")
    for t, got in enumerate(streamed(open_stream("onnx", graph, SAMPLES), graph, x)):
        for output, value in got.items():
            np.testing.assert_allclose(value, want[t][output], RTOL, ATOL, err_msg=f"{output} {t}")


@pytest.mark.parametrize("name", STREAMING)
@pytest.mark.parametrize("case_name", ["step-conv", "int-delay", "two-outputs"])
def test_a_state_goes_on_in_another_stream(name, case_name, integer_of):
    """Cut at odd and even frames; the second stream has run something else before."""
    case = integer_of(case_name)
    model, x = model_of(name, case.graph), case.x(STEPS, SAMPLES, seed=6)
    one = open_stream(name, model, SAMPLES)
    whole = [one(frame) for frame in x]
    assert any(v.any() for v in whole[-1].values())
    for cut in (1, 5, 8):
        first, second = open_stream(name, model, SAMPLES), open_stream(name, model, SAMPLES)
        for frame in x[:cut]:
            first(frame)
        second(x[-1])
        second.restore(first.state())
        assert second.frames == cut
        for t in range(cut, STEPS):
            for output, value in second(x[t]).items():
                np.testing.assert_array_equal(value, whole[t][output], err_msg=f"{output} {t} cut at {cut}")
    one.reset()
    assert one.frames == 0
    for output, value in one(x[0]).items():
        np.testing.assert_array_equal(value, whole[0][output])


@pytest.mark.parametrize("name", [n for n in TARGETS if not find(n).streams])
def test_targets_without_streams_refuse(name, integer_of):
    with pytest.raises(Unsupported, match=f"^{name}: .*whole windows.*; stream on"):
        open_stream(name, model_of(name, integer_of("dense").graph))
