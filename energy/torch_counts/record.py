"""What one run of a module did, operation by operation, before it is known what may be folded.

    Synaptic   weights or pairs of values: its numbers with the pool in front of it and without
    Steady     everything else: fixed numbers of an operation
    Pool       a Steady that vanishes where all that read it are weights
    Norm       a Steady that vanishes into the weights in front of it, if it alone reads them

`settled` decides, by the same rules as the graph side (`energy.operand.plan`,
`convert.passes.fold_batchnorm`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from energy.operand import INTEGER, REAL


@dataclass(frozen=True)
class Where:
    """The line an operation belongs to: path of the module, item within it, and what it is."""

    node: str
    item: str
    type: str
    in_shape: tuple[int, ...]
    out_shape: tuple[int, ...]


@dataclass(eq=False)
class Users:
    """Who read a tensor: a record, or None for an operation that no pool or norm can be folded into."""

    readers: list[Record | None] = field(default_factory=list)


@dataclass(eq=False)
class Record:
    """One operation of one call."""

    where: Where


@dataclass(eq=False)
class Numbers:
    """A synaptic operation, of one operand.

    nnz of rate_values: non-zero operand values; active: of the layer's input.  peak: the largest size in it,
    of a class `input_cls`; window: inputs of a folded pool; sized: sop with the size of each value, where it
    is sums of spikes.  signed, size: sums of the operand's values and sizes, over `values` of them; NaN where
    not known.  by_step: field -> int64 [T].  pairs_kv: of one of an attention's two products, what it has
    with K^T V first (`energy.attention`).
    """

    cls: int
    spikes: bool
    known: bool
    dense: int
    inbounds: int
    sop: int
    sop_nonzero: int
    done: int
    nnz: int
    rate_values: int
    values: int
    signed: float
    size: float
    by_step: dict[str, np.ndarray] | None = None
    folded: bool = False
    sums: bool = False
    active: int = 0
    peak: int = 1
    sized: int = 0
    input_cls: int = REAL
    pairs: bool = False
    window: int = 1
    pairs_kv: int | None = None

    def counts(self) -> dict[str, int]:
        """Fields of `energy.line.COUNTS`: binary and ternary operands make ACs, all others MACs."""
        multiplied = self.cls >= INTEGER
        return {
            "nnz_in": self.nnz, "dense_mac": self.dense, "dense_mac_inbounds": self.inbounds,
            "sop_exact": self.sop, "sop_nonzero": self.sop_nonzero,
            "mac": self.done if multiplied else 0, "ac": 0 if multiplied else self.done, "bias_adds": 0,
        }  # fmt: skip

    def recounts(self) -> dict[str, float]:
        """Fields of `energy.line.RECOUNTS`, as `energy.recounts` has them."""
        first = {} if self.pairs_kv is None else {"pairs_kv": self.pairs_kv}
        if not self.known:
            return {"sop_share": float(self.dense), "sop_padded": float(self.dense), **first}
        share = self.active / max(1, self.values) * self.dense
        wide = max(1, self.peak).bit_length() if self.input_cls == INTEGER else 1
        whole = self.done if self.cls == INTEGER else 0
        padded = (
            float(self.sop)
            if self.pairs
            else self.nnz * (self.dense / max(1, self.rate_values // self.window))
        )
        return {
            "sop_share": share, "sop_bits": wide * share, "sop_padded": padded, "mac_integer": whole,
            "ac_bits": wide * whole, "sop_sized": self.sized if self.input_cls == INTEGER else 0,
            **first,
        }  # fmt: skip

    def paper(self) -> float:
        """rate . T . FL of spiking input, T . FL of other input."""
        return (self.size / self.values if self.spikes and self.known else 1.0) * self.dense


@dataclass(eq=False)
class Stage:
    """plain: as it ran; behind: with the pool in front of it folded, where there is one."""

    item: str
    plain: Numbers
    behind: Numbers | None = None


@dataclass(eq=False)
class Synaptic(Record):
    """stages: one, or one for each product of a graph convolution.  outputs: values given.  bias: adds.

    pool: what its operand came through.  fixed: its weights are an adjacency.  scale: one weight a value,
    part of a layer and none of its own.  first: it reads what enters the model; head: no layer comes behind.
    scores: the product that one of its operands is, and what both have with K^T V first, if nothing else
    reads it.
    """

    stages: Sequence[Stage] = ()
    outputs: int = 0
    bias: int = 0
    pool: Pool | None = None
    fixed: bool = False
    scale: bool = False
    first: bool = False
    head: bool = True
    users: Users = field(default_factory=Users)
    scores: Scores | None = None
    pairs_kv: int = 0


@dataclass(frozen=True, eq=False)
class Scores:
    """A product Q K^T: what is not zero in Q and K^T, and their inner size d."""

    record: Synaptic
    q: int
    k: int
    d: int


@dataclass(eq=False)
class Steady(Record):
    """counts: fields of `energy.line.COUNTS`; by_step: spikes_out -> int64 [T]; known: whether values
    were."""

    counts: dict[str, int] = field(default_factory=dict)
    by_step: dict[str, np.ndarray] | None = None
    known: bool = True
    folded: bool = False


@dataclass(eq=False)
class Pool(Steady):
    """overlaps: windows do.  foldable: no window overlaps, its input is discrete.  inner: a pool right
    before."""

    overlaps: bool = False
    foldable: bool = False
    inner: Pool | None = None
    users: Users = field(default_factory=Users)


@dataclass(eq=False)
class Norm(Steady):
    """A batch norm of running statistics; makers: the weighted operations whose output it scales."""

    makers: tuple[Synaptic, ...] = ()


NO_RULE = "add a rule by the name of the ATen operation in energy/torch_counts/, in the file of its kind"
OUT_OF_SIGHT = "made out of torch's sight (a compiled kernel, numpy, lists): use its operations, or a buffer"
FAILED = "what it did before it raised is not known: let the model ask before it calls"


@dataclass(eq=False)
class Missing(Record):
    """What was done but is not counted, how many values it gave, and what to do about it."""

    values: int = 0
    remedy: str = NO_RULE


def settled(records: Iterable[Record], fold_norm: bool) -> list[Record]:
    """The records with pools and norms folded where they may be."""
    found = list(records)
    absorbed: dict[int, bool] = {}
    for pool in reversed([r for r in found if isinstance(r, Pool)]):
        readers = pool.users.readers
        absorbed[id(pool)] = bool(readers) and all(_absorbs(r, absorbed) for r in readers)
    for record in found:
        if isinstance(record, Synaptic) and record.scores is not None:
            _pair(record, record.scores.record)
        if isinstance(record, Pool):
            before = record.inner is None or record.inner.folded
            record.folded = record.foldable and absorbed[id(record)] and before
        elif isinstance(record, Norm) and fold_norm:
            record.folded = _folds(record)
    return found


def _absorbs(reader: Record | None, absorbed: dict[int, bool]) -> bool:
    if isinstance(reader, Pool):
        return absorbed[id(reader)] and not reader.overlaps
    return isinstance(reader, Synaptic)


def _pair(mixed: Synaptic, scores: Synaptic) -> None:
    """Two products are one attention if the second alone reads the first."""
    if scores.users.readers == [mixed]:
        scores.stages[0].plain.pairs_kv = 0
        mixed.stages[0].plain.pairs_kv = mixed.pairs_kv


def _folds(norm: Norm) -> bool:
    """Into weights that nothing else reads; their outputs then have a bias."""
    if not norm.makers or any(m.users.readers != [norm] for m in norm.makers):
        return False
    for maker in norm.makers:
        maker.bias = maker.bias or maker.outputs
    return True
