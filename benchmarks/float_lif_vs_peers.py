"""loihi-sim beside peer simulators on the same float LIF network, on one core; the same spikes asserted.

    python -m benchmarks.float_lif_vs_peers [--sizes 256 1024] [--python brian2=PYTHON] [--quick] [--json F]

A chain of two dense LIF layers, v = v / 2 + W s, strict threshold, reset to zero, 10 % input activity.
Weights are integers, and v of the integer network has 12 bits below a weight, so that halving is exact where
it matters: floats and integers spike alike, and a single other spike ends the benchmark. Times are of the
steps alone, without building and compiling, one sample, the minimum of repeats; ours is measured before and
after each peer. A peer runs in a Python of its own (`--python PEER=PATH`, or brian2= for both of that name;
default: this one); what is not importable there is said. See requirements-bench.txt.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.float_lif_peers import PEERS
from benchmarks.machine import describe, machine
from convert.ir import DenseWeights, Input, LoihiLIF, Population, Program, Projection
from deploy.loihi_sim import LoihiSim

EXP, FRACTION = 6, 1 << 6  # weights are shifted by EXP; vth counts FRACTION parts of a weight's unit
LAYERS, ACTIVITY = 2, 0.1
ONE_THREAD = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def network(size: int) -> tuple[list[np.ndarray], float]:
    """Integer weights [out, in] of each layer, and the threshold in their unit."""
    rng = np.random.default_rng(size)
    weights = [rng.integers(-31, 32, (size, size)).astype(np.int8) for _ in range(LAYERS)]
    return weights, round(1.1 * 18 * (ACTIVITY * size) ** 0.5) + 33 / FRACTION


def program(weights: list[np.ndarray], threshold: float) -> Program:
    """The integer network."""
    size = len(weights[0])
    populations = {"0": Population("0", (size,), Input((size,), "binary"))}
    neuron = LoihiLIF(dv=2048, vth=round(threshold * FRACTION))
    projections = []
    for k, w in enumerate(weights, 1):
        populations[str(k)] = Population(str(k), (size,), neuron, k)
        projections.append(Projection(f"w{k}", str(k - 1), str(k), DenseWeights(w), EXP))
    return Program(populations, projections, (str(len(weights)),))


def ask(peer: str, python: str, folder: Path) -> tuple[float, np.ndarray] | str:
    """Seconds and spikes of a peer, or why there are none."""
    done = subprocess.run(
        [python, str(Path(__file__).with_name("float_lif_peers.py")), peer, str(folder)],
        capture_output=True, text=True, env=os.environ | dict.fromkeys(ONE_THREAD, "1"),
    )  # fmt: skip
    if done.returncode:
        return ([line for line in done.stderr.splitlines() if line.strip()] or ["it said nothing"])[-1]
    with np.load(folder / f"{peer}.npz") as file:
        return float(file["seconds"]), file["raster"]


def compare(size: int, steps: int, repeats: int, pythons: dict[str, str], peers: list[str]) -> list[dict]:
    """Rows of one size; raises if a single spike differs."""
    weights, threshold = network(size)
    spikes = (np.random.default_rng(1).random((steps, size)) < ACTIVITY).astype(np.uint8)
    runner, last = LoihiSim(threads=1).compile(program(weights, threshold)), str(LAYERS)
    record = runner.run(spikes[:, None], [last])
    fired, rows = int(record.counts[last].sum()), []
    if not 0.02 < record.rate(last) < 0.5:
        raise SystemExit(f"{size}: a rate of {record.rate(last)} is no test")

    def ours() -> float:
        return min(runner.run(spikes[:, None], [last]).wall_s for _ in range(5 * repeats))

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.savez(
            folder / "network.npz", layers=LAYERS, spikes=spikes, threshold=threshold, decay=0.5,
            repeats=repeats, **{f"w{k}": w.astype(np.float32) for k, w in enumerate(weights)},
        )  # fmt: skip
        best, found = ours(), {}
        for peer in peers:
            python = pythons.get(peer, pythons.get(peer.split("-")[0], sys.executable))
            found[peer] = ask(peer, python, folder)
            best = min(best, ours())
    for peer, answer in found.items():
        if isinstance(answer, str):
            print(f"{size:6} {peer:>14}  not measured: {answer}", flush=True)
            continue
        seconds, raster = answer
        wrong = int((raster != record.rasters[last][:, 0]).sum())
        if wrong:
            raise SystemExit(f"{size} {peer}: {wrong} of {fired} spikes differ from loihi-sim's")
        theirs, mine = seconds / steps * 1e6, best / steps * 1e6
        rows.append({"size": size, "peer": peer, "spikes": fired, "steps": steps, "peer_us": theirs,
                     "sim_us": mine, "ratio": theirs / mine})  # fmt: skip
        print(f"{size:6} {peer:>14} {theirs:10.1f} us/step   loihi-sim {mine:8.2f} us/step   "
              f"ratio {theirs / mine:8.1f}   {fired} spikes, the same", flush=True)  # fmt: skip
    return rows


def main() -> None:
    """Parse, run, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 1024, 2048])
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--peers", nargs="+", choices=sorted(PEERS), default=sorted(PEERS))
    parser.add_argument("--python", action="append", default=[], metavar="PEER=PATH")
    parser.add_argument("--quick", action="store_true", help="one size, few repeats")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    pythons = dict(pair.split("=", 1) for pair in asked.python)
    sizes, repeats = ([256], 3) if asked.quick else (asked.sizes, asked.repeats)
    print(describe(), flush=True)
    rows = [row for n in sizes for row in compare(n, asked.steps, repeats, pythons, asked.peers)]
    for n in sizes:
        ratios = [row["ratio"] for row in rows if row["size"] == n]
        if ratios:
            print(f"{n:6} the fastest peer is {min(ratios):.1f} times slower")
    if asked.json:
        asked.json.write_text(json.dumps({"machine": machine(), "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
