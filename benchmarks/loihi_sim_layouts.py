"""Cost of a dense layer's layouts (`deploy.loihi_synapses`) against activity, and the one that is chosen.

    OPENBLAS_NUM_THREADS=1 python -m benchmarks.loihi_sim_layouts [--sizes 256 1024]

Prints nanoseconds per elementary operation on one core: per added weight (rows), per synapse (columns), per
multiply-add (product), and the layout the simulator chooses.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np

from benchmarks.machine import describe
from convert.ir import DenseWeights, Projection
from deploy.loihi_synapses import LAYOUTS, Desk, Synapses

ROWS = 256


def best(work: Callable[[], None], repeats: int = 15) -> float:
    """Shortest seconds of one call, after one that is not counted."""
    work()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def measure(size: int, activity: float, graded: bool) -> str:
    """One line: nanoseconds per operation of each layout, microseconds a step, the choice."""
    rng = np.random.default_rng(0)
    w = DenseWeights(rng.integers(-127, 128, (size, size)).astype(np.int8))
    peak = 127 if graded else 1
    there = rng.random((ROWS, size)) < activity
    raster = there.astype(np.uint8) if not graded else np.where(there, rng.integers(1, 128, there.shape), 0)
    raster = raster.astype(np.int32 if graded else np.uint8)
    acc, desk, active = np.zeros((ROWS, size), np.int32), Desk(size, size), int(there.sum())
    cells = []
    for layout in (name for name in LAYOUTS if name != "shared"):  # which is a convolution's
        synapses = Synapses(Projection("p", "a", "b", w), 127 * size * peak, graded, layout)
        seconds = best(lambda s=synapses: s.add(raster, acc, desk))  # type: ignore[misc]
        operations = ROWS * size * size if layout == "product" else active * size
        cells.append(f"{layout} {seconds / ROWS * 1e6:8.2f} us/step {seconds / operations * 1e9:7.4f} ns/op")
    choice = Synapses(Projection("p", "a", "b", w), 127 * size * peak, graded, "auto").choose(ROWS, active)
    kind = "values" if graded else "spikes"
    return f"{size:5} {kind} {activity:5.0%}  " + "   ".join(cells) + f"   -> {choice}"


def main() -> None:
    """Parse and print."""
    parser = argparse.ArgumentParser(description="cost of the weight layouts of loihi-sim")
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 256, 1024])
    asked = parser.parse_args()
    print(describe())
    for size in asked.sizes:
        for graded in (False, True):
            for activity in (0.01, 0.1, 0.5, 1.0):
                print(measure(size, activity, graded))


if __name__ == "__main__":
    main()
