"""The ONNX scan graph beside torch eager: the same trained model, the same samples, one run.

    python -m benchmarks.onnx_scan_vs_torch RUN ARTIFACT --data DIR [--samples 64] [--batch 1 16] [--json F]

Three forms of torch eager, all without gradients: `frames`, one frame at a time with state carried between,
as torch users run spiking networks; `steps`, layer by layer with a torch loop over steps in each neuron; and
`fused`, layer by layer with our own compiled neurons, the fastest torch form there is here.
Decisions of all are asserted equal but where float32 rounding flips one spike (at most 2 % of samples).
Seconds are the median of repeats over all samples, after a warm-up.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from benchmarks import frame_by_frame
from benchmarks.machine import describe, machine
from convert.artifact import open_artifact
from deploy.cpu_onnx import OnnxCpu
from train.checkpoint import load_model
from verbs.feed import load_feed

FORMS = ("frames", "steps", "fused")


def with_backend(model: nn.Module, backend: str) -> nn.Module:
    """The model with its neurons run by `backend`: 'step' (a torch loop) or 'house' (fused)."""
    for module in model.modules():
        if hasattr(module, "backend"):
            module.backend = backend
    return model


def seconds(run: Callable[[np.ndarray], np.ndarray], batches: list[np.ndarray], repeats: int) -> float:
    """Median seconds for all batches."""
    run(batches[0])
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        for x in batches:
            run(x)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def compare(run: Path, artifact: Path, data: Path | None, samples: int, batch: int, threads: int) -> dict:
    """One row: seconds a sample of the three, and ratios."""
    torch.set_num_threads(threads)
    opened = open_artifact(artifact)
    feed = load_feed(opened.about["source"], None, data, "test", samples)
    batches = [x for _, x in feed.batches(batch)]
    model, _ = load_model(run)
    runner = OnnxCpu(threads=threads).compile(opened.graph("float"))

    def eager(x: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return model(torch.from_numpy(x)).numpy()

    def frames(x: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return frame_by_frame.scores(model, torch.from_numpy(x)).numpy()

    def onnx(x: np.ndarray) -> np.ndarray:
        return next(iter(runner.run(x).outputs.values()))

    repeats = 5
    row: dict = {"batch": batch, "threads": threads, "samples": samples}
    with_backend(model, "step")
    decisions = {"frames": np.concatenate([frames(x) for x in batches]).argmax(1)}
    row["frames_s"] = seconds(frames, batches, repeats) / samples
    decisions["steps"] = np.concatenate([eager(x) for x in batches]).argmax(1)
    row["steps_s"] = seconds(eager, batches, repeats) / samples
    with_backend(model, "house")
    decisions["fused"] = np.concatenate([eager(x) for x in batches]).argmax(1)
    row["fused_s"] = seconds(eager, batches, repeats) / samples
    decisions["onnx"] = np.concatenate([onnx(x) for x in batches]).argmax(1)
    row["onnx_s"] = seconds(onnx, batches, repeats) / samples
    for name in ("steps", "fused", "onnx"):
        differ = int((decisions[name] != decisions["frames"]).sum())
        if differ > 0.02 * len(decisions[name]):
            raise AssertionError(f"{name} decides otherwise than torch on {differ} of {samples} samples")
    for form in FORMS:
        row[f"ratio_{form}"] = row[f"{form}_s"] / row["onnx_s"]
    return row


def main() -> None:
    """Print the table; `--json` writes it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("artifact", type=Path)
    parser.add_argument("--data", type=Path, default=None)
    parser.add_argument("--samples", type=int, default=64)
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--json", type=Path, default=None)
    given = parser.parse_args()
    print(describe())
    print(
        "batch threads  ms a sample: "
        + "".join(f"{form:>9}" for form in (*FORMS, "onnx"))
        + "   ratio to onnx"
    )
    rows = []
    for batch in given.batch:
        for threads in given.threads:
            row = compare(given.run, given.artifact, given.data, given.samples, batch, threads)
            rows.append(row)
            times = "".join(f"{1e3 * row[f'{form}_s']:9.2f}" for form in (*FORMS, "onnx"))
            ratios = ", ".join(f"{form} {row[f'ratio_{form}']:.1f}x" for form in FORMS)
            print(f"{batch:5} {threads:7}               {times}   {ratios}")
    if given.json:
        given.json.write_text(json.dumps({"machine": machine(), "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
