"""Float graph of convolutions and ReLUs to a sigma-delta network: integers that travel where they change.

Each ReLU becomes a LoihiSigmaDelta whose sigma sums what arrives, the input goes through a LoihiDelta, each
output is summed up by a LoihiSigma. A message of layer l is worth 1 / m_l of the float model's units, a count
of its sigma 1 / S_l, and

    S_l = m_l 2^state_exp                     state_exp 0..7
    mantissa   k = round(w S_l / (m_src 2^e)),  |k| < 2^(bits-1), one exponent e >= 0 per branch: no sum is
               shifted to the right, so that the changes of a sum are the sum of the changes
    bias       round(b m_l), counts of a message
    vth        round(threshold rms_l m_l), rms_l of the layer's values in calibration: counts of a message

S_l is the largest for which the finest branch has all its bits, or less where messages would outgrow
`message_bits`, chosen among eighths of an octave for the least weight error at the sources' measured rms.
state_exp brings the largest message to FINE bits where 7 suffices. With `carry` (`convert.ir.sigma_delta`) a
threshold of 0 makes the network the integer ReLU network of these weights, floor(relu(sum + bias) /
2^state_exp) a layer, at every step exactly. What is not linear and no ReLU is refused; unit and bias of a
readout are the host's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from convert.ir import (
    Activation,
    Add,
    ChannelScale,
    Graph,
    Input,
    LeakyIntegrator,
    LinearNode,
    LoihiDelta,
    LoihiSigma,
    LoihiSigmaDelta,
    Node,
    Relu,
    StageError,
    Unsupported,
    check,
)
from convert.passes.arm import Arm, arms, attach
from convert.passes.region import bias, branches

FINE = 12  # bits of a layer's largest message that are wanted
SHIFT_MAX = 7  # of state_exp
EXP_MAX = 8  # of a projection


@dataclass(frozen=True)
class Ranges:
    """What running the float graph on data showed of inputs and ReLUs: largest magnitude, rms."""

    peak: Mapping[str, float]
    rms: Mapping[str, float]


@dataclass(frozen=True)
class LayerReport:
    """How one population was made, for people to read. vth in counts of a message; unit: float value of a
    count (of a readout: of its sigma); weight_error as in `quantise`; dropped: sources whose weights are all
    zero, or round to it beside the others."""

    neuron: str
    unit: float
    vth: int
    state_exp: int
    exponents: tuple[int, ...]
    weight_error: float
    dropped: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class SigmaDelta:
    """The pass; call it on a folded graph: (integer graph, host graph). It fills `report`.

    threshold: of every layer, in rms of its values. message_bits: of the largest message in calibration; a
    spike carries 23 and a sign. host: readouts times unit plus bias, under the names of the float graph's
    outputs.
    """

    ranges: Ranges
    threshold: float = 0.0
    bits: int = 8
    input_bits: int = 8
    carry: bool = True
    message_bits: int = 20
    report: list[LayerReport] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name, value, low, high in (
            ("bits", self.bits, 2, 8), ("input_bits", self.input_bits, 2, 16),
            ("threshold", self.threshold, 0, 100), ("message_bits", self.message_bits, 4, 23),
        ):  # fmt: skip
            if not low <= value <= high:
                raise Unsupported(
                    "sigma-delta", f"{name} = {value} is outside {low}..{high}", "choose another"
                )

    def __call__(self, graph: Graph) -> tuple[Graph, Graph]:
        """The two graphs; populations: the ReLUs' names, `x.delta` of an input, `y.sigma` of an output."""
        if check(graph).stage != "folded":
            raise StageError(f"sigma-delta: needs a folded graph, got {graph.stage}")
        _refuse_foreign(graph)
        self.report.clear()
        ends, source = _ends(graph), graph.input()
        first = f"{source}.delta"
        entry = self._input(graph, source)
        nodes: dict[str, Node] = {source: entry}
        counts = {source: 1.0 / entry.scale}
        nodes[f"{first}.in"] = ChannelScale(np.ones(graph.shapes[source][0], np.int8))
        vth = self._vth(source, counts[source])
        nodes[first] = LoihiDelta(vth=vth, carry=self.carry)
        self.report.append(LayerReport(first, 1 / counts[source], vth, 0, (0,), 0.0))
        edges: list[tuple[str, str]] = []
        for name, node, _ in ends:
            if isinstance(node, LeakyIntegrator):
                self._layer(ends, name, nodes, edges, counts)
        edges = [(first if a == source else a, b) for a, b in edges]
        edges += [(source, f"{first}.in"), (f"{first}.in", first)]
        sums = tuple(f"{name}.sigma" for name in graph.outputs)
        integer = check(Graph(nodes, tuple(edges), sums, "integer", graph.dt_s, graph.meta))
        return integer, _host(graph, ends, counts)

    def _input(self, graph: Graph, name: str) -> Input:
        limit = (1 << (self.input_bits - 1)) - 1
        return Input(
            graph.shapes[name], "graded", max(self.ranges.peak[name], 1e-12) / limit, self.input_bits
        )

    def _vth(self, name: str, per_unit: float) -> int:
        return round(self.threshold * self.ranges.rms[name] * per_unit)

    def _layer(
        self,
        ends: Graph,
        name: str,
        nodes: dict[str, Node],
        edges: list[tuple[str, str]],
        counts: dict[str, float],
    ) -> None:
        """One population and the arms into it; `counts` gets its messages' (a readout's sigma's) worth."""
        readout = name not in self.ranges.peak
        layer = _Layer.of(ends, name, counts, self.ranges)
        scale, shift = self._scale(layer, None if readout else self.ranges.peak[name])
        counts[name] = scale / 2.0**shift
        exponents = layer.exponents(scale, self._limit)
        tails, dropped = [], list(layer.dropped)
        for arm, weight, exp in zip(layer.arms, layer.weights, exponents, strict=True):
            mantissa = np.rint(weight * scale / 2.0**exp).astype(np.int8)
            if np.any(mantissa):
                tails.append(attach(arm, arm.holding(mantissa, exp), ends, name, nodes, edges)[1])
            else:
                dropped.append(arm.branch.source)
        if not tails:
            reason = f"all weights into it round to zero, with messages of {self.message_bits} bits"
            raise Unsupported(name, reason, "train the network, or rescale its layers")
        if len(tails) > 1:
            nodes[f"{name}.sum"] = Add()
            edges += [(tail, f"{name}.sum") for tail in tails]
            tails = [f"{name}.sum"]
        vth = 0 if readout else self._vth(name, counts[name])
        nodes[name] = LoihiSigma() if readout else self._neuron(ends, name, counts[name], vth, shift)
        edges.append((tails[0], name))
        error = layer.relative_error(scale, self._limit)
        self.report.append(LayerReport(name, 1 / counts[name], vth, shift, exponents, error, tuple(dropped)))

    @property
    def _limit(self) -> float:
        return (1 << (self.bits - 1)) - 1

    def _neuron(self, ends: Graph, name: str, per_unit: float, vth: int, shift: int) -> LoihiSigmaDelta:
        constant = bias(ends, name)
        whole = 0 if constant is None else np.rint(constant * per_unit).astype(np.int64)
        return LoihiSigmaDelta(vth=vth, bias=whole, state_exp=shift, carry=self.carry)

    def _scale(self, layer: _Layer, peak: float | None) -> tuple[float, int]:
        """(S, state_exp) of a layer; peak: its largest value, None of a readout."""
        top = (self._limit + 0.4999) / layer.finest
        top = min(top, (self._limit + 0.4999) * 2.0**EXP_MAX / layer.coarsest)
        if peak is not None:
            top = min(top, 2.0 ** (self.message_bits + SHIFT_MAX) / max(peak, 1e-12))
        tried = [top * 2.0 ** (-step / 8) for step in range(8)]
        tried += [whole for scale in tried for whole in layer.whole(scale, self._limit)]
        best = min(tried, key=lambda scale: layer.error(scale, self._limit))
        if peak is None:
            return best, 0
        wanted = math.ceil(math.log2(max(peak * best, 1.0))) - min(FINE, self.message_bits)
        return best, min(max(wanted, 0), SHIFT_MAX)


@dataclass(frozen=True, eq=False)
class _Layer:
    """What arrives at one population, in float. weights: per count of the source; rms: of those counts."""

    name: str
    arms: tuple[Arm, ...]
    weights: tuple[np.ndarray, ...]
    rms: tuple[float, ...]
    dropped: tuple[str, ...]

    @classmethod
    def of(cls, ends: Graph, name: str, counts: Mapping[str, float], ranges: Ranges) -> _Layer:
        found = [arm for branch in branches(ends, name) for arm in arms(ends, branch)]
        kept = [arm for arm in found if np.any(arm.weight)]
        if not kept:
            raise Unsupported(
                name, "all weights into it are zero", "train the network, or leave the layer out"
            )
        if late := next((n for arm in kept for n in arm.branch.chain if _reaches_back(ends.nodes[n])), None):
            raise Unsupported(late, "reaches back in steps, and frames are taken one by one", "use a Conv2d")
        sources = [arm.branch.source for arm in kept]
        return cls(
            name, tuple(kept), tuple(arm.weight / counts[s] for arm, s in zip(kept, sources, strict=True)),
            tuple(max(ranges.rms[s] * counts[s], 1e-9) for s in sources),
            tuple(arm.branch.source for arm in found if not np.any(arm.weight)),
        )  # fmt: skip

    @property
    def finest(self) -> float:
        """The largest weight of the branch where that is smallest."""
        return min(float(np.abs(w).max()) for w in self.weights)

    @property
    def coarsest(self) -> float:
        """The largest weight of all."""
        return max(float(np.abs(w).max()) for w in self.weights)

    def exponents(self, scale: float, limit: float) -> tuple[int, ...]:
        """The smallest e >= 0 per branch whose mantissas fit."""
        found = []
        for weight in self.weights:
            most = float(np.abs(weight).max()) * scale
            found.append(max(0, math.ceil(math.log2(max(most, 1e-12) / (limit + 0.4999)))))
        return tuple(found)

    def whole(self, scale: float, limit: float) -> list[float]:
        """Scales just below this one at which a residual's weight is a whole mantissa."""
        out = []
        for weight, exp in zip(self.weights, self.exponents(scale, limit), strict=True):
            if weight.size and np.all(weight == weight.flat[0]):
                step = 2.0**exp / abs(float(weight.flat[0]))
                out += [step * math.floor(scale / step)] if scale >= step else []
        return out

    def error(self, scale: float, limit: float) -> float:
        """Mean squared error that rounding the weights adds to a sum, at the sources' rms."""
        total = 0.0
        for weight, rms, exp in zip(self.weights, self.rms, self.exponents(scale, limit), strict=True):
            step = 2.0**exp / scale
            total += float(np.sum(np.square((weight - np.rint(weight / step) * step) * rms)))
        return total

    def relative_error(self, scale: float, limit: float) -> float:
        """Root mean square of that over that of the sum's weights."""
        size = sum(float(np.sum(np.square(w * r))) for w, r in zip(self.weights, self.rms, strict=True))
        return math.sqrt(self.error(scale, limit) / size)


def _reaches_back(node: Node) -> bool:
    return type(node).__name__ in ("StepConv", "Delay")


def _refuse_foreign(graph: Graph) -> None:
    for name, node, _ in graph:
        if not isinstance(node, Input | LinearNode | Relu):
            kind = type(node).__name__
            raise Unsupported(
                name, f"{kind} is neither linear nor a ReLU, and a sigma-delta network holds nothing else",
                "convert a spiking network with --to lava, or leave it out",
            )  # fmt: skip
        if isinstance(node, Input) and node.operand != "real":
            raise Unsupported(name, f"an input of {node.operand} values, expected real ones", "feed images")


def _ends(graph: Graph) -> Graph:
    """The graph with a neuron without memory in place of every ReLU and behind every output: there linear
    regions end, and `convert.passes.region` finds them."""
    here = LeakyIntegrator(dv=1.0)
    nodes = {n: here if isinstance(node, Activation) else node for n, node in graph.nodes.items()}
    sums = {name: f"{name}.sigma" for name in graph.outputs}
    nodes |= dict.fromkeys(sums.values(), here)
    edges = (*graph.edges, *sums.items())
    return Graph(nodes, edges, tuple(sums.values()), "folded", graph.dt_s, graph.meta)


def _host(graph: Graph, ends: Graph, counts: Mapping[str, float]) -> Graph:
    """y = sigma / S + b per output; LimitError where b differs between places of a channel."""
    nodes: dict[str, Node] = {}
    for name in graph.outputs:
        shape, constant = graph.shapes[name], bias(ends, f"{name}.sigma")
        flat = np.zeros((shape[0], 1)) if constant is None else constant.reshape(shape[0], -1)
        if np.any(flat != flat[:, :1]):
            raise Unsupported(
                name, "the bias of this output is not the same at all places of a channel",
                "give the bias to the last convolution",
            )  # fmt: skip
        nodes[f"{name}.sigma"] = Input(shape)
        nodes[name] = ChannelScale(np.full(shape[0], 1.0 / counts[f"{name}.sigma"]), flat[:, 0])
    edges = tuple((f"{name}.sigma", name) for name in graph.outputs)
    return check(Graph(nodes, edges, graph.outputs, "folded", graph.dt_s))
