"""loihi-sim beside real Lava: one dense layer, N inputs to N LIF, single stream, same spikes asserted.

    python -m benchmarks.loihi_sim_vs_lava [--sizes 256 1024 2048] [--activity 0.1] [--steps 200] [--json F]

Lava is timed inside its worker around its own steps: start-up, compilation and the first step are left out.
loihi-sim is timed by its own wall_s after a warm-up (numba compiled, weights laid out), the median of
repeats, on one thread and on all; rasters are recorded, as Lava's worker records them.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path

import numpy as np

from benchmarks.machine import describe, machine
from convert.ir import DenseWeights, Input, LoihiLIF, Population, Program, Projection
from deploy.lava_sim import LavaSim
from deploy.loihi_sim import LoihiSim
from deploy.record import Record

Row = dict[str, float | int | None]


def layer(size: int, seed: int = 0) -> Program:
    """N inputs -> N LIF, 8-bit weights, du = 0.1, dv = 0.125, threshold at some 10 % of firing."""
    rng = np.random.default_rng(seed)
    w = DenseWeights(rng.integers(-127, 128, (size, size)).astype(np.int8))
    neuron = LoihiLIF(du=410, dv=512, vth=int(900 * (size / 256) ** 0.5))
    populations = {
        "in": Population("in", (size,), Input((size,), "binary")),
        "lif": Population("lif", (size,), neuron, latency=1),
    }
    return Program(populations, (Projection("dense", "in", "lif", w),), ("lif",))


def spikes(size: int, activity: float, steps: int) -> np.ndarray:
    """float64 [steps, 1, size] of zeros and ones."""
    return (np.random.default_rng(1).random((steps, 1, size)) < activity).astype(np.float64)


def simulate(program: Program, x: np.ndarray, threads: int | None, repeats: int = 15) -> tuple[Record, float]:
    """The record, and seconds a step."""
    runner = LoihiSim(threads=threads).compile(program)
    record = runner.run(x, ["lif"])
    seconds = statistics.median(runner.run(x, ["lif"]).wall_s for _ in range(repeats))
    runner.close()
    return record, seconds / len(x)


def compare(size: int, activity: float, steps: int, with_lava: bool) -> Row:
    """One row of the table; raises if a single spike differs."""
    program, x = layer(size), spikes(size, activity, steps)
    record, one = simulate(program, x, 1)
    other, all_cores = simulate(program, x, None)
    fired = int(record.counts["lif"].sum())
    if not fired or not np.array_equal(record.rasters["lif"], other.rasters["lif"]):
        raise SystemExit(f"{size}: {fired} spikes; one thread and all threads must agree, and spike")
    row: Row = {"size": size, "activity": activity, "steps": steps, "spikes": fired,
                "rate": record.rate("lif"), "sim_us": one * 1e6, "sim_all_us": all_cores * 1e6}  # fmt: skip
    if with_lava:
        lava = LavaSim().compile(program).run(x, ["lif"])
        if not np.array_equal(lava.rasters["lif"], record.rasters["lif"]):
            raise SystemExit(f"{size}: Lava and loihi-sim spike differently")
        lava_us = lava.wall_s / len(x) * 1e6
        row |= {
            "lava_us": lava_us,
            "ratio": lava_us / row["sim_us"],
            "ratio_all": lava_us / row["sim_all_us"],
        }
    return row


def table(rows: list[Row]) -> str:
    """The rows as text."""
    head = ("size", "activity", "spikes", "sim_us", "sim_all_us", "lava_us", "ratio", "ratio_all")
    lines = ["".join(f"{name:>12}" for name in head)]
    for row in rows:
        cells = (row.get(name) for name in head)
        lines.append(
            "".join(f"{'-' if c is None else f'{c:.4g}' if isinstance(c, float) else c:>12}" for c in cells)
        )
    return "\n".join(lines)


def main() -> None:
    """Parse, run, print, write."""
    parser = argparse.ArgumentParser(description="loihi-sim beside Lava; microseconds a step")
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 1024, 2048])
    parser.add_argument("--activity", type=float, nargs="+", default=[0.1])
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--no-lava", action="store_true", help="time loihi-sim alone")
    asked = parser.parse_args()
    missing = LavaSim().available()
    if missing and not asked.no_lava:
        raise SystemExit(f"{missing} (or --no-lava)")
    print(describe())
    rows = [compare(n, a, asked.steps, not asked.no_lava) for n in asked.sizes for a in asked.activity]
    print(table(rows))
    if asked.json:
        asked.json.write_text(json.dumps({"machine": machine(), "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
