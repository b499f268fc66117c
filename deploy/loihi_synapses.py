"""One projection in the Loihi simulator: three layouts of its weights, and the choice between them.

    rows      W transposed, in blocks of outputs: the rows of the sources that spiked are added, vectorised
    columns   compressed columns: what leaves a spike is scattered, one synapse after the other
    product   a float matrix product over all rows, zeros and all: exact, since sums stay below 2^24 (2^53)

All give the same integers. The choice falls on the one that costs least at the activity just measured. The
costs below are nanoseconds on one core of an AMD EPYC (Zen 3, AVX2), measured by
`python -m benchmarks.loihi_sim_layouts`; only their ratios matter. Rows of 8-bit weights are so cheap that
the product pays for narrow populations alone.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Lock

import numpy as np

from convert.ir import ConvWeights, DenseWeights, Projection, SparseWeights, Weights
from deploy import loihi_kernels as kernels
from deploy.bounds import wraps
from deploy.loihi_graded import add_wrapped

LAYOUTS = ("rows", "columns", "product")
BLOCK_BYTES = 4 << 20  # weights of one block: the spikes of a whole tile of rows pass over it before the next
WIDTH_MIN, WIDTH_MAX = 64, 1024  # long rows win: beginning one costs as much as adding 100 of its weights
UNROLL_MAX = 1 << 26  # cells of a sparse or shared matrix that may be written out
SHARE_MIN = 1 << 20  # additions worth a hand-over to another thread
FLOAT32_EXACT, FLOAT64_EXACT = 1 << 24, 1 << 53

LIST_NS = 0.5  # look at one source for a spike
ROW_NS, SPIKE_NS = 0.036, 2.5  # rows, spikes: add one weight (16 lanes); begin one row of a block
VALUE_NS, GRADED_NS = 0.055, 4.5  # rows, values: multiply and add one weight; begin one row
COLUMN_NS = 1.8  # scatter one synapse
PRODUCT_NS = 0.06  # one multiply-add of the float product: 0.03 on one core, but its library wakes them all
CAST_NS = 0.5  # one element to float, or back


class Desk:
    """Working memory of one thread, or of several that share a projection; sized once for a program."""

    def __init__(
        self, sources: int, targets: int, pool: ThreadPoolExecutor | None = None, seats: int = 1
    ) -> None:
        self.pool, self.seats = pool, seats
        wide = max(targets, WIDTH_MAX)
        self.lists = np.empty((seats, kernels.TILE, sources + kernels.GROUP), np.int32)
        self.lengths = np.empty((seats, kernels.TILE), np.int64)
        self.factors = {np.dtype(t): np.empty(self.lists.shape, t) for t in (np.int32, np.int64)}
        self.sums = {np.dtype(t): np.empty((seats, 2, wide), t) for t in (np.int16, np.int32, np.int64)}

    def share(self, work: Callable[[int, int, int], None], blocks: int, additions: float) -> None:
        """work(seat, first, last) over all blocks of outputs, on one thread or on all."""
        seats = min(self.seats, blocks) if additions >= SHARE_MIN else 1
        if self.pool is None or seats == 1:
            work(0, 0, blocks)
            return
        cuts = [blocks * k // seats for k in range(seats + 1)]
        list(self.pool.map(work, range(seats), cuts[:-1], cuts[1:]))


class Synapses:
    """A projection ready to run. reach: largest |W x|; graded: messages are values, not only 0 and 1;
    port: which of the target's inputs it feeds."""

    def __init__(self, projection: Projection, reach: int, graded: bool, method: str, port: int = 0) -> None:
        self.projection, self.reach, self.graded, self.method = projection, reach, graded, method
        self.port, self.wraps = port, wraps(projection, reach)
        self.exp, self.weights = projection.exp, projection.weights
        self.out, self.sources = self.weights.shape
        self.synapses = _stored(self.weights)
        self._lock = Lock()
        self._made: dict[str, tuple[np.ndarray, ...]] = {}

    def add(self, raster: np.ndarray, acc: np.ndarray, desk: Desk) -> None:
        """acc [rows, out] += shift(W x, exp), x = raster [rows, in]: uint8 spikes or int32 values."""
        active = int(np.count_nonzero(raster.view(np.bool_) if raster.dtype == np.uint8 else raster))
        if active:
            layout = self.choose(len(raster), active)
            sums = np.zeros_like(acc) if self.wraps else acc
            getattr(self, f"_{layout}")(self._layout(layout), raster, sums, desk, active)
            if self.wraps:
                add_wrapped(sums, acc)

    def choose(self, rows: int, active: int) -> str:
        """The cheapest layout for `rows` rows with `active` active sources in all."""
        if self.method != "auto":
            fits = self.method != "product" or self.reach < FLOAT64_EXACT
            return self.method if fits else "rows"
        look = rows * self.sources * LIST_NS
        costs = {"columns": look + active * self.synapses / max(1, self.sources) * COLUMN_NS}
        cells = self.out * self.sources
        if isinstance(self.weights, DenseWeights) or cells <= UNROLL_MAX:
            add, begin = (VALUE_NS, GRADED_NS) if self.graded else (ROW_NS, SPIKE_NS)
            costs["rows"] = look + active * (self.out * add + begin * -(-self.out // WIDTH_MAX))
            double = 1 if self.reach < FLOAT32_EXACT else 2
            if self.reach < FLOAT64_EXACT:
                cast = rows * (self.out + self.sources) * CAST_NS
                costs["product"] = double * (rows * cells * PRODUCT_NS + cast)
        return min(costs, key=lambda layout: costs[layout])

    def _rows(
        self, w: tuple[np.ndarray, ...], raster: np.ndarray, acc: np.ndarray, desk: Desk, n: int
    ) -> None:
        block, peak = w
        narrow, wide = np.dtype(np.int16), block.shape[2]
        if kernels.GROUP * int(peak) > np.iinfo(narrow).max:
            narrow = np.dtype(np.int32)
        most = np.iinfo(narrow).max // int(peak) // kernels.GROUP * kernels.GROUP

        def work(seat: int, first: int, last: int) -> None:
            part = desk.sums[acc.dtype][seat, 0, :wide]
            lists, lengths = desk.lists[seat], desk.lengths[seat]
            if self.graded:
                factors = desk.factors[acc.dtype][seat]
                kernels.add_values(raster, acc, block, (first, last), self.exp, lists, lengths, factors, part)
                return
            short = desk.sums[narrow][seat, 1, :wide]
            kernels.add_spikes(raster, acc, block, (first, last), most, self.exp, lists, lengths, short, part)

        desk.share(work, len(block), n * self.out)

    def _columns(
        self, w: tuple[np.ndarray, ...], raster: np.ndarray, acc: np.ndarray, desk: Desk, n: int
    ) -> None:
        kernels.add_columns(raster, acc, *w, self.exp, desk.sums[acc.dtype][0, 0, : self.out])

    def _product(
        self, w: tuple[np.ndarray, ...], raster: np.ndarray, acc: np.ndarray, desk: Desk, n: int
    ) -> None:
        kernels.add_product(raster.astype(w[0].dtype) @ w[0], acc, self.exp)

    def _layout(self, name: str) -> tuple[np.ndarray, ...]:
        with self._lock:  # made once, by whichever thread comes first
            if name not in self._made:
                if name == "columns":
                    self._made[name] = compressed(self.weights)
                    for made in self._made[name]:
                        made.setflags(write=False)  # as stored weights are: one compiled form for both
                elif name == "rows":
                    block = blocked(self.weights)
                    peak = max(1, int(block.max(initial=0)), -int(block.min(initial=0)))
                    self._made[name] = block, np.asarray(peak)
                else:
                    dtype = np.float32 if self.reach < FLOAT32_EXACT else np.float64
                    self._made[name] = (_dense(self.weights).T.astype(dtype, order="C"),)
            return self._made[name]


def _stored(weights: Weights) -> int:
    if isinstance(weights, DenseWeights):
        return int(weights.matrix.size)
    if isinstance(weights, SparseWeights):
        return len(weights.values)
    return int(weights.kernel.size * np.prod(weights.out_shape[1:]))  # borders counted: an estimate


def _dense(weights: Weights) -> np.ndarray:
    return weights.matrix if isinstance(weights, DenseWeights) else weights.to_dense().astype(np.int16)


def compressed(weights: Weights) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """starts int64 [in + 1], targets int32, values int16: the synapses that leave each source."""
    out, sources = weights.shape
    if isinstance(weights, SparseWeights):
        return weights.starts, weights.rows, weights.values.astype(np.int16)
    if isinstance(weights, ConvWeights):
        target, source, value = weights.synapses()
        order = np.lexsort((target, source))
        starts = np.concatenate([[0], np.cumsum(np.bincount(source, minlength=sources))]).astype(np.int64)
        return starts, target[order].astype(np.int32), value[order].astype(np.int16)
    values = weights.matrix.T.astype(np.int16, order="C").reshape(-1)
    return (
        np.arange(sources + 1, dtype=np.int64) * out,
        np.tile(np.arange(out, dtype=np.int32), sources),
        values,
    )


def blocked(weights: Weights) -> np.ndarray:
    """W transposed int8 or int16 [blocks, in + 1, width], outputs padded with zeros, the last row zero."""
    matrix = _dense(weights)
    out, sources = matrix.shape
    small = not matrix.size or (matrix.min() >= -128 and matrix.max() <= 127)
    dtype = np.dtype(np.int8 if small else np.int16)
    fit = BLOCK_BYTES // dtype.itemsize // (sources + 1) // 32 * 32
    parts = -(-out // max(WIDTH_MIN, min(fit, WIDTH_MAX)))
    width = max(1, -(-out // (16 * max(1, parts)))) * 16
    blocks = np.zeros((-(-out // width), sources + 1, width), dtype)
    for b, low in enumerate(range(0, out, width)):
        part = matrix[low : low + width]
        blocks[b, :sources, : len(part)] = part.T
    return blocks
