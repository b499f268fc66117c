"""The corpus of small graphs, a plugin that conftest.py names. It covers every node type.

A test takes `case` (one graph after the other) or `integer_case` (the same graphs quantised, and integer
graphs made by hand for what quantisation never makes).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest

from convert.ir import (
    IF,
    LIF,
    Add,
    Affine,
    AvgPool2d,
    BatchNorm,
    ChannelMix,
    ChannelScale,
    Concat,
    Conv2d,
    CubaLIF,
    Delay,
    Graph,
    GraphConv,
    Input,
    JointMap,
    JointMean,
    LeakyIntegrator,
    LoihiIntegrator,
    LoihiLIF,
    Node,
    Permute,
    Reshape,
    Slice,
    SpikeAnd,
    SpikeMatMul,
    StepConv,
)  # fmt: skip
from convert.passes.fold_batchnorm import FOLD_BATCHNORM
from convert.passes.quantise import Quantise
from deploy.calibration import calibrate


@dataclass(frozen=True, eq=False)
class Case:
    """A small graph and inputs for it. `exact`: float32 holds every value exactly, thresholds included."""

    name: str
    graph: Graph
    exact: bool = False

    @property
    def source(self) -> Input:
        return self.graph.nodes[self.graph.input()]

    def x(self, steps: int = 12, samples: int = 3, seed: int = 0) -> np.ndarray:
        """[T, N, *shape]: spikes at 40 %, or normal values in the units of the input."""
        generator = np.random.default_rng(seed)
        shape = (steps, samples, *self.source.shape)
        if self.source.operand == "binary":
            return (generator.random(shape) < 0.4).astype(np.uint8)
        scale = 1.0 if self.source.operand == "real" else self.source.scale * self.source.limit / 2
        return generator.normal(0.0, scale, shape)


class _Net:
    """Writes a graph node by node; each goes behind the last one unless told otherwise."""

    def __init__(self, seed: int, source: Input) -> None:
        self.draw = np.random.default_rng(seed)
        self.nodes: dict[str, Node] = {"input": source}
        self.edges: list[tuple[str, str]] = []
        self.last = "input"

    def add(self, name: str, node: Node, *inputs: str) -> str:
        self.nodes[name] = node
        self.edges += [(i, name) for i in inputs or (self.last,)]
        self.last = name
        return name

    def weight(self, *shape: int, gain: float = 1.3) -> np.ndarray:
        """Normal weights with a little more of the positive, scaled to the fan-in."""
        fan_in = np.prod(shape[1:])
        return gain * (self.draw.normal(size=shape) + 0.35) / np.sqrt(fan_in)

    def norm(self, channels: int) -> BatchNorm:
        d = self.draw
        gamma, beta = d.uniform(0.7, 1.4, channels), d.normal(0.2, 0.1, channels)
        return BatchNorm(gamma, beta, d.normal(0, 0.2, channels), d.uniform(0.5, 1.5, channels))

    def done(self, *outputs: str, stage: str = "traced") -> Graph:
        return Graph(self.nodes, tuple(self.edges), outputs or (self.last,), stage, 1e-3)


def _dense() -> Graph:
    net = _Net(1, Input((6,), "binary"))
    net.add("fc1", Affine(net.weight(8, 6), net.draw.normal(0.1, 0.1, 8)))
    net.add("lif1", LIF(0.25))
    net.add("fc2", Affine(net.weight(7, 8)))
    net.add("lif2", LIF(0.5, 0.75, bias=np.array(0.05)))
    net.add("head", Affine(net.weight(3, 7), net.draw.normal(0, 0.1, 3)))
    net.add("out", LeakyIntegrator(0.125))
    return net.done()


def _conv() -> Graph:
    net = _Net(2, Input((4, 7, 6), "binary"))
    kernel = net.weight(8, 2, 3, 2)
    net.add("conv", Conv2d(kernel, None, (2, 1), (1, 0), (1, 2), groups=2))
    net.add("norm", net.norm(8))
    net.add("lif1", LIF(0.5))
    net.add("pool", AvgPool2d((2, 3), (2, 1)))
    net.add("flat", Reshape((32,)))
    net.add("head", Affine(net.weight(3, 32, gain=3.0)))
    net.add("out", LeakyIntegrator())
    return net.done()


def _pool() -> Graph:
    net = _Net(3, Input((2, 6, 9), "real"))
    net.add("conv1", Conv2d(net.weight(4, 2, 1, 3), net.draw.normal(0, 0.1, 4), padding=(0, 1)))
    net.add("if1", IF(1.5))
    net.add("pool", AvgPool2d((2, 3), (2, 2)))
    net.add("conv2", Conv2d(net.weight(5, 4, 3, 1, gain=2.5)))
    net.add("if2", IF())
    return net.done()


def _step_conv() -> Graph:
    net = _Net(4, Input((3, 4), "real"))
    net.add("embed", ChannelMix(net.weight(6, 3), net.draw.normal(0, 0.1, 6)))
    net.add("embed_norm", net.norm(6))
    net.add("lif1", LIF(0.5))
    net.add("steps", StepConv(net.weight(6, 6, 3)))
    net.add("steps_norm", net.norm(6))
    net.add("sum", Add(), "steps_norm", "lif1")
    net.add("lif2", LIF(0.5))
    net.add("mean", JointMean())
    net.add("head", Affine(net.weight(3, 6), net.draw.normal(0, 0.1, 3)))
    net.add("out", LeakyIntegrator(0.25))
    return net.done()


def _graph_conv() -> Graph:
    """A block of Base-SGN: graph convolution and a branch of another width, the norms, additions."""
    net = _Net(5, Input((3, 5), "binary"))
    net.add("embed", ChannelMix(net.weight(4, 3)))
    net.add("lif0", LIF(0.5))
    adjacency = np.where(net.draw.random((2, 5, 5)) < 0.5, net.draw.uniform(0.2, 0.6, (2, 5, 5)), 0.0)
    net.add("graph", GraphConv(net.weight(2, 6, 4), adjacency))
    net.add("graph_norm", net.norm(6))
    net.add("branch", ChannelMix(net.weight(6, 4)), "lif0")
    net.add("branch_norm", net.norm(6))
    net.add("sum", Add(), "graph_norm", "branch_norm")
    net.add("lif1", LIF(0.5))
    net.add("norm2", net.norm(6))  # behind a neuron: it cannot be folded into weights
    net.add("sum2", Add(), "norm2", "lif1")
    net.add("lif2", LIF(0.5, 1.5))
    net.add("mean", JointMean())
    net.add("head", Affine(net.weight(2, 6)))
    net.add("out", LeakyIntegrator())
    return net.done()


def _two_outputs() -> Graph:
    """Two results, one of spikes; and a path of two layers that meets a path of one."""
    net = _Net(6, Input((5,), "binary"))
    net.add("fc1", Affine(net.weight(6, 5), net.draw.normal(0.2, 0.1, 6)))
    net.add("lif1", LIF(0.5))
    net.add("fc2", Affine(net.weight(6, 6)))
    net.add("lif2", LIF(0.25))
    net.add("skip", Affine(net.weight(6, 6)), "lif1")
    net.add("fc3", Affine(net.weight(6, 6)), "lif2")
    net.add("sum", Add(), "fc3", "skip")
    net.add("lif3", LIF(0.5, 1.25))
    net.add("head", Affine(net.weight(2, 6)), "lif2")
    net.add("out", LeakyIntegrator())
    return net.done("out", "lif3")


def _cuba() -> Graph:
    net = _Net(7, Input((6,), "real"))
    net.add("fc1", Affine(net.weight(9, 6)))
    net.add("cuba1", CubaLIF(0.4, 0.3, 1.5))
    net.add("fc2", Affine(net.weight(5, 9)))
    net.add("cuba2", CubaLIF(0.7, 0.1, bias=np.linspace(-0.1, 0.2, 5)))
    return net.done()


def _joint_map() -> Graph:
    """To the joints' spectrum and back: complex weights on stacked channels between a transform and its
    inverse, all one linear region; then a window of one weight per joint."""
    net = _Net(9, Input((2, 5), "binary"))
    net.add("embed", ChannelMix(net.weight(3, 2)))
    net.add("lif0", LIF(0.5))
    angle = 2 * np.pi * np.outer(np.arange(5), np.arange(5)) / 5
    fourier = np.stack([np.cos(angle), -np.sin(angle)])
    net.add("spectrum", JointMap(fourier[:, None]))
    net.add("complex", ChannelMix(net.weight(8, 6)))
    net.add("back", JointMap(fourier[None] / 5))
    net.add("norm", net.norm(4))
    net.add("lif1", LIF(0.5))
    net.add("window", JointMap(np.diag(net.draw.uniform(0.5, 1.5, 5))[None, None]))
    net.add("mean", JointMean())
    net.add("head", Affine(net.weight(2, 4)))
    net.add("out", LeakyIntegrator())
    return net.done()


def _on_threshold() -> Graph:
    """Quarters only: sums land exactly on the threshold of 1, and must not spike there."""
    net = _Net(8, Input((6,), "binary"))
    net.add("fc1", Affine(net.draw.integers(-1, 4, (8, 6)) / 4))
    net.add("if1", IF())
    net.add("fc2", Affine(net.draw.integers(-1, 3, (4, 8)) / 2))
    net.add("lif2", LIF(1.0))
    net.add("head", Affine(net.draw.integers(-2, 3, (2, 4)) / 2))
    net.add("out", LeakyIntegrator())
    return net.done()


def _attention() -> Graph:
    """Spiking self-attention with two heads, a gate of two spikes and a norm behind it, a residual."""
    net = _Net(9, Input((3, 4), "binary"))
    net.add("embed", ChannelMix(net.weight(6, 3, gain=2.0)))
    net.add("h", LIF(0.5))
    for name in "qkv":
        net.add(name, ChannelMix(net.weight(6, 6, gain=2.0)), "h")
        net.add(f"{name}_lif", LIF(0.5))
        net.add(f"{name}_heads", Reshape((2, 3, 4)))
    net.add("q_rows", Permute((0, 2, 1)), "q_heads")
    net.add("map", SpikeMatMul(), "q_rows", "k_heads")
    net.add("m", LIF(0.5, 0.5))
    net.add("v_rows", Permute((0, 2, 1)), "v_heads")
    net.add("mix", SpikeMatMul(), "m", "v_rows")
    net.add("quarter", ChannelScale(np.full(2, 0.25)))
    net.add("o", LIF(0.5, 0.6))
    net.add("o_columns", Permute((0, 2, 1)))
    net.add("o_flat", Reshape((6, 4)))
    net.add("gate", SpikeAnd(), "o_flat", "h")
    net.add("gate_norm", net.norm(6))
    net.add("sum", Add(), "gate_norm", "h")
    net.add("lif2", LIF(0.5, 0.75))
    net.add("mean", JointMean())
    net.add("head", Affine(net.weight(2, 6)))
    net.add("out", LeakyIntegrator())
    return net.done()


def _parts() -> Graph:
    """Clips of frames: spikes and sums side by side and apart again, a norm behind them, one twice."""
    net = _Net(10, Input((3, 2, 4), "binary"))
    net.add("embed", ChannelMix(net.weight(4, 3)))
    net.add("lif0", LIF(0.5))
    net.add("a", Conv2d(net.weight(3, 4, 2, 1), padding=(1, 0), dilation=(2, 1)), "lif0")
    net.add("b", ChannelMix(net.weight(2, 4), net.draw.normal(0.2, 0.1, 2)), "lif0")
    net.add("b_norm", net.norm(2))
    net.add("side", Concat((3, 2)), "a", "b_norm")
    net.add("norm", net.norm(5))
    net.add("lif1", LIF(0.5))
    net.add("both", Concat((5, 4, 5)), "lif1", "lif0", "lif1")
    net.add("some", Slice(3, 12))
    net.add("mix", ChannelMix(net.weight(4, 9)))
    net.add("sum", Add(), "mix", "lif0")
    net.add("lif2", LIF(0.5, 1.25))
    net.add("flat", Reshape((4, 8)))
    net.add("mean", JointMean())
    net.add("head", Affine(net.weight(2, 4)))
    net.add("out", LeakyIntegrator())
    return net.done()


def _frames() -> Graph:
    """Joints and frames: a block of MK-SGN, its attention over joints included."""
    net = _Net(14, Input((2, 5, 3), "binary"))
    net.add("joints_first", Permute((0, 2, 1)))
    net.add("code", Conv2d(net.weight(4, 1, 1, 1, gain=2.0), groups=2))
    net.add("s", LIF(0.5))
    net.add("there", Permute((0, 2, 1)))
    net.add("back", Permute((0, 2, 1)))
    net.add("graph", GraphConv(net.weight(2, 6, 4), net.draw.uniform(0.1, 0.5, (2, 3, 3))))
    net.add("graph_norm", net.norm(6))
    net.add("branch", ChannelMix(net.weight(6, 4)), "back")
    net.add("pooled", JointMean(), "back")
    net.add("query", ChannelMix(net.weight(6, 4, gain=4.0)))
    net.add("q", LIF(0.5))
    net.add("q_rows", Permute((1, 0)))
    net.add("map", SpikeMatMul(), "q_rows", "q")
    net.add("m", LIF(0.5, 0.5))
    net.add("v_rows", Permute((1, 2, 0)), "s")
    net.add("v_flat", Reshape((3, 20)))
    net.add("mix", SpikeMatMul(), "m", "v_flat")
    net.add("half", ChannelScale(np.full(3, 0.5)))
    net.add("o", LIF(0.5, 0.6))
    net.add("o_parted", Reshape((3, 5, 4)))
    net.add("o_channels", Permute((2, 0, 1)))
    net.add("project", ChannelMix(net.weight(6, 4)))
    net.add("sum", Add(), "graph_norm", "branch", "project")
    net.add("lif1", LIF(0.5))
    net.add("frames", Conv2d(net.weight(6, 6, 1, 3), None, (1, 2), (0, 1)))
    net.add("frames_norm", net.norm(6))
    net.add("lif2", LIF(0.5))
    net.add("frame_mean", JointMean())
    net.add("joint_mean", JointMean())
    net.add("head", Affine(net.weight(2, 6)))
    net.add("out", LeakyIntegrator())
    return net.done()


CASES: dict[str, Callable[[], Graph]] = {
    "dense": _dense, "conv": _conv, "pool": _pool, "step-conv": _step_conv, "graph-conv": _graph_conv,
    "two-outputs": _two_outputs, "cuba": _cuba, "joint-map": _joint_map, "on-threshold": _on_threshold,
    "attention": _attention, "parts": _parts, "frames": _frames,
}  # fmt: skip


def _int_threshold() -> Graph:
    """No memory: v = a << 6, on the threshold whenever the weights of the active inputs sum to 3."""
    net = _Net(11, Input((5,), "binary"))
    net.add("fc", Affine(np.array([[1, 2, 3, -1, 0], [3, 3, -3, 1, 1], [1, 1, 1, 1, 1]], np.int8)))
    net.add("lif", LoihiLIF(dv=4096, vth=3))
    net.add("head", Affine(np.array([[1, -2, 3]], np.int8)))
    net.add("out", LoihiIntegrator())
    return net.done(stage="integer")


def _int_wrap() -> Graph:
    """Currents that leave 24 bits: u wraps, v saturates."""
    net = _Net(12, Input((4,), "binary"))
    net.add("fc", Affine(net.draw.integers(60, 128, (5, 4)).astype(np.int8), weight_exp=8))
    net.add("lif", LoihiLIF(dv=3, vth=131071, du=600))
    net.add("head", Affine(net.draw.integers(-128, 128, (2, 5)).astype(np.int8), weight_exp=7))
    net.add("out", LoihiIntegrator(du=900, bias_mant=np.array([-4096, 4095]), bias_exp=7))
    return net.done(stage="integer")


def _int_delay() -> Graph:
    """Delays, taps over steps, a residual of one weight per channel, biases that start with the layer."""
    net = _Net(13, Input((3, 2), "binary"))
    net.add("late", Delay(2))
    net.add("mix", ChannelMix(net.draw.integers(-9, 20, (4, 3)).astype(np.int8), weight_exp=1))
    net.add("now", ChannelMix(net.draw.integers(-9, 20, (4, 3)).astype(np.int8), weight_exp=2), "input")
    net.add("sum", Add(), "mix", "now")
    net.add("lif1", LoihiLIF(dv=1024, vth=110, bias_mant=np.full((4, 2), 400), bias_exp=2))
    net.add("steps", StepConv(net.draw.integers(-10, 30, (4, 4, 3)).astype(np.int8)))
    net.add("keep", ChannelScale(np.array([40, -3, 9, 0], np.int8), weight_exp=1), "lif1")
    net.add("sum2", Add(), "steps", "keep")
    net.add("lif2", LoihiLIF(dv=2048, vth=260, du=2000, bias_mant=np.full((4, 2), 300)))
    net.add("head", Affine(net.draw.integers(-50, 50, (2, 8)).astype(np.int8)))
    net.add("out", LoihiIntegrator(dv=100, bias_mant=np.array([-77, 5]), bias_exp=1))
    return net.done("out", "lif2", stage="integer")


def _int_negative_exp() -> Graph:
    """Graded input through a floor shift to the right; v below rest; a bias that is negative."""
    net = _Net(14, Input((5,), "graded", 0.02, 6))
    net.add("fc", Affine(net.draw.integers(-60, 100, (6, 5)).astype(np.int8), weight_exp=-3))
    net.add("lif", LoihiLIF(dv=700, vth=150, bias_mant=net.draw.integers(-900, 900, 6), bias_exp=1))
    return net.done(stage="integer")


def _int_graph_conv() -> Graph:
    """A graph convolution in integers: its product stays within 8 bits."""
    net = _Net(15, Input((3, 4), "binary"))
    adjacency = (net.draw.random((2, 4, 4)) < 0.4).astype(np.int64)
    net.add("graph", GraphConv(net.draw.integers(-15, 40, (2, 3, 3)), adjacency, weight_exp=1))
    net.add("lif", LoihiLIF(dv=2048, vth=70))
    net.add("conv_shape", Reshape((1, 3, 4)))
    net.add("conv", Conv2d(net.draw.integers(-20, 60, (2, 1, 2, 3)).astype(np.int8), padding=(1, 0)))
    net.add("lif2", LoihiLIF(dv=500, vth=90))
    return net.done(stage="integer")


def _int_products() -> Graph:
    """Products of the input with itself, turned or a step late, and of a product; weights behind them."""
    net = _Net(16, Input((2, 3, 3), "binary"))
    net.add("late", Delay(1))
    net.add("turned", Permute((0, 2, 1)))
    net.add("count", SpikeMatMul(), "input", "turned")
    net.add("conv", Conv2d(net.draw.integers(-9, 40, (2, 2, 2, 2)).astype(np.int8), weight_exp=1))
    net.add("lif", LoihiLIF(dv=2048, vth=150))
    net.add("both", SpikeAnd(), "input", "late")
    net.add("again", SpikeAnd(), "both", "input")
    net.add("keep", ChannelScale(np.array([3, 0], np.int8), weight_exp=1))
    net.add("flat", Affine(net.draw.integers(-20, 40, (8, 18)).astype(np.int8), None, (2, 2, 2)))
    net.add("as", ChannelScale(np.array([30, 25], np.int8)), "lif")
    net.add("sum", Add(), "flat", "as")
    net.add("lif2", LoihiLIF(dv=1000, vth=120, du=3000))
    return net.done("lif2", "lif", stage="integer")


INTEGER_CASES: dict[str, Callable[[], Graph]] = {
    "int-threshold": _int_threshold, "int-wrap": _int_wrap, "int-delay": _int_delay,
    "int-negative-exp": _int_negative_exp, "int-graph-conv": _int_graph_conv, "int-products": _int_products,
}  # fmt: skip


@cache
def _traced(name: str) -> Case:
    return Case(name, CASES[name](), exact=name == "on-threshold")


@cache
def _folded(name: str) -> Case:
    return Case(name, FOLD_BATCHNORM(_traced(name).graph), _traced(name).exact)


@cache
def _integer(name: str) -> Case:
    if name in INTEGER_CASES:
        return Case(name, INTEGER_CASES[name]())
    folded = _folded(name)
    return Case(name, Quantise(calibrate(folded.graph, folded.x(24, 8, seed=99)))(folded.graph))


@pytest.fixture(scope="session")
def graph_cases() -> dict[str, Case]:
    """All folded float graphs by name."""
    return {name: _folded(name) for name in CASES}


@pytest.fixture(params=list(CASES))
def traced_case(request) -> Case:
    """Each graph as it came from torch, batch norms included."""
    return _traced(request.param)


@pytest.fixture(params=list(CASES))
def case(request) -> Case:
    """Each folded float graph."""
    return _folded(request.param)


@pytest.fixture(params=[*CASES, *INTEGER_CASES])
def integer_case(request) -> Case:
    """Each integer graph."""
    return _integer(request.param)


@pytest.fixture(scope="session")
def integer_of() -> Callable[[str], Case]:
    """The integer graph of that name."""
    return _integer
