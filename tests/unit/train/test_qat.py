"""The integer network gives the reference's integers, whatever its masters are, and the float network's
gradients where nothing is rounded."""

from itertools import pairwise

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from convert.ir import (
    LIF,
    Affine,
    ChannelMix,
    Graph,
    Input,
    JointMean,
    LeakyIntegrator,
    LoihiLIF,
    LoihiSigmaDelta,
    StepMap,
    StepMean,
    packed,
    unpacked,
)
from convert.passes.partition import parted
from convert.passes.quantise import Calibration, Quantise
from deploy.calibration import calibrate
from deploy.reference import Reference, values
from deploy.split import SplitRunner
from train import neurons
from train.qat.description import Description
from train.qat.errors import NotTrainable
from train.qat.host import Host
from train.qat.network import IntegerNetwork
from train.qat.rounding import master, rounded, shifted
from verbs.feed import scores
from verbs.fine_tuning import description


def plain(graph: Graph, bits: int = 8) -> Description:
    """The description of integers that were rounded from nothing."""
    body, arrays = packed(graph)
    return Description(body, arrays, dict(graph.shapes), bits=bits)


def assert_same_values(graph: Graph, network: IntegerNetwork, x: np.ndarray) -> int:
    """Every node, every step, `==`; the number of spikes."""
    want, got = values(graph, x), network.values(torch.from_numpy(np.asarray(x)))
    spikes = 0
    for name in graph.nodes:
        ours = got[name].detach().numpy()
        theirs = want[name] if ours.ndim == want[name].ndim else want[name][-1]  # a readout gives its last v
        assert np.array_equal(ours, theirs), name
        spikes += int(ours.sum()) if name in graph.spiking() else 0
    return spikes


def test_every_node_has_the_references_values(integer_case):
    network = IntegerNetwork(plain(integer_case.graph))
    assert assert_same_values(integer_case.graph, network, integer_case.x(12, 5, seed=3)) > 0


@pytest.mark.parametrize("bits", [8, 4, 2])
def test_masters_round_to_what_quantise_gave(graph_cases, bits):
    for name, case in graph_cases.items():
        quantise = Quantise(calibrate(case.graph, case.x(24, 8, seed=99)), bits)
        graph = quantise(case.graph)
        network = IntegerNetwork(description(graph, quantise))
        _, arrays = packed(graph)
        found = network.integers()
        assert {n for n, _ in network.named_parameters()}, name
        assert found.keys() == arrays.keys()
        for key, array in arrays.items():
            assert found[key].dtype == array.dtype and np.array_equal(found[key], array), (name, key)


@pytest.mark.parametrize(("bits", "seed"), [(8, 0), (4, 1), (3, 2)])
def test_moved_masters_are_another_graph_and_its_values(graph_cases, bits, seed):
    """What training does to masters, done at random: out of the range of the mantissas as well."""
    torch.manual_seed(seed)
    spikes = 0
    for name, case in graph_cases.items():
        quantise = Quantise(calibrate(case.graph, case.x(24, 8, seed=99)), bits)
        network = IntegerNetwork(description(quantise(case.graph), quantise))
        with torch.no_grad():
            for p in network.parameters():
                p += 0.3 * p.abs().max() * torch.randn_like(p)
        before, moved = network.description.arrays, network.integers()
        assert any(not np.array_equal(before[k], moved[k]) for k in before), name
        graph = unpacked(network.description.body, moved, name)
        spikes += assert_same_values(graph, network, case.x(12, 4, seed=seed))
    assert spikes > 0


def test_wide_sums_take_a_wider_float():
    """4 * 127 << 20 leaves float32's 24 bits: an odd sum beside it shows whether anything was lost."""
    nodes = {
        "input": Input((4,), "binary"),
        "fc": Affine(np.full((3, 4), 127, np.int8), weight_exp=18),
        "lif": LoihiLIF(dv=4096, vth=1, bias_mant=np.array([1, 0, -1])),
    }
    graph = Graph(nodes, tuple(pairwise(nodes)), ("lif",), "integer")
    network = IntegerNetwork(plain(graph))
    assert network.layer("fc").width == torch.float64
    x = np.ones((3, 1, 4), np.uint8)
    values_ = network.values(torch.from_numpy(x))
    assert values_["fc"].dtype == torch.float64
    assert np.array_equal(values_["fc"].detach().numpy(), values(graph, x)["fc"])


def test_gradients_are_the_float_networks_where_nothing_is_rounded():
    """Weights in eighths, S = 128, decay one half over 6 steps: v lives 2^6 finer, every halving is exact."""
    draw = np.random.default_rng(5)
    weights = [draw.integers(-4, 9, shape) / 8 for shape in ((7, 5), (6, 7), (3, 6))]
    names = ("input", "fc1", "lif1", "fc2", "lif2", "fc3", "out")
    layers = (
        Affine(weights[0]),
        LIF(0.5),
        Affine(weights[1]),
        LIF(0.5),
        Affine(weights[2]),
        LeakyIntegrator(),
    )
    nodes = dict(zip(names, (Input((5,), "binary"), *layers), strict=True))
    graph = Graph(nodes, tuple(pairwise(names)), ("out",), "folded")
    peak = {"input": 1.0, "lif1": 512.0, "lif2": 512.0, "out": 512.0}  # 2^23 / 2^6 / (2 * 512) = 128
    rate = {"input": np.full(5, 0.5), "lif1": np.full(7, 0.5), "lif2": np.full(6, 0.5)}
    quantise = Quantise(Calibration(peak, rate))
    network = IntegerNetwork(description(quantise(graph), quantise))
    assert {round(layer.scale) for layer in quantise.report} == {128}

    x = torch.from_numpy((draw.random((6, 4, 5)) < 0.5).astype(np.float32))
    mine = [network.layer(n).weight for n in ("fc1", "fc2", "fc3")]
    theirs = [torch.tensor(w, dtype=torch.float32, requires_grad=True) for w in weights]
    s = neurons.LIF(0.5)(F.linear(x, theirs[0]))
    s = neurons.LIF(0.5)(F.linear(s, theirs[1]))
    want = neurons.LeakyIntegrator()(F.linear(s, theirs[2]))
    got = network(x)
    assert s.sum() > 0 and torch.equal(got, want)
    out = torch.randn(4, 3, generator=torch.Generator().manual_seed(1))
    (got * out).sum().backward()
    (want * out).sum().backward()
    for a, b in zip(mine, theirs, strict=True):
        assert b.grad.count_nonzero() > b.numel() / 2, "vacuous case"  # silent neurons have none
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-4, atol=1e-6)  # float32 sums in another order


def test_a_weight_has_a_gradient_where_its_source_spikes_and_none_elsewhere(graph_cases):
    case = graph_cases["dense"]
    quantise = Quantise(calibrate(case.graph, case.x(24, 8, seed=99)))
    network = IntegerNetwork(description(quantise(case.graph), quantise))
    x = np.asarray(case.x(12, 4), np.float32)
    x[..., 0] = 0.0
    scores = network(torch.from_numpy(x))
    (scores * torch.arange(1.0, scores.numel() + 1).view_as(scores)).sum().backward()
    gradient = network.layer("fc1").weight.grad
    assert (gradient[:, 0] == 0).all() and (gradient[:, 1:] != 0).all()
    assert all(p.grad is not None and p.grad.any() for p in network.parameters())


@pytest.mark.parametrize("name", ["graph-conv", "step-conv", "conv", "attention", "cuba", "joint-map"])
def test_gradients_reach_every_layer(graph_cases, name):
    case = graph_cases[name]
    quantise = Quantise(calibrate(case.graph, case.x(24, 8, seed=99)))
    network = IntegerNetwork(description(quantise(case.graph), quantise))
    scores = network(torch.from_numpy(np.asarray(case.x(12, 4), np.float32)))
    scores.square().sum().backward()
    assert [n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_rounding_by_hand():
    """Half to even; a gradient per float value; none for a weight at its limit that would go further out."""
    w = torch.tensor([0.5, 1.5, -0.6, 9.0, 9.0, -9.0], requires_grad=True)
    k = rounded(w, 1.0, -8, 7)
    assert k.tolist() == [0, 2, -1, 7, 7, -8]
    k.backward(torch.tensor([1.0, 1.0, 1.0, -1.0, 1.0, 1.0]))
    assert w.grad.tolist() == [1, 1, 1, 0, 1, 0]
    half = torch.tensor([1.0], requires_grad=True)
    rounded(half, 0.5, -8, 7).backward()
    assert half.grad.tolist() == [2]


def test_a_right_shift_is_a_floor():
    x = torch.tensor([-3.0, 3.0, 8.0], requires_grad=True)
    y = shifted(x, -1)
    assert y.tolist() == [-2, 1, 4]
    y.sum().backward()
    assert x.grad.tolist() == [0.5, 0.5, 0.5]
    assert shifted(x, 3).tolist() == [-24, 24, 64]


def test_a_master_that_float32_would_carry_over_a_tie_stays():
    value = torch.tensor([2.5 - 1e-12, -0.5 + 1e-12], dtype=torch.float64)
    integers = torch.tensor([2, 0])
    w = master(value, integers, 1.0, -8, 7)
    assert rounded(w, 1.0, -8, 7).tolist() == [2, 0]
    value = torch.tensor([3.5 - 1e-12], dtype=torch.float64)
    assert torch.round(value.float()).item() == 4, "vacuous case"
    assert master(value, torch.tensor([3]), 1.0, -8, 7).item() == 3


def test_what_has_no_rule_is_refused_by_name():
    nodes = {
        "input": Input((2,), "binary"),
        "fc": Affine(np.ones((2, 2), np.int8)),
        "relay": LoihiSigmaDelta(vth=0, act="unit"),
        "fc2": Affine(np.ones((2, 2), np.int8)),
        "lif": LoihiLIF(dv=4096, vth=1),
    }
    graph = Graph(nodes, tuple(pairwise(nodes)), ("lif",), "integer")
    with pytest.raises(NotTrainable, match=r"relay: LoihiSigmaDelta has no rule.*--adjacency dense"):
        IntegerNetwork(plain(graph))


def test_the_cpu_part_has_the_references_values(case):
    """Every rule of a folded graph; 1e-12 of a value: float64 sums in another order."""
    x = np.asarray(case.x(12, 4, seed=2), np.float64)
    got = Host(plain(case.graph), "sigmoid").scores({case.graph.input(): torch.from_numpy(x)})
    record = Reference().compile(case.graph).run(x)
    want = record.outputs[case.graph.outputs[0]].astype(np.float64)
    assert want.any()
    np.testing.assert_allclose(got.numpy(), want, rtol=1e-12, atol=1e-12)


def windowed() -> Graph:
    """Spikes, their differences from step to step and their mean over time, which no chip holds."""
    draw = np.random.default_rng(3)
    nodes = {
        "input": Input((2, 3), "binary"),
        "embed": ChannelMix(draw.normal(0.4, 0.5, (4, 2))),
        "lif": LIF(0.5),
        "steps": StepMap(np.eye(6) - np.eye(6, k=-1)),
        "mix": ChannelMix(draw.normal(0.2, 0.5, (4, 4))),
        "late": LIF(0.5, 0.5),
        "joints": JointMean(),
        "mean": StepMean(),
        "head": Affine(draw.normal(size=(3, 4)), draw.normal(size=3)),
        "out": LeakyIntegrator(),
    }
    return Graph(nodes, tuple(pairwise(nodes)), ("out",), "folded", meta={"read.out": "mean"})


def test_a_model_in_two_parts_has_the_scores_it_is_deployed_with():
    graph = windowed()
    split = parted(graph)
    x = (np.random.default_rng(1).random((6, 5, 2, 3)) < 0.5).astype(np.float32)
    quantise = Quantise(calibrate(split.chip, x))
    integer = quantise(split.chip)
    network = IntegerNetwork(description(integer, quantise), host=plain(split.host))
    runner = SplitRunner(Reference().compile(integer), integer, split.host, split.outputs)
    want = scores(split.host, runner.run(x))
    got = network(torch.from_numpy(x))
    assert np.ptp(want, axis=0).min() > 0, "vacuous case"
    # The network gives float32; on the way everything is float64.
    assert np.array_equal(got.detach().numpy(), want.astype(np.float32))
    got.square().sum().backward()
    assert all(p.grad.any() for p in network.parameters())
    assert {n for n, _ in network.named_parameters()} == {"layers./embed.weight"}


def test_a_cpu_part_without_a_rule_is_refused_by_name():
    body, arrays = packed(windowed())
    nodes = {**body["nodes"], "mean": {"type": "Median"}}
    with pytest.raises(NotTrainable, match="mean: Median on the CPU has no rule"):
        Host(Description({**body, "nodes": nodes}, arrays, dict(windowed().shapes)), "sigmoid")
