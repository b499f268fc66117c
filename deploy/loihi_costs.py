"""What each layout of weights costs on this machine: measured once, kept beside numba's own cache.

Only the choice of a layout depends on it, never a result. Where nothing can be kept, what is shipped holds.
"""

from __future__ import annotations

import json
import math
import os
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import numpy as np

from convert.ir.files import whole
from deploy import loihi_kernels as kernels
from deploy import loihi_vectors as vectors

FILE = "loihi-sim-costs.json"
SIZE, ROWS, REPEATS = 512, 64, 9  # of the layers that are measured
FAN_OUT = 32  # of the sparse one
NEAR = 1 << 19  # bytes of a second-level cache: what fills it is waited for, spike by spike
FEW, MANY = 0.01, 0.25  # activities there: the more spike, the less each waits


@dataclass(frozen=True)
class Costs:
    """Nanoseconds on one core. The values shipped: an AMD EPYC (Zen 3, AVX2)."""

    row: float = 0.016  # add one 8-bit weight of a row
    strip: float = 14.0  # begin one strip of outputs in one row
    value: float = 0.055  # multiply and add one weight
    value_row: float = 4.5  # begin one row of values
    column: float = 1.2  # scatter one synapse
    product: float = (
        0.06  # one multiply-add of the float product: 0.03 alone, but its library wakes every core
    )
    cast: float = 0.5  # one element to float, or back
    far_row_few: float = 25.0  # wait for the row of one strip from beyond NEAR, where FEW spike
    far_row_many: float = 3.4  # and where MANY do
    far_column_few: float = 2.1  # wait for one synapse from beyond NEAR
    far_column_many: float = 0.4

    def far_row(self, activity: float) -> float:
        """Wait for the row of one strip that lies beyond NEAR bytes, at this share of spiking sources."""
        return _between(activity, self.far_row_few, self.far_row_many)

    def far_column(self, activity: float) -> float:
        """Wait for one synapse of columns that fill more than NEAR bytes."""
        return _between(activity, self.far_column_few, self.far_column_many)


def _between(activity: float, few: float, many: float) -> float:
    """A straight line between FEW and MANY over the logarithm of activity, level outside."""
    return float(np.interp(math.log(max(activity, 1e-9)), (math.log(FEW), math.log(MANY)), (few, many)))


@cache
def costs() -> Costs:
    """Those kept on this machine; measured and written, if there are none and there is a place for them."""
    folder = cache_folder()
    if folder is None:
        return Costs()
    path, mark = folder / FILE, f"{platform.machine()} {_processor()} {os.cpu_count()} {kernels.STAMP}"
    try:
        kept = json.loads(path.read_text())
        if kept.pop("mark") == mark:
            return Costs(**kept)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass  # none, or not ours: measured anew
    try:
        with whole(path) as draft:
            found = measure()
            draft.write_text(json.dumps(asdict(found) | {"mark": mark}))
    except OSError:
        return Costs()
    return found


def cache_folder() -> Path | None:
    """Where numba keeps what it compiles; None where it finds no place."""
    folder = kernels.add_spikes.stats.cache_path  # type: ignore[attr-defined]
    return None if folder is None else Path(folder)


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    return next((line for line in lines if line.startswith("model name")), platform.processor())


def _best(work: Callable[[], object]) -> float:
    """Nanoseconds of the fastest of some calls, the first not counted: it may compile."""
    work()
    found = []
    for _ in range(REPEATS):
        start = time.perf_counter_ns()
        work()
        found.append(time.perf_counter_ns() - start)
    return float(min(found))


def measure() -> Costs:
    """Each layout on layers of SIZE neurons; the product keeps its shipped ratio to a row, and the waits stay
    as shipped, for they show in layers of tens of megabytes alone (benchmarks.loihi_sim_activity).

    The product's library takes all cores and its time with the others' load; what it costs alone says little.
    """
    rng = np.random.default_rng(0)
    acc = np.zeros((ROWS, SIZE), np.int32)
    strips, lanes = SIZE // vectors.ROW_BYTES, vectors.ROW_BYTES // 2
    pairs = rng.integers(0, 1 << 16, (strips, SIZE, lanes), dtype=np.uint16)
    scratch = np.zeros((2, vectors.ROW_BYTES), np.int32)
    many, one = (_listed(rng, n) for n in (SIZE // 10, 1))

    def rows(spikes: tuple[np.ndarray, np.ndarray]) -> float:
        most = vectors.most_rows(8)
        return _best(lambda: kernels.add_spikes(*spikes, acc, pairs, (0, strips), most, 0, *scratch))

    row = (rows(many) - (began := rows(one))) / (ROWS * (SIZE // 10 - 1) * SIZE)
    strip = began / (ROWS * strips) - vectors.ROW_BYTES * row
    column = _columns(rng, acc, many) / (ROWS * (SIZE // 10) * FAN_OUT)
    shipped = Costs()
    scale = row / shipped.row
    if not 0.05 < scale < 50:  # a clock that jumped: nothing a processor does
        return shipped
    return Costs(row, max(strip, 0.0), shipped.value * scale, shipped.value_row * scale, column,
                 shipped.product * scale, shipped.cast * scale)  # fmt: skip


def _listed(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """ROWS rows of n spikes among SIZE sources: places, starts."""
    places = np.concatenate([np.sort(rng.permutation(SIZE)[:n]) for _ in range(ROWS)]).astype(np.int32)
    return places, np.arange(ROWS + 1, dtype=np.int64) * n


def _columns(rng: np.random.Generator, acc: np.ndarray, spikes: tuple[np.ndarray, np.ndarray]) -> float:
    starts = np.arange(SIZE + 1, dtype=np.int64) * FAN_OUT
    targets = rng.integers(0, SIZE, SIZE * FAN_OUT).astype(np.int32)
    values = rng.integers(-127, 128, SIZE * FAN_OUT).astype(np.int16)
    for made in (starts, targets, values):
        made.setflags(write=False)  # as stored weights are: one compiled form for both
    part = np.zeros(SIZE, np.int32)
    return _best(lambda: kernels.scatter_spikes(*spikes, acc, starts, targets, values, 0, part))
