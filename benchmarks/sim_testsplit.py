"""A trained model over a whole test split on the Loihi simulator: samples per second, peak memory, accuracy.

    python -m benchmarks.sim_testsplit ARTIFACT --data DIR [--json F]

The same spikes as the integer reference are asserted on the first 16 samples. Peak memory is the process's
own maximum (libraries included), read after the run; the data set's loading is in it.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from pathlib import Path

import numpy as np

from benchmarks.machine import describe, machine
from convert.artifact import open_artifact
from deploy.loihi_sim import LoihiSim
from deploy.reference import Reference
from verbs.feed import load_feed, per_sample, scores

BATCH = 32


def main() -> None:
    """Run once warm, once timed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("artifact", type=Path)
    parser.add_argument("--data", type=Path, default=None)
    parser.add_argument("--json", type=Path, default=None)
    given = parser.parse_args()
    opened = open_artifact(given.artifact)
    feed = load_feed(opened.about["source"], None, given.data, "test", None)
    graph, runner = opened.graph("integer"), LoihiSim().compile(opened.program())
    batches = list(feed.batches(BATCH))
    runner.run(batches[0][1])
    start = time.perf_counter()
    records = [runner.run(x) for _, x in batches]
    wall = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    found = np.concatenate([scores(graph, r) for r in records])
    answers = per_sample(found, np.concatenate([owners for owners, _ in batches])).argmax(1)
    spikes = _assert_same_spikes(graph, runner, batches[0][1][:, :16])
    row = {
        "samples": len(answers), "samples_per_s": len(answers) / wall, "peak_mib": peak,
        "accuracy": float((answers == feed.samples.labels).mean()), "spikes_checked": spikes,
    }  # fmt: skip
    print(describe())
    print(f"{row['samples']} samples, {row['samples_per_s']:.1f} samples/s, peak memory {peak:.0f} MiB, "
          f"accuracy {100 * row['accuracy']:.2f} %, {spikes} spikes equal to the reference")  # fmt: skip
    if given.json:
        given.json.write_text(json.dumps({"machine": machine(), **row}, indent=1) + "\n")


def _assert_same_spikes(graph, runner, x: np.ndarray) -> int:
    order = graph.spiking()
    want, got = Reference().compile(graph).run(x, order), runner.run(x, order)
    for name in order:
        if not np.array_equal(want.rasters[name], got.rasters[name]):
            raise AssertionError(f"{name}: loihi-sim and the reference differ")
    return sum(int(want.rasters[name].sum()) for name in order)


if __name__ == "__main__":
    main()
