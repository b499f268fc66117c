"""loihi-sim beside real Lava: dense layers, and the layers of the three models; the same spikes asserted.

    python -m benchmarks.loihi_sim_vs_lava [--shapes 256 1024] [--activity 0.1] [--quick] [--json F]

Lava runs one sample of `--steps` steps and is timed inside its worker around its own steps: start-up,
compilation and the first step are left out; it has every core. loihi-sim runs the same sample, on one core
and on all, and a batch of `--batch` samples (time per sample); wall_s after a warm-up (compiled, weights laid
out), the minimum of repeats, before and after Lava. `whole` is its complete call: checks, encoding, record.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np

from benchmarks.layer_shapes import SHAPES
from benchmarks.machine import describe, machine
from convert.ir import Program
from deploy.lava_sim import LavaSim
from deploy.loihi_sim import LoihiRunner, LoihiSim

Row = dict[str, float | int | str | None]
HEAD = (
    "layer",
    "neurons",
    "spikes",
    "one_us",
    "all_us",
    "batch_us",
    "whole_us",
    "lava_us",
    "ratio",
    "ratio_all",
    "ratio_batch",
)


class Ours:
    """loihi-sim on one program: one core, all cores, a batch; the best of every round."""

    def __init__(self, program: Program, x: np.ndarray, batch: int) -> None:
        self.one, self.all = LoihiSim(threads=1).compile(program), LoihiSim().compile(program)
        self.x, self.batch = x, np.repeat(x, batch, axis=1)
        self.record = self.one.run(x, ["lif"])
        again = self.all.run(x, ["lif"])
        if not np.array_equal(self.record.rasters["lif"], again.rasters["lif"]):
            raise SystemExit("one thread and all threads must agree")
        if not (self.all.run(self.batch).counts["lif"] == self.record.counts["lif"]).all():
            raise SystemExit("a batch of equal samples must give equal counts")
        self.best = dict.fromkeys(("one_us", "all_us", "batch_us", "whole_us"), np.inf)

    def measure(self, repeats: int) -> None:
        """One round: every figure, in turn."""
        for _ in range(repeats):
            start = time.perf_counter()
            wall = self._seconds(self.one, self.x)
            whole = time.perf_counter() - start
            found = {"one_us": wall, "whole_us": whole, "all_us": self._seconds(self.all, self.x)}
            for name, seconds in found.items():
                self.best[name] = min(self.best[name], seconds / len(self.x) * 1e6)
        for _ in range(max(1, repeats // 5)):
            seconds = self._seconds(self.all, self.batch) / self.batch.shape[1]
            self.best["batch_us"] = min(self.best["batch_us"], seconds / len(self.x) * 1e6)

    def _seconds(self, runner: LoihiRunner, x: np.ndarray) -> float:
        return runner.run(x, ["lif"]).wall_s


def compare(name: str, activity: float, asked: argparse.Namespace) -> Row:
    """One row of the table; raises if a single spike differs."""
    program = SHAPES[name]()
    shape = program.populations["in"].shape
    x = (np.random.default_rng(1).random((asked.steps, 1, *shape)) < activity).astype(np.float64)
    ours = Ours(program, x, asked.batch)
    fired = int(ours.record.counts["lif"].sum())
    if not fired:
        raise SystemExit(f"{name}: no spikes")
    ours.measure(asked.repeats)
    row: Row = {
        "layer": name,
        "neurons": program.populations["lif"].size,
        "activity": activity,
        "spikes": fired,
    }
    if not asked.no_lava:
        lava = LavaSim().compile(program).run(x, ["lif"])
        ours.measure(asked.repeats)
        if not np.array_equal(lava.rasters["lif"], ours.record.rasters["lif"]):
            raise SystemExit(f"{name}: Lava and loihi-sim spike differently")
        row["lava_us"] = lava_us = lava.wall_s / len(x) * 1e6
        row |= {"ratio": lava_us / ours.best["one_us"], "ratio_all": lava_us / ours.best["all_us"],
                "ratio_batch": lava_us / ours.best["batch_us"]}  # fmt: skip
    return row | ours.best


def line(row: Row) -> str:
    """A row as text."""
    cells = (row.get(name) for name in HEAD[1:])
    text = ("-" if c is None else f"{c:.4g}" if isinstance(c, float) else str(c) for c in cells)
    return f"{row['layer']:>24}" + "".join(f"{cell:>12}" for cell in text)


def main() -> None:
    """Parse, run, print, write."""
    parser = argparse.ArgumentParser(description="loihi-sim beside Lava; microseconds a step")
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--activity", type=float, nargs="+", default=[0.1])
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--quick", action="store_true", help="256 neurons and one layer, few repeats")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--no-lava", action="store_true", help="time loihi-sim alone")
    asked = parser.parse_args()
    missing = LavaSim().available()
    if missing and not asked.no_lava:
        raise SystemExit(f"{missing} (or --no-lava)")
    if asked.quick:
        asked.shapes, asked.repeats = ["256", "signal-sgn channel mix"], 5
    print(describe())
    print(f"{HEAD[0]:>24}" + "".join(f"{name:>12}" for name in HEAD[1:]), flush=True)
    rows = []
    for name in asked.shapes:
        for activity in asked.activity:
            rows.append(compare(name, activity, asked))
            print(line(rows[-1]), flush=True)
    if asked.json:
        asked.json.write_text(json.dumps({"machine": machine(), "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
