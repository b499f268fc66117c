"""One projection in the Loihi simulator: four layouts of its weights, and the choice between them.

    rows      W transposed, in blocks of outputs: the rows of the sources that spiked are added, vectorised
    columns   compressed columns: what leaves a spike is scattered, one synapse after the other
    shared    a convolution's kernel, once: each place of the output adds up its own list of kernel rows
    product   a float matrix product over all rows, zeros and all: exact, since sums stay below 2^24 (2^53)

All give the same integers. The choice falls on the one that costs least at the activity just measured, by
what the layouts cost on this machine (`deploy.loihi_costs`). Rows of 8-bit weights are so cheap that the
product pays for values and for narrow populations alone.
"""

from __future__ import annotations

from threading import Lock

import numpy as np

from convert.ir import ConvWeights, DenseWeights, Projection, SparseWeights, Weights
from deploy import loihi_kernels as kernels
from deploy import loihi_vectors as vectors
from deploy.bounds import wraps
from deploy.loihi_costs import NEAR, costs
from deploy.loihi_graded import add_wrapped
from deploy.loihi_spikes import WIDTH_MAX, Desk, Spikes

LAYOUTS = ("rows", "columns", "shared", "product")
BLOCK_BYTES = 4 << 20  # weights of one block: the spikes of a whole tile of rows pass over it before the next
WIDTH_MIN = 64  # to WIDTH_MAX: long rows win: beginning one costs as much as adding 100 of its weights
STRIP = vectors.ROW_BYTES  # outputs of a strip of 8-bit weights
SYNAPSE_BYTES = 6  # of one synapse in columns: its target and its weight
LINE = 64  # bytes of a cache line: no row of weights straddles more than it must
UNROLL_MAX = 1 << 26  # cells of a sparse or shared matrix that may be written out
FLOAT32_EXACT, FLOAT64_EXACT = 1 << 24, 1 << 53

Made = tuple[np.ndarray, ...]


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
        self._made: dict[str, Made] = {}

    def add(self, raster: np.ndarray, acc: np.ndarray, desk: Desk, spikes: Spikes | None = None) -> None:
        """acc [rows, out] += shift(W x, exp), x = raster [rows, in]: uint8 spikes or int32 values.

        spikes: those of raster, if they have been listed already.
        """
        if self.graded:
            active = int(np.count_nonzero(raster))
        else:
            spikes = desk.listed("raster", raster) if spikes is None else spikes
            active = len(spikes)
        if active:
            layout = self.choose(len(raster), active)
            sums = np.zeros_like(acc) if self.wraps else acc
            getattr(self, f"_{layout}")(self.layout(layout), raster, sums, desk, spikes, active)
            if self.wraps:
                add_wrapped(sums, acc)

    def choose(self, rows: int, active: int, among: tuple[str, ...] = LAYOUTS) -> str:
        """The cheapest layout for `rows` rows with `active` active sources in all."""
        if self.method != "auto":
            fits = {"product": self.reach < FLOAT64_EXACT, "shared": self._shares()}.get(self.method, True)
            return self.method if fits and self.method in among else "rows"
        cost, cells = costs(), self.out * self.sources
        activity = active / (rows * self.sources)
        wait = cost.far_column(activity) if self.synapses * SYNAPSE_BYTES >= NEAR else 0.0
        found = {"columns": active * self.synapses / max(1, self.sources) * (cost.column + wait)}
        if isinstance(self.weights, DenseWeights) or cells <= UNROLL_MAX:
            add, begin = (cost.value, cost.value_row) if self.graded else (cost.row, cost.strip)
            strips = -(-self.out // STRIP)
            begun = active if self.graded else min(rows, active) * strips
            wait = cost.far_row(activity) if self.sources * STRIP >= NEAR else 0.0
            found["rows"] = active * (self.out * add + strips * wait) + begun * begin
            if "product" in among and self.reach < FLOAT64_EXACT:
                each = cells * cost.product + (self.out + self.sources) * cost.cast
                found["product"] = rows * each * (1 if self.reach < FLOAT32_EXACT else 2)
        if "shared" in among and self._shares():
            places, kernel = int(np.prod(self.weights.out_shape[1:])), self.weights.kernel  # type: ignore[union-attr]
            strips = -(-len(kernel) // STRIP)
            listed = active * self.synapses / max(1, self.sources) / len(kernel)
            touched = min(rows * places, listed) * strips
            summed = listed * (strips * STRIP * cost.row + cost.column)
            found["shared"] = summed + touched * (cost.strip + min(STRIP, len(kernel)) * cost.cast)
        return min(found, key=lambda layout: found[layout])

    def _shares(self) -> bool:
        return isinstance(self.weights, ConvWeights) and self.weights.groups == 1 and not self.graded

    def _rows(
        self, w: Made, raster: np.ndarray, acc: np.ndarray, desk: Desk, spikes: Spikes | None, n: int
    ) -> None:
        if spikes is None:
            self._value_rows(w[0], raster, acc, desk, n)
            return
        (strips,), (places, starts) = w, (spikes.places, spikes.starts)
        half = strips.dtype.itemsize * 4
        sums = desk.sums[np.dtype(np.int32 if half == 8 else np.int64)][:, :, : 2 * strips.shape[2]]
        most = vectors.most_rows(half)

        def work(seat: int, first: int, last: int) -> None:
            kernels.add_spikes(places, starts, acc, strips, (first, last), most, self.exp, *sums[seat])

        desk.share(work, len(strips), n * self.out)

    def _value_rows(
        self, blocks: np.ndarray, raster: np.ndarray, acc: np.ndarray, desk: Desk, n: int
    ) -> None:
        def work(seat: int, first: int, last: int) -> None:
            part = desk.sums[acc.dtype][seat, 0, : blocks.shape[2]]
            lists, lengths, factors = desk.lists[seat], desk.lengths[seat], desk.factors[acc.dtype][seat]
            kernels.add_values(raster, acc, blocks, (first, last), self.exp, lists, lengths, factors, part)

        desk.share(work, len(blocks), n * self.out)

    def _columns(
        self, w: Made, raster: np.ndarray, acc: np.ndarray, desk: Desk, spikes: Spikes | None, n: int
    ) -> None:
        part = desk.sums[acc.dtype][0, 0, : self.out]
        if spikes is None:
            kernels.add_columns(raster, acc, *w, self.exp, part)
        else:
            kernels.scatter_spikes(spikes.places, spikes.starts, acc, *w, self.exp, part)

    def _shared(
        self, w: Made, raster: np.ndarray, acc: np.ndarray, desk: Desk, spikes: Spikes | None, n: int
    ) -> None:
        assert spikes is not None  # _shares
        kernel, *taps = w
        half, positions = kernel.dtype.itemsize * 4, int(np.prod(self.weights.out_shape[1:]))  # type: ignore[union-attr]
        sums = desk.sums[np.dtype(np.int32 if half == 8 else np.int64)][:, :, : 2 * kernel.shape[2]]
        lists = desk.array("shared", (desk.seats, positions, kernel.shape[1]), np.int32)
        lengths = desk.array("lengths", (desk.seats, positions), np.int64)

        def work(seat: int, first: int, last: int) -> None:
            kernels.add_shared(
                spikes.places, spikes.starts[first : last + 1], acc[first:last], kernel, *taps,
                vectors.most_rows(half), self.exp, lists[seat], lengths[seat], *sums[seat],
            )  # fmt: skip

        desk.share(work, len(acc), n * self.synapses / max(1, self.sources))

    def _product(
        self, w: Made, raster: np.ndarray, acc: np.ndarray, desk: Desk, spikes: Spikes | None, n: int
    ) -> None:
        kernels.add_product(raster.astype(w[0].dtype) @ w[0], acc, self.exp)

    def layout(self, name: str) -> Made:
        """The weights in that layout, made when first asked for."""
        with self._lock:  # made once, by whichever thread comes first
            if name not in self._made:
                if name == "columns":
                    self._made[name] = compressed(self.weights)
                    for made in self._made[name]:
                        made.setflags(write=False)  # as stored weights are: one compiled form for both
                elif name == "shared":
                    self._made[name] = shared(self.weights)  # type: ignore[arg-type]
                elif name == "rows":
                    made = blocked(self.weights) if self.graded else paired(_dense(self.weights))
                    self._made[name] = (made,)
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


def paired(matrix: np.ndarray) -> np.ndarray:
    """W [out, in] as `deploy.loihi_vectors` has it: uint16 (8-bit weights) or uint32 [strips, in, lanes]."""
    out, sources = matrix.shape
    small = not matrix.size or (matrix.min() >= -128 and matrix.max() <= 127)
    lane = np.dtype(np.uint16 if small else np.uint32)
    half, lanes = lane.itemsize * 4, vectors.ROW_BYTES // lane.itemsize
    strips = -(-out // (2 * lanes))
    pairs = aligned(strips * sources * lanes, lane).reshape(strips, sources, lanes)
    raised = np.empty((2 * lanes, sources), np.int32)
    for strip, low in enumerate(range(0, out, 2 * lanes)):
        part = matrix[low : low + 2 * lanes]
        raised[: len(part)], raised[len(part) :] = part, 0
        raised += 1 << (half - 1)
        pairs[strip] = (raised[:lanes].astype(lane) | raised[lanes:].astype(lane) << lane.type(half)).T
    return pairs


def shared(weights: ConvWeights) -> Made:
    """The kernel as `paired` rows, one for each input channel and tap; then starts int64 [in + 1], and places
    and kernel rows, int32: what each source brings to which place of the output."""
    out, *taps = weights.kernel.shape
    count = int(np.prod(taps))
    places = ConvWeights(
        np.arange(count).reshape(1, *taps), weights.in_shape, (1, *weights.out_shape[1:]), weights.stride,
        weights.padding, weights.dilation, 1,
    )  # fmt: skip
    place, source, row = places.synapses()
    order = np.argsort(source, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(source, minlength=weights.shape[1]))]).astype(
        np.int64
    )
    listed = place[order].astype(np.int32), row[order].astype(np.int32)
    return paired(weights.kernel.reshape(out, count)), starts, *listed


def aligned(count: int, dtype: np.dtype) -> np.ndarray:
    """Memory that begins on a cache line."""
    memory = np.empty(count * dtype.itemsize + LINE, np.uint8)
    start = -memory.ctypes.data % LINE
    return memory[start : start + count * dtype.itemsize].view(dtype)
