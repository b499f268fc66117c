"""The program: the neuron-level form a neuromorphic chip holds. Populations, and projections between them.

A program is *aligned*: population p is `latency[p]` chip steps behind the input, and everything below is
said in aligned steps t = 0..T-1 (chip step minus latency). At aligned step t, population d receives

    a_d[t] = sum over projections p into d of  shift( W_p s_src[t - delay_p], exp_p )

per port of d, with s = 0 before step 0, and shift(x, e) = x << e, or a floor shift right by -e of the sum;
a convolution with `wrap` wraps each shifted sum to 24 bits. Then the neuron
of `convert.ir.loihi` takes its step. On a chip a projection takes one step, so its delay there is
`chip_delay = latency[dst] - latency[src] - 1 + delay >= 0`; the bias of a population begins at chip step
`latency` (counted from 0), and its outputs of aligned step t are read at chip step t + latency.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from convert.ir.errors import GraphError, LimitError
from convert.ir.loihi import LoihiNeuron
from convert.ir.node import Shape, array
from convert.ir.sources import Input

EXP_MIN, EXP_MAX = -8, 8  # mantissa exponents; Loihi's -8..7 applies to weights in steps of two
DELAY_MAX = 62
Synapses = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True, eq=False)
class Population:
    """`size` neurons of one model: an Input (spikes or graded values from outside) or a Loihi neuron."""

    name: str
    shape: Shape
    model: Input | LoihiNeuron
    latency: int = 0

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def message(self) -> str:
        """'binary', 'ternary' or 'graded': what it sends; an input also 'real'."""
        return self.model.operand if isinstance(self.model, Input) else self.model.message


@dataclass(frozen=True, eq=False)
class DenseWeights:
    """W int8/int16 [out, in]: what most projections hold."""

    matrix: np.ndarray

    def __post_init__(self) -> None:
        object.__setattr__(self, "matrix", array(self.matrix))

    @property
    def shape(self) -> tuple[int, int]:
        return self.matrix.shape  # type: ignore[return-value]

    @property
    def stored(self) -> np.ndarray:
        """The weights as they are written down."""
        return self.matrix

    def synapses(self) -> Synapses:
        """(target, source, value) of every synapse once, int64 each; a stored zero is a synapse."""
        target, source = (a.reshape(-1).astype(np.int64) for a in np.indices(self.shape))
        return target, source, self.matrix.reshape(-1).astype(np.int64)

    def synapse_count(self) -> int:
        return self.matrix.size

    def to_dense(self) -> np.ndarray:
        """int64 [out, in]."""
        return self.matrix.astype(np.int64)


@dataclass(frozen=True, eq=False)
class SparseWeights:
    """W in compressed columns, one column a source: what leaves source i is rows[starts[i]:starts[i+1]].

    starts int64 [in + 1], rows int32 (targets, ascending within a source), values int8/int16. A stored
    value may be zero: it is a synapse that exists and costs. A structural zero is no synapse.
    """

    starts: np.ndarray
    rows: np.ndarray
    values: np.ndarray
    shape: tuple[int, int]

    def __post_init__(self) -> None:
        object.__setattr__(self, "starts", array(self.starts, np.int64))
        object.__setattr__(self, "rows", array(self.rows, np.int32))
        object.__setattr__(self, "values", array(self.values))
        object.__setattr__(self, "shape", (int(self.shape[0]), int(self.shape[1])))
        if len(self.starts) != self.shape[1] + 1 or len(self.rows) != len(self.values):
            raise GraphError(f"SparseWeights: {len(self.starts)} starts for {self.shape[1]} sources")

    @property
    def stored(self) -> np.ndarray:
        """The weights as they are written down."""
        return self.values

    def synapses(self) -> Synapses:
        """(target, source, value) of every synapse once, int64 each; a stored zero is a synapse."""
        source = np.repeat(np.arange(self.shape[1], dtype=np.int64), np.diff(self.starts))
        return self.rows.astype(np.int64), source, self.values.astype(np.int64)

    def synapse_count(self) -> int:
        return len(self.values)

    def to_dense(self) -> np.ndarray:
        """int64 [out, in]."""
        out = np.zeros(self.shape, np.int64)
        target, source, value = self.synapses()
        out[target, source] = value
        return out


@dataclass(frozen=True, eq=False)
class ConvWeights:
    """A shared kernel [out, in / groups, kh, kw] over a (C, H, W) source; geometry as `Conv2d`."""

    kernel: np.ndarray
    in_shape: Shape
    out_shape: Shape
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    groups: int
    wrap: bool = False  # Lava's Conv: each sum, after the shift, wraps: ((x + 2^23) mod 2^24) - 2^23

    def __post_init__(self) -> None:
        object.__setattr__(self, "kernel", array(self.kernel))
        for name in ("in_shape", "out_shape", "stride", "padding", "dilation"):
            object.__setattr__(self, name, tuple(int(n) for n in getattr(self, name)))

    @property
    def shape(self) -> tuple[int, int]:
        return int(np.prod(self.out_shape)), int(np.prod(self.in_shape))

    @property
    def stored(self) -> np.ndarray:
        """The weights as they are written down."""
        return self.kernel

    def synapse_count(self) -> int:
        return len(self.synapses()[0])

    def synapses(self) -> Synapses:
        """(target, source, value) of every synapse once, in-bounds ones only; int64 each."""
        o, ci, p, q = (a.reshape(-1) for a in np.indices(self.kernel.shape))
        oy, ox = (a.reshape(-1, 1) for a in np.indices(self.out_shape[1:]))
        iy = oy * self.stride[0] + p * self.dilation[0] - self.padding[0]
        ix = ox * self.stride[1] + q * self.dilation[1] - self.padding[1]
        _, high, wide = self.in_shape
        inside = (iy >= 0) & (iy < high) & (ix >= 0) & (ix < wide)
        channel = ci + o // (self.out_shape[0] // self.groups) * self.kernel.shape[1]
        target = (o * self.out_shape[1] + oy) * self.out_shape[2] + ox
        source = (channel * high + iy) * wide + ix
        value = np.broadcast_to(self.kernel.reshape(-1), target.shape)
        return target[inside], source[inside], value[inside].astype(np.int64)

    def to_dense(self) -> np.ndarray:
        """int64 [out, in]."""
        out = np.zeros(self.shape, np.int64)
        target, source, value = self.synapses()
        np.add.at(out, (target, source), value)
        return out


Weights = DenseWeights | SparseWeights | ConvWeights


@dataclass(frozen=True, eq=False)
class Projection:
    """Synapses of one weight format from `src` to `dst`; see the module for what they compute.

    weights hold signed mantissas of `bits` bits; Lava's Dense holds them as `W << (9 - bits)` with
    `weight_exp = exp - (9 - bits)`: the same product, bit for bit.
    """

    name: str
    src: str
    dst: str
    weights: Weights
    exp: int = 0
    delay: int = 0
    bits: int = 8
    port: str = "a"  # which input of dst; see LoihiNeuron.ports


def _check_weights(p: Projection) -> None:
    values = p.weights.stored
    if values.dtype.kind not in "iu":
        raise GraphError(f"{p.name}: weights of type {values.dtype}, expected integers; quantise them")
    if p.bits < 1:
        raise GraphError(f"{p.name}: weights of {p.bits} bits, expected 1 or more; give their width")
    low, high = -(1 << (p.bits - 1)), (1 << (p.bits - 1)) - 1
    least, most = int(values.min(initial=0)), int(values.max(initial=0))
    if least < low or most > high:
        found = f"weights of {least}..{most} do not fit {p.bits} bits ({low}..{high})"
        raise LimitError(p.name, found, "scale the weights and the threshold of its target down together")


@dataclass(frozen=True, eq=False)
class Program:
    """Populations in an order in which sources come first, projections, and the populations read out."""

    populations: Mapping[str, Population]
    projections: tuple[Projection, ...]
    outputs: tuple[str, ...]
    meta: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "populations", MappingProxyType(dict(self.populations)))
        object.__setattr__(self, "projections", tuple(self.projections))
        object.__setattr__(self, "meta", MappingProxyType(dict(self.meta)))
        for p in self.projections:
            self._check(p)
        for name in self.outputs:
            if name not in self.populations:
                raise GraphError(f"{name}: named as an output, but no such population")

    def _check(self, p: Projection) -> None:
        for end in (p.src, p.dst):
            if end not in self.populations:
                raise GraphError(f"{p.name}: there is no population {end}")
        want = (self.populations[p.dst].size, self.populations[p.src].size)
        if tuple(p.weights.shape) != want:
            raise GraphError(f"{p.name}: weights {p.weights.shape} between populations of {want}")
        ports = getattr(self.populations[p.dst].model, "ports", ("a",))
        if p.port not in ports:
            raise GraphError(f"{p.name}: {p.dst} has no port {p.port!r}, only {', '.join(ports)}")
        if not EXP_MIN <= p.exp <= EXP_MAX:
            found = f"weight exponent {p.exp} is outside {EXP_MIN}..{EXP_MAX}"
            raise LimitError(p.name, found, "scale the weights and the threshold of its target")
        _check_weights(p)
        late = self.chip_delay(p)
        found = f"chip delay {late} is outside 0..{DELAY_MAX}"
        if late > DELAY_MAX:
            raise LimitError(p.name, found, "shorten it, or chain relay neurons")
        if late < 0 and self._reaches(p.dst, p.src):
            found = f"{found}, on a cycle from {p.src} back to it"
            raise LimitError(p.name, found, f"a projection takes a chip step: delay it by {-late} more")
        if late < 0:
            raise GraphError(f"{p.name}: {found}; {p.dst} needs a latency of {-late} more")

    def _reaches(self, start: str, end: str) -> bool:
        """Whether projections lead from one population to another, or they are the same."""
        seen, todo = {start}, [start]
        while todo:
            at = todo.pop()
            todo += [p.dst for p in self.projections if p.src == at and p.dst not in seen]
            seen.update(todo)
        return end in seen

    def chip_delay(self, p: Projection) -> int:
        """Delay of the projection on a chip, where the projection itself takes one step."""
        return self.populations[p.dst].latency - self.populations[p.src].latency - 1 + p.delay

    def into(self, name: str) -> tuple[Projection, ...]:
        """Projections that feed a population."""
        return tuple(p for p in self.projections if p.dst == name)

    def inputs(self) -> tuple[str, ...]:
        """Populations fed from outside."""
        return tuple(n for n, p in self.populations.items() if isinstance(p.model, Input))

    def neurons(self) -> tuple[str, ...]:
        """All other populations."""
        return tuple(n for n, p in self.populations.items() if not isinstance(p.model, Input))
