"""Cuts by hand: limits exactly hit, one over; and no synapse is ever lost."""

from __future__ import annotations

import numpy as np
import pytest

from convert.ir import (
    ConvWeights,
    DenseWeights,
    Input,
    LoihiIntegrator,
    LoihiLIF,
    LoihiSigmaDelta,
    Population,
    Program,
    Projection,
    Unsupported,
)
from convert.passes.lower import lower
from deploy.cores.axons import axons
from deploy.cores.chip import chip
from deploy.cores.core import over
from deploy.cores.partition import partition


def sizes(made):
    """Neurons a core, population by population as they lie."""
    return [[(p.population, len(p.neurons)) for p in core.pieces] for core in made.cores]


def test_neurons_exactly_fit_and_one_over(chain, tiny):
    w = np.ones((8, 2), int)
    assert sizes(partition(chain(w), tiny(neurons=8))) == [[("p1", 8)]]
    assert sizes(partition(chain(w), tiny(neurons=7))) == [[("p1", 7)], [("p1", 1)]]


def test_synapse_memory_exactly_fits_and_one_over(chain, tiny):
    """4 sources, 6 targets, dense: a word a source for up to 6 weights of 8 bits (58 bits), two for 7."""
    w = np.ones((7, 4), int)
    assert sizes(partition(chain(w), tiny(synapse_bits=8 * 64))) == [[("p1", 7)]]
    made = partition(chain(w), tiny(synapse_bits=8 * 64 - 1))
    assert sizes(made) == [[("p1", 6)], [("p1", 1)]]
    assert [c.use()["synapse_bits"] for c in made.cores] == [4 * 64, 4 * 64]
    assert made.cores[0].stopped_by == ("synapse_bits",)


def test_input_axons_exactly_fit_and_one_over(chain, sparse, tiny):
    """Each target has a source of its own: axons in = neurons."""
    w = sparse(np.eye(6, dtype=int) * np.arange(1, 7))
    assert len(partition(chain(w), tiny(axons_in=6)).cores) == 1
    assert sizes(partition(chain(w), tiny(axons_in=5))) == [[("p1", 5)], [("p1", 1)]]


def test_output_axons_count_the_cores_reached(chain, tiny):
    """p2 needs 3 cores (2 neurons each); each neuron of p1 reaches all: 3 slots. 6 slots: 2 neurons."""
    w1, w2 = np.ones((4, 1), int), np.ones((6, 4), int)
    made = partition(chain(w1, w2), tiny(neurons=2, axons_out=6))
    assert sizes(made) == [[("p2", 2)]] * 3 + [[("p1", 2)]] * 2
    assert [c.use()["axons_out"] for c in made.cores] == [0, 0, 0, 6, 6]
    made = partition(chain(w1, w2), tiny(neurons=2, axons_out=5))
    assert sizes(made) == [[("p2", 2)]] * 3 + [[("p1", 1)]] * 4
    assert made.cores[3].stopped_by == ("axons_out",)


def test_small_populations_share_a_core(chain, tiny):
    w1, w2 = np.ones((4, 3), int), np.ones((6, 4), int)
    made = partition(chain(w1, w2), tiny(neurons=10))
    assert sizes(made) == [[("p2", 6), ("p1", 4)]]
    use = made.cores[0].use()
    assert (use["neurons"], use["axons_in"], use["axons_out"]) == (10, 3 + 4, 4)
    assert sizes(partition(chain(w1, w2), tiny(neurons=9))) == [[("p2", 6)], [("p1", 4)]]


def test_formats_and_thresholds_are_limits_too(chain, tiny):
    w1, w2 = np.ones((4, 3), int), np.ones((6, 4), int)
    one = chain(w1, w2, exps=[0, 0])
    two = chain(w1, w2, exps=[0, 1])
    assert len(partition(one, tiny(synapse_formats=1)).cores) == 1
    assert len(partition(two, tiny(synapse_formats=1)).cores) == 2


def test_delays_take_neurons_away(chain, tiny):
    """Delay 7 takes 4 bits: 16 slots a neuron, 64 slots hold 4 neurons; delay 6 takes 3 bits: 8 neurons."""
    w = np.ones((8, 2), int)
    assert sizes(partition(chain(w, delays=[7]), tiny(delay_slots=64))) == [[("p1", 4)], [("p1", 4)]]
    assert sizes(partition(chain(w, delays=[6]), tiny(delay_slots=64))) == [[("p1", 8)]]


def test_one_neuron_that_cannot_fit_is_refused(chain, tiny):
    """4 sources, one weight each: 4 words; 255 bits are too few. Node, value, limit, remedy."""
    with pytest.raises(Unsupported) as error:
        partition(chain(np.ones((3, 4), int)), tiny(synapse_bits=255))
    assert error.value.exit_code == 4
    text = str(error.value)
    for part in ("p1", "synapse_bits 256", "has 255", "assumed", "--adjacency prune:0.1, fewer"):
        assert part in text
    with pytest.raises(Unsupported, match="axons_in 4, a core of tiny has 3"):
        partition(chain(np.ones((3, 4), int)), tiny(axons_in=3))


def test_a_delay_above_the_chips_is_refused(chain, tiny):
    with pytest.raises(Unsupported, match="its delay of 9 steps is above the 8 of tiny"):
        partition(chain(np.ones((3, 4), int), delays=[9]), tiny(delay=8))


def graded():
    ends = {
        "in": Population("in", (3,), Input((3,), "graded", 0.1)),
        "p": Population("p", (2,), LoihiLIF(0, 5), 1),
    }
    return Program(ends, (Projection("w", "in", "p", DenseWeights(np.ones((2, 3), np.int8))),), ("p",))


def test_graded_values_need_loihi_2_or_the_host():
    with pytest.raises(Unsupported, match=r"in: its messages are graded values.*--off-chip p"):
        partition(graded(), chip("loihi1"))
    assert len(partition(graded(), chip("loihi2")).cores) == 1
    assert partition(graded(), chip("loihi1"), ["p"]).cores == ()


def test_a_neuron_the_chip_does_not_have_is_refused(tiny):
    ends = {
        "in": Population("in", (3,), Input((3,), "binary")),
        "p": Population("p", (3,), LoihiSigmaDelta(vth=0), 1),
    }
    program = Program(ends, (Projection("w", "in", "p", DenseWeights(np.ones((3, 3), np.int8))),), ("p",))
    with pytest.raises(Unsupported, match="p: loihi1 has no neuron LoihiSigmaDelta"):
        partition(program, chip("loihi1"))
    assert sizes(partition(program, tiny("loihi2", neurons=5))) == [[("p", 2)], [("p", 1)]]  # 2 slots each


def test_a_population_on_a_cycle_is_cut_finer(tiny):
    """p reaches itself: how many cores it has is not known when it is cut. 6 neurons, 3 a core: each reaches
    2 cores, 6 slots a core; with 5 slots pieces of 1 neuron reach 6 cores: refused, not wrong."""
    ends = {
        "in": Population("in", (1,), Input((1,), "binary")),
        "p": Population("p", (6,), LoihiLIF(0, 5), 1),
    }
    loop = Projection("r", "p", "p", DenseWeights(np.ones((6, 6), np.int8)), delay=1)
    first = Projection("w", "in", "p", DenseWeights(np.ones((6, 1), np.int8)))
    program = Program(ends, (first, loop), ("p",))
    made = partition(program, tiny(neurons=3, axons_out=6))
    assert [c.use()["neurons"] for c in made.cores] == [3, 3]
    with pytest.raises(Unsupported, match="on a cycle"):
        partition(program, tiny(neurons=3, axons_out=5))


def covered(made):
    """(target, source, value) rows of every block, gathered piece by piece, per projection."""
    program, found = made.program, {p.name: [] for p in made.program.projections}
    for core in made.cores:
        for piece in core.pieces:
            for p in program.into(piece.population):
                target, source, value = p.weights.synapses()
                here = np.isin(target, piece.neurons)
                held = [b for b in piece.blocks if b.projection == p.name]
                assert sum(b.synapses for b in held) == int(here.sum())
                for b in held:
                    reached = b.listed if b.listed is not None else b.bases >= 0
                    assert set(source[here]) <= set(np.flatnonzero(reached))
                found[p.name].append(np.stack([target[here], source[here], value[here]], axis=1))
    return {name: np.concatenate(rows) if rows else np.empty((0, 3)) for name, rows in found.items()}


def check_whole(made):
    """Every neuron once, every synapse once, every limit held; every axon that a synapse needs exists."""
    program, seen = made.program, {}
    for core in made.cores:
        assert over(core.use(), made.chip) == ()
        for p in core.pieces:
            seen.setdefault(p.population, []).append(p.neurons)
    for name, population in program.populations.items():
        if name not in made.outside:
            assert np.array_equal(np.sort(np.concatenate(seen[name])), np.arange(population.size))
    for name, rows in covered(made).items():
        projection = next(p for p in program.projections if p.name == name)
        want = np.stack(projection.weights.synapses(), axis=1)
        assert len(rows) == len(want)
        assert np.array_equal(rows[np.lexsort(rows.T[::-1])], want[np.lexsort(want.T[::-1])])
    for source in program.populations:
        ways = axons(made.cores, source)
        for number, core in enumerate(made.cores):
            reached = np.zeros(program.populations[source].size, bool)
            for piece in core.pieces:
                for p in program.into(piece.population):
                    if p.src == source:
                        target, origin, _ = p.weights.synapses()
                        reached[origin[np.isin(target, piece.neurons)]] = True
            sent = ways.listed.get(number, np.zeros(len(reached), bool)).copy()
            for to, bases in ways.shared:
                if to == number:
                    sent |= bases >= 0
            assert np.all(sent >= reached)


@pytest.mark.parametrize("seed", range(6))
def test_no_synapse_is_lost(sparse, tiny, seed):
    """Random programs of dense, sparse, convolution and residual projections, under random limits."""
    draw = np.random.default_rng(seed)
    shapes = [(2, 3, 4), (3, 3, 4), (3, 4), (5,)]
    kernel = draw.integers(-9, 10, (3, 2, 3, 3)).astype(np.int8)
    conv = ConvWeights(kernel, shapes[0], shapes[1], (1, 1), (1, 1), (1, 1), 1)
    populations = {"in": Population("in", shapes[0], Input(shapes[0], "binary"))}
    for k, (name, shape) in enumerate(zip("abc", shapes[1:], strict=True), 1):
        model = LoihiLIF(0, 5) if name != "c" else LoihiIntegrator()
        populations[name] = Population(name, shape, model, k)
    mixed = draw.integers(-9, 10, (12, 36)) * (draw.random((12, 36)) < 0.3)
    skip = draw.integers(-9, 10, (5, 36)) * (draw.random((5, 36)) < 0.2)
    projections = (
        Projection("0", "in", "a", conv),
        Projection("1", "a", "b", sparse(mixed)),
        Projection("2", "a", "b", sparse(np.eye(12, 36, dtype=int)), 1, 2),
        Projection("3", "b", "c", DenseWeights(draw.integers(-9, 10, (5, 12)).astype(np.int8))),
        Projection("4", "a", "c", sparse(skip)),
    )
    program = Program(populations, projections, ("c",))
    made = partition(
        program,
        tiny(neurons=int(draw.integers(4, 20)), synapse_bits=64 * int(draw.integers(80, 200)), axons_out=60),
    )
    assert len(made.cores) > 3
    check_whole(made)


def test_no_synapse_of_a_lowered_graph_is_lost(integer_case, tiny):
    """Every graph of the corpus, on cores of 16 neurons."""
    program = lower(integer_case.graph)
    made = partition(program, tiny("loihi2", neurons=16))
    assert len(made.cores) >= 1
    assert all(core.use()["neurons"] <= 16 for core in made.cores)
    check_whole(made)
