"""One suite for every target: what a graph of the corpus means does not depend on where it runs.

Integer form: spikes of every layer at every step and readout values equal the integer reference's, exactly.
Float form: spikes are equal where no membrane comes within MARGIN of its threshold; readouts within RTOL.
Lava starts anew for each run, which costs seconds: it takes the cases of LAVA, one run each; the other tests
have `fast_target`. Its edges and limits are in test_lava_arithmetic.py, many to a network.
"""

from __future__ import annotations

import numpy as np
import pytest

from convert.ir import BadInput, Graph, LoihiLIF, Unsupported
from convert.ir.loihi import STATE_SHIFT
from convert.passes.lower import lower
from deploy.reference import membrane, values
from deploy.target import kind
from deploy.target import target as find
from deploy.verify import compare

# float32 against float64: sums of some tens of products of order 1, each off by 2^-24, over some tens of
# steps that forget, give errors of about 1e-6; ten times that decides who may be compared, or how closely.
MARGIN = 1e-5
RTOL = 1e-5

# (target, case) -> reason: what a target says it cannot hold. Every exception to "all equal" is a line here.
CANNOT: dict[tuple[str, str], str] = {}

# Between them: dense and shared weights, residuals of two latencies, delays, graded input with a floor shift,
# currents that wrap, sums on the threshold, a clip at every step with attention over its joints.
LAVA = (
    "frames",
    "conv",
    "two-outputs",
    "step-conv",
    "int-delay",
    "int-negative-exp",
    "int-wrap",
    "int-threshold",
)


def model_of(target, graph: Graph):
    """The integer graph in the form the target takes."""
    return graph if "integer" in target.takes else lower(graph)


def compiled(target, case):
    """The runner of an integer case, or a skip by a line of the table; any other refusal fails."""
    model = model_of(target, case.graph)
    reasons = target.supports(model)
    if (target.name, case.name) in CANNOT:
        assert reasons, f"{target.name} can hold {case.name} now: take its line out of the table"
        pytest.skip(CANNOT[target.name, case.name])
    assert not reasons, reasons
    return target.compile(model)


def run(runner, x, graph):
    try:
        return runner.run(x, graph.spiking())
    finally:
        runner.close()


def reference(graph, x):
    return find("reference").compile(graph).run(x, graph.spiking())


def same(target, graph, got, want):
    """Zero mismatching spikes, counts and outputs of the right type and the same numbers."""
    result = compare(target.name, True, graph.spiking(), want, got)
    assert result.first is None, str(result.first)
    assert result.values_off == 0, (got.outputs, want.outputs)
    assert result.passed
    # A program counts its coincidence neurons too, of which a graph has only the sums.
    assert set(want.counts) == set(graph.spiking())
    assert set(want.counts) <= set(got.counts) <= {*graph.spiking(), *graph.products()}
    for name in graph.spiking():
        assert got.rasters[name].dtype == np.uint8
        assert got.counts[name].dtype == np.int64
        np.testing.assert_array_equal(got.counts[name], want.counts[name])
    assert tuple(got.outputs) == tuple(want.outputs) == graph.outputs
    for name in graph.outputs:
        assert got.outputs[name].dtype == np.int64
        assert got.outputs[name].shape == (got.samples, *graph.shapes[name])
        np.testing.assert_array_equal(got.outputs[name], want.outputs[name])
    assert got.steps == want.steps
    return result


def on_threshold(graph, x):
    """How often a membrane of the integer graph lies exactly on its threshold."""
    got, found = values(graph, x), 0
    for name in graph.spiking():
        source = got[graph.inputs_of(name)[0]].astype(np.int64)
        before = membrane(graph.nodes[name], source)[1]
        found += int((before == graph.nodes[name].vth << STATE_SHIFT).sum())
    return found


def test_integer_spikes_are_the_references(fast_target, integer_case):
    """100 steps (style, section 8): many resets, several samples."""
    check_spikes(fast_target, integer_case, 100, 5)


@pytest.mark.lava
@pytest.mark.parametrize("name", LAVA)
def test_integer_spikes_are_the_references_in_lava(lava, name, integer_of):
    """20 steps: Lava is slow."""
    check_spikes(lava, integer_of(name), 20, 3)


def check_spikes(target, case, steps, samples):
    graph, x = case.graph, case.x(steps, samples, seed=21)
    want = reference(graph, x)
    assert all(want.rasters[n].any() for n in graph.spiking()), "vacuous case"
    result = same(target, graph, run(compiled(target, case), x, graph), want)
    assert result.spikes > 20
    assert result.populations == len(graph.spiking())


def test_one_step_and_one_sample(fast_target, integer_case):
    check_sizes(fast_target, integer_case, [(1, 1), (1, 4), (6, 1), (2, 2)])


@pytest.mark.lava
def test_one_step_and_one_sample_in_lava(lava, integer_of):
    check_sizes(lava, integer_of("int-delay"), [(1, 1)])


def check_sizes(target, case, sizes):
    for steps, samples in sizes:
        x = case.x(steps, samples, seed=steps)
        same(target, case.graph, run(compiled(target, case), x, case.graph), reference(case.graph, x))


def test_inputs_at_the_edges(fast_target, integer_case):
    """Nothing at all; everything at its largest; everything negative where that exists; one spike."""
    graph, source = integer_case.graph, integer_case.source
    runner = compiled(fast_target, integer_case)
    top = 1 if source.operand == "binary" else source.limit * source.scale * 2  # twice: the encoding clips
    ones = np.ones((9, 2, *source.shape))
    impulse = 0 * ones
    impulse[2, 0].flat[0] = top
    edges = [0 * ones, top * ones, impulse] + ([] if source.operand == "binary" else [-top * ones])
    fired = 0
    for x in edges:
        x = x.astype(np.uint8) if source.operand == "binary" else x
        want = reference(graph, x)
        fired += sum(int(c.sum()) for c in want.counts.values())
        same(fast_target, graph, runner.run(x, graph.spiking()), want)
    runner.close()
    assert fired > 0, "vacuous case"


def test_a_sum_on_the_threshold_does_not_spike(fast_target, integer_of):
    """Equality is met hundreds of times, in memoryless neurons and in ones that add up over steps."""
    for name in ("int-threshold", "on-threshold"):
        case = integer_of(name)
        x = case.x(60, 8, seed=2)
        assert on_threshold(case.graph, x) > (100 if name == "int-threshold" else 0)
        same(
            fast_target, case.graph, run(compiled(fast_target, case), x, case.graph), reference(case.graph, x)
        )


def test_strictly_above_the_threshold_by_hand(fast_target, integer_of):
    """int-threshold: neuron 2 sees the number of active inputs, threshold 3; v forgets at every step.

    3 active: equal, silent. 4 active: a spike. 5 active: a spike, and none from it at the next step.
    """
    case = integer_of("int-threshold")
    x = np.zeros((4, 1, 5), np.uint8)
    x[0, 0, :3] = x[1, 0, :4] = x[2, 0, :] = 1
    got = run(compiled(fast_target, case), x, case.graph)
    assert got.rasters["lif"][:, 0, 2].tolist() == [0, 1, 1, 0]


def test_overflow_really_happens(integer_of):
    """int-wrap is about what it says: some current leaves 24 bits, in every run of the suite."""
    case = integer_of("int-wrap")
    graph, x = case.graph, case.x(20, 3, seed=21)
    node = graph.nodes["lif"]
    assert isinstance(node, LoihiLIF)
    a = values(graph, x)["fc"] << STATE_SHIFT
    u = np.zeros(a.shape[1:], np.int64)
    wraps = 0
    for step in a:
        product = u * (4095 - node.du)
        u = np.sign(product) * (np.abs(product) >> 12) + step
        wraps += int((u > 1 << 23).sum())
        u = np.where(u > 1 << 23, u - (1 << 24), u)
    assert wraps > 5


def test_samples_do_not_touch_each_other(fast_target, integer_case):
    """A sample gives the same alone, elsewhere in the batch, and in a second run: all begin at rest."""
    graph, x = integer_case.graph, integer_case.x(15, 6, seed=31)
    runner = compiled(fast_target, integer_case)
    names = graph.spiking()
    whole = runner.run(x, names)
    assert all(whole.rasters[n].any() for n in names), "vacuous case"
    order = np.array([3, 0, 5, 1, 4, 2])
    again, alone = runner.run(x[:, order], names), runner.run(x[:, 4:5], names)
    runner.close()
    for name in names:
        np.testing.assert_array_equal(again.rasters[name], whole.rasters[name][:, order])
        np.testing.assert_array_equal(alone.rasters[name], whole.rasters[name][:, 4:5])
    for name in graph.outputs:
        np.testing.assert_array_equal(again.outputs[name], whole.outputs[name][order])
        np.testing.assert_array_equal(alone.outputs[name], whole.outputs[name][4:5])


def test_the_past_does_not_see_the_future(fast_target, integer_case):
    """The first steps of a run are those of a shorter run: alignment reads nothing early."""
    graph, x = integer_case.graph, integer_case.x(14, 2, seed=41)
    runner = compiled(fast_target, integer_case)
    long, short = (runner.run(part, graph.spiking()) for part in (x, x[:9]))
    runner.close()
    assert any(short.rasters[n].any() for n in graph.spiking()), "vacuous case"
    for name in graph.spiking():
        np.testing.assert_array_equal(long.rasters[name][:9], short.rasters[name])


def near_threshold(graph, got):
    """bool [N]: samples in which some membrane of the float graph comes within MARGIN of its threshold."""
    near = np.zeros(next(iter(got.values())).shape[1], bool)
    for name in graph.spiking():
        before = membrane(graph.nodes[name], got[graph.inputs_of(name)[0]].astype(np.float64))[1]
        off = np.abs(before - graph.nodes[name].threshold) < MARGIN
        near |= off.any(axis=tuple(i for i in range(off.ndim) if i != 1))
    return near


def test_float_spikes_are_the_references(fast_target, case):
    """Equal where rounding cannot decide; where float32 is exact, equal on the threshold too."""
    graph, x = case.graph, case.x(40, 12, seed=51)
    if "float" not in fast_target.takes:  # the float form belongs to the others; it says so
        assert fast_target.supports(graph)
        return
    assert fast_target.supports(graph) == []
    got, want = run(fast_target.compile(graph), x, graph), values(graph, x)
    near = near_threshold(graph, want)
    if case.exact:
        assert near.any(), "vacuous case: nothing lies on the threshold"
        near[:] = False
    assert (~near).sum() >= 6, "too many samples near a threshold to say anything"
    for name in graph.spiking():
        assert want[name].any(), "vacuous case"
        a, b = want[name][:, ~near], got.rasters[name][:, ~near]
        assert a.dtype == b.dtype
        assert np.array_equal(a, b), f"{name}: first at (step, sample, neuron) {np.argwhere(a != b)[0]}"
        np.testing.assert_array_equal(
            got.counts[name][~near], want[name][:, ~near].sum(axis=0, dtype=np.int64)
        )
    for name in graph.outputs:
        if name in graph.spiking():
            np.testing.assert_array_equal(got.outputs[name][~near], got.counts[name][~near])
        else:
            last = want[name][-1][~near]
            assert got.outputs[name].dtype == np.float64
            np.testing.assert_allclose(got.outputs[name][~near], last, rtol=0, atol=RTOL * np.abs(last).max())


def test_a_target_refuses_what_it_does_not_take(target, case, integer_of):
    """supports gives reasons and compile raises for the same models: never one without the other."""
    models = [case.graph, integer_of(case.name).graph, lower(integer_of(case.name).graph)]
    assert any(kind(m) in target.takes for m in models)
    for model in models:
        if kind(model) not in target.takes:
            assert target.supports(model)
            with pytest.raises(Unsupported):
                target.compile(model)


BAD = {
    "no steps": lambda x: x[:0],
    "no samples": lambda x: x[:, :0],
    "an axis too few": lambda x: x[0],
    "another shape": lambda x: np.concatenate([x, x], axis=-1),
    "NaN": lambda x: np.full(x.shape, np.nan),
    "infinity": lambda x: np.full(x.shape, np.inf),
}


@pytest.mark.parametrize("bad", list(BAD))
def test_bad_input_is_refused(target, bad, integer_of):
    case = integer_of("dense")
    runner = compiled(target, case)
    with pytest.raises(BadInput) as caught:
        runner.run(BAD[bad](case.x(5, 2)))
    runner.close()
    assert caught.value.exit_code == 3
