"""Float graph to integer graph: 8-bit weights with exponents, 12-bit decays, 17-bit thresholds, biases.

Each neuron layer gets one real scale S [integer input counts per float unit], free to choose because spikes
carry no scale from layer to layer:

    weights    mantissa k = round(w S / 2^e), |k| < 2^(bits-1), one exponent e per branch
    threshold  vth = round(threshold S)                          v itself lives 2^6 finer than its input
    bias       b S 2^6 = mant << exp
    decays     dv = round(4096 dv),  du = round(4096 du) - 1

S is as large as the finest branch can use and the 24-bit membrane (peak seen in calibration times `headroom`)
and the bias register allow, then chosen among eighths of an octave for the least weight error, weighted by
the measured rate of each source. The mean current that rounding changed, at the measured rates, goes into the
bias of layers that have one. Branches with one weighted node keep their node (convolutions stay shared);
composed branches (graph convolution, mean and linear head) become one matrix per delay, of the synapses their
nodes join; layers over frames become convolutions (`passes/images.py`). A product of spikes stays; its counts
are a source like a neuron, and need no scale.

A relay (a LeakyIntegrator with dv = 1 that feeds others, see `passes/adjacency.py`) becomes a LoihiSigmaDelta
that sends what it gets: a graded source, one count of it worth 1 / S of its own layer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from convert.ir import (
    Add,
    Graph,
    Input,
    LoihiIntegrator,
    LoihiLIF,
    LoihiSigmaDelta,
    Neuron,
    Node,
    Product,
    Unsupported,
    refuse_windows,
)
from convert.ir.loihi import STATE_SHIFT, VTH_MAX
from convert.passes.adjacency import relays
from convert.passes.arm import Arm, arms, attach, copy_moves
from convert.passes.base import Pass
from convert.passes.coincidence import operand
from convert.passes.images import as_images
from convert.passes.region import bias, branches

STATE_MAX = 1 << 23
EXP_MIN, EXP_MAX = -8, 8
BIAS_MAX = 4095 << 7


@dataclass(frozen=True, eq=False)
class Calibration:
    """What running the float graph on data showed.

    peak: largest |x| of each input and largest |v| (before reset) of each neuron.
    rate: mean value per neuron, input value or value of a product, [*shape].
    """

    peak: Mapping[str, float]
    rate: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class LayerReport:
    """How one layer was quantised, for people to read."""

    neuron: str
    scale: float
    vth: int
    exponents: tuple[int, ...]
    weight_error: float  # rms weight error over rms weight, weighted by source rates


@dataclass(frozen=True, eq=False)
class Master:
    """What the mantissas of a node were rounded from, in the float model's units, and how much one is worth.

    mantissa = round(value / step): weights of a node that holds some, the bias of a neuron.
    """

    value: np.ndarray
    step: float


@dataclass(frozen=True, eq=False)
class _Layer:
    """One neuron's linear input, in float: what the scale is chosen for."""

    name: str
    node: Neuron
    arms: tuple[Arm, ...]
    weights: tuple[np.ndarray, ...]  # per arm, in the form its integer node holds them, per count of a source
    counts: Mapping[str, float]  # graded source -> float value of one count
    bias: np.ndarray | None
    relay: bool = False


@dataclass(frozen=True)
class Quantise:
    """The pass, with its data and options; call it on a folded graph. It fills `report` and `masters`."""

    calibration: Calibration
    bits: int = 8
    input_bits: int = 8
    headroom: float = 2.0
    report: list[LayerReport] = field(default_factory=list)
    relayed: dict[str, float] = field(default_factory=dict)  # relay -> float value of one count of it
    masters: dict[str, Master] = field(default_factory=dict)  # by name in the integer graph

    def __post_init__(self) -> None:
        for name, value, low, high in (("bits", self.bits, 2, 8), ("input_bits", self.input_bits, 2, 16)):
            if not low <= value <= high:
                raise Unsupported("quantise", f"{name} = {value} is outside {low}..{high}", "choose another")

    def __call__(self, graph: Graph) -> Graph:
        """The integer graph; node names of neurons and inputs stay, so spikes can be compared by name."""
        return Pass("quantise", "folded", "integer", self._rewrite)(graph)

    def _rewrite(self, graph: Graph) -> Graph:
        refuse_windows(graph, "a chip")
        graph = as_images(graph)
        self.report.clear()
        self.relayed.clear()
        self.masters.clear()
        nodes: dict[str, Node] = {n: self._input(n, graph.nodes[n]) for n in graph.sources()}
        edges: list[tuple[str, str]] = []
        operands = {n: [operand(graph, n, side) for side in (0, 1)] for n in graph.products()}
        for name, node, _ in graph:
            if isinstance(node, Neuron):
                self._layer(graph, name, nodes, edges)
            elif isinstance(node, Product):
                sides = [copy_moves(graph, branch, nodes, edges) for branch in operands[name]]
                nodes[name] = node
                edges += [(side, name) for side in sides]
        for name in graph.outputs:
            if not isinstance(nodes.get(name), Neuron | Input):
                raise Unsupported(
                    name,
                    "is an output but no neuron",
                    "end the model in a LeakyIntegrator or a spiking layer",
                )
        outputs = tuple(graph.outputs)
        return Graph(nodes, tuple(edges), outputs, "integer", graph.dt_s, graph.meta)

    def _input(self, name: str, node: Node) -> Input:
        if not isinstance(node, Input):
            raise Unsupported(
                name, f"{type(node).__name__} has no integer form", "feed the graph by an Input"
            )
        if node.operand != "real":
            return node
        limit = (1 << (self.input_bits - 1)) - 1
        scale = max(self.calibration.peak[name], 1e-12) / limit
        return Input(node.shape, "graded", scale, self.input_bits)

    def _layer(self, graph: Graph, name: str, nodes: dict[str, Node], edges: list[tuple[str, str]]) -> None:
        layer = _float_layer(graph, name, nodes, self.relayed)
        if not layer.node.spiking and not layer.relay and graph.users_of(name):
            raise Unsupported(
                name,
                "is read by other nodes but does not spike",
                "put a spiking neuron there; a relay (LeakyIntegrator with dv = 1) may be read",
            )
        if layer.relay and name in graph.outputs:
            raise Unsupported(
                name,
                "is an output and is read by others: as a relay it sends messages, and a record sums these",
                "read the output from a LeakyIntegrator of its own",
            )
        scale = self._choose_scale(layer)
        if layer.relay:
            self.relayed[name] = 1.0 / scale
        drift = self._drift(graph, layer, scale)
        exponents = self._exponents(layer, scale)
        held = [
            np.rint(w * scale / 2.0**e).astype(np.int8) for w, e in zip(layer.weights, exponents, strict=True)
        ]
        _refuse_silence(layer, held)
        ends = []
        for arm, weight, mantissa, exp in zip(layer.arms, layer.weights, held, exponents, strict=True):
            held_by, end = attach(arm, arm.holding(mantissa, exp), graph, name, nodes, edges)
            ends.append(end)
            count = layer.counts.get(arm.branch.source, 1.0)
            self.masters[held_by] = Master(weight / count, 2.0**exp / (scale * count))
        if len(ends) > 1:
            nodes[f"{name}.sum"] = Add()
            edges += [(end, f"{name}.sum") for end in ends]
            ends = [f"{name}.sum"]
        nodes[name] = self._neuron(layer, scale, drift)
        edges.append((ends[0], name))
        self._tell(layer, scale)

    def _exponents(self, layer: _Layer, scale: float) -> tuple[int, ...]:
        """The smallest exponent per branch that holds its largest weight."""
        limit = (1 << (self.bits - 1)) - 1
        out = []
        for weight, arm in zip(layer.weights, layer.arms, strict=True):
            peak = float(np.abs(weight).max(initial=0.0)) * scale
            exp = math.ceil(math.log2(peak / (limit + 0.4999)))
            out.append(max(exp, EXP_MIN if arm.branch.source in layer.counts else 0))
            if out[-1] > EXP_MAX:
                raise Unsupported(
                    layer.name,
                    f"a branch needs weight exponent {out[-1]} > {EXP_MAX}: the "
                    "branches' weights differ too much",
                    "rescale them in training",
                )
        return tuple(out)

    def _choose_scale(self, layer: _Layer) -> float:
        limit = (1 << (self.bits - 1)) - 1
        finest = min(float(np.abs(w).max(initial=0.0)) for w in layer.weights)
        # Exponent 1 in mantissa form is Lava's weight_exp 0 for 8 bits: the natural form of a `.net`.
        wanted = (1.0 if layer.relay else 2.0) * (limit + 0.4999) / finest
        peak = max(self.calibration.peak.get(layer.name, 0.0), getattr(layer.node, "threshold", 0.0), 1e-9)
        allowed = STATE_MAX / (1 << STATE_SHIFT) / (self.headroom * peak)
        threshold = getattr(layer.node, "threshold", None)
        if threshold is not None:
            allowed = min(allowed, VTH_MAX / threshold)
        if layer.bias is not None:  # 13 bits and exponent 7; a quarter more for the drift that is added
            held = BIAS_MAX / (1 << STATE_SHIFT) / 1.25
            allowed = min(allowed, held / max(float(np.abs(layer.bias).max(initial=0.0)), 1e-12))
        top = min(wanted, allowed)
        candidates = [top * 2.0 ** (-step / 8) for step in range(8)]
        candidates += _whole(layer, candidates, limit)
        return min(candidates, key=lambda scale: self._error(layer, scale))

    def _error(self, layer: _Layer, scale: float) -> float:
        """Mean squared current error from rounding weights and threshold, at the measured rates."""
        total = 0.0
        for arm, weight, exp in zip(layer.arms, layer.weights, self._exponents(layer, scale), strict=True):
            step = 2.0**exp / scale
            rounding = weight - np.rint(weight / step) * step
            power = float(np.mean(np.square(self._rate(layer, arm.branch.source)))) + 1e-12
            total += float(np.sum(np.square(rounding))) * power
        threshold = getattr(layer.node, "threshold", None)
        if threshold is not None:
            off = threshold - np.rint(threshold * scale) / scale
            total += off * off * layer.weights[0].shape[0]
        return total

    def _drift(self, graph: Graph, layer: _Layer, scale: float) -> np.ndarray | float:
        """Mean current that rounding the weights adds, at the measured rates; 0 for layers without a bias."""
        total: np.ndarray | float = 0.0
        if layer.bias is None:
            return total
        for arm, weight, exp in zip(layer.arms, layer.weights, self._exponents(layer, scale), strict=True):
            step = 2.0**exp / scale
            error = np.rint(weight / step) * step - weight
            total = total + arm.current(graph, error, self._rate(layer, arm.branch.source))
        return np.reshape(total, graph.shapes[layer.name])

    def _rate(self, layer: _Layer, source: str) -> np.ndarray:
        """Mean value per neuron of a source, in the counts its weights are per."""
        if source not in self.calibration.rate:
            raise Unsupported(
                layer.name, f"calibration knows no rate of {source}", "calibrate the same graph"
            )
        return self.calibration.rate[source] / layer.counts.get(source, 1.0)

    def _neuron(self, layer: _Layer, scale: float, drift: np.ndarray | float) -> Neuron:
        node = layer.node
        if layer.relay:
            return LoihiSigmaDelta(vth=0, act="unit")
        decays = {"du": round(4096 * node.du) - 1, "dv": round(4096 * node.dv)}  # type: ignore[attr-defined]
        if decays["du"] < 0:
            raise Unsupported(layer.name, f"du = {node.du} rounds below 1/4096", "use du of 1/4096 or more")
        wanted = None if layer.bias is None else layer.bias - drift
        mant, exp = _bias(layer.name, wanted, scale * (1 << STATE_SHIFT))
        if wanted is not None:
            self.masters[layer.name] = Master(wanted, 2.0**exp / (scale * (1 << STATE_SHIFT)))
        if isinstance(node, Neuron) and node.spiking:
            vth = int(np.rint(node.threshold * scale))  # type: ignore[attr-defined]
            if vth < 1:
                raise Unsupported(layer.name, "its threshold rounds to 0", "lower the weights into it")
            return LoihiLIF(vth=vth, bias_mant=mant, bias_exp=exp, **decays)
        unit = 1.0 / (scale * (1 << STATE_SHIFT))
        return LoihiIntegrator(unit=unit, bias_mant=mant, bias_exp=exp, **decays)

    def _tell(self, layer: _Layer, scale: float) -> None:
        exponents = self._exponents(layer, scale)
        off = size = 0.0
        for weight, exp in zip(layer.weights, exponents, strict=True):
            step = 2.0**exp / scale
            off += float(np.sum(np.square(weight - np.rint(weight / step) * step)))
            size += float(np.sum(np.square(weight)))
        vth = int(np.rint(getattr(layer.node, "threshold", 0.0) * scale))
        self.report.append(LayerReport(layer.name, scale, vth, exponents, math.sqrt(off / size)))


def _float_layer(graph: Graph, name: str, nodes: Mapping[str, Node], relayed: Mapping[str, float]) -> _Layer:
    found = [arm for branch in branches(graph, name) for arm in arms(graph, branch)]
    weights, counts = [], {}
    for arm in found:
        weight, origin = arm.weight, arm.branch.source
        source = nodes[origin]
        if isinstance(source, Input) and source.operand == "graded":
            counts[origin] = source.scale
            weight = weight * source.scale
        elif origin in relayed:
            counts[origin] = relayed[origin]
            weight = weight * relayed[origin]
        if not np.any(weight):
            raise Unsupported(name, f"the weights from {origin} are all zero", "remove the branch")
        weights.append(weight)
    node, constant = graph.nodes[name], bias(graph, name)
    if constant is not None and node.du != 1.0:  # type: ignore[attr-defined]
        raise Unsupported(
            name,
            "a bias before a neuron with a current state is not a bias of its membrane",
            "train without bias and batch norm there, or use LIF",
        )
    own = getattr(node, "bias", None)
    if own is not None:
        constant = own if constant is None else constant + own
    full = None if constant is None else np.broadcast_to(constant, graph.shapes[name])
    relay = name in relays(graph)
    if relay and full is not None:
        raise Unsupported(name, "a relay has a bias", "put the bias behind it")
    return _Layer(name, node, tuple(found), tuple(weights), counts, full, relay)  # type: ignore[arg-type]


def _refuse_silence(layer: _Layer, held: list[np.ndarray]) -> None:
    """A branch none of whose weights is left: its threshold, membrane or bias is too large for 8 bits."""
    heard = {arm.branch for arm, mantissa in zip(layer.arms, held, strict=True) if mantissa.any()}
    for arm, weight in zip(layer.arms, layer.weights, strict=True):
        if arm.branch not in heard:
            raise Unsupported(
                layer.name,
                f"the weights from {arm.branch.source}, at most {np.abs(weight).max():.3g}, round to 0 where "
                "its threshold fits 17 bits and its membrane 24",
                "lower the threshold or raise the weights in training",
            )


def _whole(layer: _Layer, scales: list[float], limit: int) -> list[float]:
    """Scales a little below these that make the weight of a layer with one weight an exact mantissa.

    Such a layer counts spikes (a bare residual, attention's scaled counts): its sums land on the threshold,
    and must not pass it because weight and threshold were rounded apart.
    """
    sizes = np.unique(np.abs(np.concatenate([w[w != 0] for w in layer.weights])))
    if len(sizes) != 1:
        return []
    steps = [2.0 ** math.ceil(math.log2(sizes[0] * s / (limit + 0.4999))) / sizes[0] for s in scales]
    return [math.floor(s / step) * step for s, step in zip(scales, steps, strict=True) if s >= step]


def _bias(name: str, value: np.ndarray | None, scale: float) -> tuple[np.ndarray | None, int]:
    """Mantissas and the smallest exponent 0..7 that holds them in 13 bits."""
    if value is None:
        return None, 0
    peak = float(np.abs(value).max(initial=0.0)) * scale
    exp = max(0, math.ceil(math.log2(peak / 4095.0))) if peak > 0 else 0
    if exp > 7:
        raise Unsupported(
            name, f"a bias of {peak:.0f} needs more than 13 bits and exponent 7", "lower the bias"
        )
    return np.clip(np.rint(value * scale / 2.0**exp), -4096, 4095).astype(np.int64), exp
