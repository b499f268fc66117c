"""Cost of a step of loihi-sim against activity (0.1 % to 50 %) and size (2^8 to 2^16 neurons), on one core.

    OPENBLAS_NUM_THREADS=1 python -m benchmarks.loihi_sim_activity --out DIR [--quick]

One layer of LIF neurons, as many inputs: dense 8-bit weights up to 2048 neurons, above that sparse ones, 256
from each input. Each layout of `deploy.loihi_synapses` is forced, and one run is left to the simulator's
choice; all must give the same spikes. For each size a line is fitted, below the activity where the float
product first is faster than all that is event-driven, and its error is printed. The roofline is the time to
read the weights that the spikes touch (1 byte each, 6 in columns) at this machine's bandwidth to memory,
measured in the same run by a STREAM triad; weights that stay in a cache may be faster than it. Writes
activity.json, and activity.svg where matplotlib is installed (requirements-bench.txt).
"""

from __future__ import annotations

import argparse
import json
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numba import njit

from benchmarks.machine import describe, machine
from convert.ir import DenseWeights, Input, LoihiLIF, Population, Program, Projection, SparseWeights
from convert.ir.files import whole
from deploy.loihi_sim import LoihiSim

ACTIVITIES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.2, 0.5)
STEPS, DENSE_MAX, FAN_OUT, TRIAD = 128, 2048, 256, 1 << 23
BUDGET_S = 0.2  # for the repeats of one layout at one activity, two of them apart
METHODS = ("auto", "rows", "columns", "product")


def layer(size: int) -> Program:
    """N inputs -> N LIF."""
    rng = np.random.default_rng(size)
    fan_out = size if size <= DENSE_MAX else FAN_OUT
    weights: DenseWeights | SparseWeights
    if size <= DENSE_MAX:
        weights = DenseWeights(rng.integers(-127, 128, (size, size)).astype(np.int8))
    else:
        wide = size // fan_out  # one target in each stretch of so many: no target twice
        rows = np.arange(fan_out) * wide + rng.integers(0, wide, (size, fan_out))
        values = rng.integers(-127, 128, rows.size).astype(np.int8)
        weights = SparseWeights(np.arange(size + 1) * fan_out, rows.reshape(-1), values, (size, size))
    neuron = LoihiLIF(du=410, dv=512, vth=int(40 * fan_out**0.5))
    populations = {"in": Population("in", (size,), Input((size,), "binary")),
                   "lif": Population("lif", (size,), neuron, 1)}  # fmt: skip
    return Program(populations, (Projection("p", "in", "lif", weights),), ("lif",))


@njit(cache=True)
def _triad(a, b, c):
    for i in range(a.shape[0]):
        a[i] = b[i] + 3.0 * c[i]


def bandwidth() -> float:
    """Bytes a second of a = b + 3 c on arrays beyond the caches, one core, the best of ten."""
    a, b, c = np.zeros((3, TRIAD))
    _triad(a, b, c)
    seconds = []
    for _ in range(10):
        start = time.perf_counter()
        _triad(a, b, c)
        seconds.append(time.perf_counter() - start)
    return 3 * a.nbytes / min(seconds)


def measure(size: int, activities: tuple[float, ...], repeats: int, speed: float) -> list[dict]:
    """Rows of one size, every layout; raises if they spike differently."""
    program, rng, rows = layer(size), np.random.default_rng(1), []
    fan_out = size if size <= DENSE_MAX else FAN_OUT
    methods = METHODS if size <= DENSE_MAX else ("auto", "columns") + (("rows",) if size <= 4096 else ())
    runners = {m: LoihiSim(threads=1, method=m).compile(program) for m in methods}
    for activity in activities:
        x = rng.random((STEPS, 1, size), dtype=np.float32) < activity
        counts = {m: r.run(x).counts["lif"] for m, r in runners.items()}
        if any(not np.array_equal(counts["auto"], c) for c in counts.values()):
            raise SystemExit(f"{size} {activity}: the layouts spike differently")
        best = {m: r.run(x).wall_s / STEPS * 1e6 for m, r in runners.items()}
        for k in range(repeats):  # interleaved: a disturbance meets all
            for m, r in runners.items():
                if k < 2 or k * best[m] * STEPS / 1e6 < BUDGET_S:
                    best[m] = min(best[m], r.run(x).wall_s / STEPS * 1e6)
        synapses = runners["auto"].into["lif"][0]
        chosen, spikes = synapses.choose(STEPS, int(x.sum())), float(x.sum()) / STEPS
        touched = spikes * fan_out * (6 if chosen == "columns" else 1)
        rows.append({
            "size": size, "fan_out": fan_out, "activity": activity, "spikes_a_step": spikes, "chosen": chosen,
            "us": best, "operations_a_step": spikes * fan_out, "roofline_us": touched / speed * 1e6,
            "out_spikes": int(counts["auto"].sum()),
        })  # fmt: skip
        cells = "  ".join(f"{m} {v:9.2f}" for m, v in best.items())
        print(f"{size:6} x {fan_out:4}  {activity:6.1%}  us/step: {cells}  -> {chosen}", flush=True)
    return rows


def crossover(rows: list[dict]) -> float | None:
    """The lowest measured activity at which the float product is the fastest; None if it never is."""
    won = [r["activity"] for r in rows if r["us"].get("product", np.inf) < min(
        v for m, v in r["us"].items() if m not in ("auto", "product"))]  # fmt: skip
    return min(won, default=None)


def fit(rows: list[dict]) -> dict:
    """us/step = base + slope x spikes below the crossover, by the least relative error; how far the points
    lie from it, and how much of the step at the highest activity the roofline explains."""
    end = crossover(rows)
    below = [r for r in rows if end is None or r["activity"] < end]
    found = {"size": rows[0]["size"], "crossover": end, "points": len(below),
             "roofline_share": rows[-1]["roofline_us"] / rows[-1]["us"]["auto"]}  # fmt: skip
    if len(below) > 2:  # two points lie on any line
        x, y = np.array([r["spikes_a_step"] for r in below]), np.array([r["us"]["auto"] for r in below])
        base, slope = np.linalg.lstsq(np.stack([1 / y, x / y], 1), np.ones(len(y)), rcond=None)[0]
        off = float(np.abs((base + slope * x) / y - 1).max())
        found |= {"base_us": float(base), "ns_a_spike": float(slope) * 1e3, "off": off}
    return found


def line(found: dict, fan_out: int, top: float) -> str:
    """A fit as text."""
    end = f"to {top:.0%}, no crossover" if found["crossover"] is None else f"below {found['crossover']:.1%}"
    if "off" not in found:
        return f"{found['size']:6}: too few points {end} for a fit"
    cost = f"{found['base_us']:8.2f} us + {found['ns_a_spike']:8.2f} ns a spike"
    each = f"({found['ns_a_spike'] / fan_out:.4f} ns a synapse), within {found['off']:.0%} {end}"
    return f"{found['size']:6}: {cost} {each}; roofline {found['roofline_share']:.0%} of a step at {top:.0%}"


def plot(rows: list[dict], speed: float, path: Path) -> None:
    """Cost against activity, a line a size, the roofline of each dashed."""
    from matplotlib.figure import Figure

    figure = Figure((8, 6), layout="constrained")
    axes = figure.subplots()
    for size in sorted({r["size"] for r in rows}):
        mine = [r for r in rows if r["size"] == size]
        activity, cost = [100 * r["activity"] for r in mine], [r["us"]["auto"] for r in mine]
        (line,) = axes.loglog(activity, cost, "o-", label=f"{size} x {mine[0]['fan_out']}")
        axes.loglog(activity, [r["roofline_us"] for r in mine], ":", color=line.get_color())
    axes.set(xlabel="activity [% of inputs a step]", ylabel="one step [us], one core")
    axes.set_title(f"loihi-sim; dotted: weights touched at {speed / 1e9:.1f} GB/s (triad, this run)")
    axes.legend(title="neurons x fan-out")
    axes.grid(alpha=0.3)
    figure.savefig(path)


def main() -> None:
    """Parse, measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1 << k for k in range(8, 17)])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="three sizes, three activities, few repeats")
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    sizes = [256, 1024, 4096] if asked.quick else asked.sizes
    activities, repeats = ((0.001, 0.03, 0.5), 3) if asked.quick else (ACTIVITIES, asked.repeats)
    print(describe(), flush=True)
    speed = bandwidth()
    print(f"triad {speed / 1e9:.1f} GB/s on one core", flush=True)
    rows = [row for size in sizes for row in measure(size, activities, repeats, speed)]
    fits = [fit([r for r in rows if r["size"] == size]) for size in sizes]
    for found in fits:
        fan_out = next(r["fan_out"] for r in rows if r["size"] == found["size"])
        print(line(found, fan_out, activities[-1]))
    asked.out.mkdir(parents=True, exist_ok=True)
    with whole(asked.out / "activity.json") as draft:
        found = {"machine": machine(), "triad_bytes_s": speed, "fits": fits, "rows": rows}
        draft.write_text(json.dumps(found, indent=1) + "\n")
    if find_spec("matplotlib") is None:
        print("no plot: matplotlib is not installed (requirements-bench.txt)")
        return
    with whole(asked.out / "activity.svg") as draft:
        plot(rows, speed, draft)


if __name__ == "__main__":
    main()
