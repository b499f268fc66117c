"""One frame at a time on one core: latency of Base-SGN as a stream, beside torch frame by frame.

    OMP_NUM_THREADS=1 python -m benchmarks.stream_latency [--run RUN [--data DIR]] [--samples 20] [--rounds 5]

Base-SGN in the shape of NW-UCLA: 20 joints, joint and bone, channels 64, 64, 128, 128, kernel 5, 16 frames a
sample. With --run: a trained run and its test samples. Without: random weights, batch norms set to the random
frames they are fed. The firing rates, which decide what an event-driven simulator has to do, are printed.

The process is pinned to one core; the forms take turns, round by round; each frame is timed from values to
outputs, encoding included; every sample starts from rest, untimed. The first frame of all is reported apart.
On a machine that others use, the wall clock counts their turns too: `cpu` is the median processor time.
Asserted in the same run: integer streams equal their whole-window runs in every bit after 1, 8 and 16
frames of every sample; ONNX float and torch give the scores of ONNX's whole window within float32 rounding,
but in at most 5 % of samples, where it flipped a spike.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from benchmarks import frame_by_frame
from benchmarks.machine import describe, machine
from convert.from_torch import from_torch
from convert.ir import Graph, Program
from convert.passes.fold_batchnorm import FOLD_BATCHNORM
from convert.passes.lower import lower
from convert.passes.quantise import Quantise
from deploy.calibration import calibrate
from deploy.stream import open_stream
from deploy.target import Model, target
from train.checkpoint import load_model
from train.models.base_sgn import BaseSGN, BaseSGNConfig
from verbs.feed import load_feed

SHAPE, CLASSES, STEPS = (6, 20), 10, 16
PREFIXES = (1, 8, STEPS)
RTOL, FLIPS = 1e-4, 0.05
COLUMNS = ("first", "p50", "p95", "p99", "max", "cpu")
# What a form does with one sample [T, 1, *shape] from rest: (wall, cpu) seconds and readout of each frame.
Times = list[tuple[float, float]]
Form = Callable[[np.ndarray], tuple[Times, list[np.ndarray]]]


def trained(run: Path, data: Path | None, samples: int) -> tuple[nn.Module, np.ndarray]:
    """The model of a run, and test samples [T, N, C, V], the first person of each."""
    model, checkpoint = load_model(run)
    feed = load_feed(checkpoint.about, None, data, "test", samples)
    return model.eval(), np.concatenate([rows[:, :1] for _, rows in feed.batches(1)], axis=1)


def untrained(samples: int) -> tuple[nn.Module, np.ndarray]:
    """Random weights, and poses with noise; the batch norms have seen such frames."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1, samples, *SHAPE)) + 0.3 * rng.normal(size=(STEPS, samples, *SHAPE))
    x = x.astype(np.float32)
    model = BaseSGN(BaseSGNConfig(SHAPE[0], CLASSES, "kinect20")).train()
    with torch.no_grad():
        for _ in range(20):
            model(torch.from_numpy(x))
    return model.eval(), x


def models(model: nn.Module, x: np.ndarray) -> tuple[Graph, Graph, Program]:
    """The folded float graph, the integer graph, the program."""
    floating = FOLD_BATCHNORM(from_torch(model, x.shape[2:]))
    integer = Quantise(calibrate(floating, x))(floating)
    return floating, integer, lower(integer)


def now() -> tuple[float, float]:
    """Wall clock, and processor time of this thread."""
    return time.perf_counter(), time.thread_time()


def since(start: tuple[float, float]) -> tuple[float, float]:
    """Seconds of both since then."""
    wall, cpu = now()
    return wall - start[0], cpu - start[1]


def torch_form(model: nn.Module) -> Form:
    """Torch, state carried between frames."""

    def run(x: np.ndarray) -> tuple[Times, list[np.ndarray]]:
        times, out = [], []
        with torch.no_grad(), frame_by_frame.streaming(model) as stream:
            for frame in x:
                start = now()
                v = stream(torch.from_numpy(frame[None])).numpy()
                times.append(since(start))
                out.append(v.reshape(-1).copy())
        return times, out

    return run


def stream_form(name: str, model: Model) -> Form:
    """A stream of ours."""
    stream = open_stream(name, model)

    def run(x: np.ndarray) -> tuple[Times, list[np.ndarray]]:
        stream.reset()
        times, out = [], []
        for frame in x:
            start = now()
            got = stream.frame(frame[0])
            times.append(since(start))
            out.append(next(iter(got.values())).reshape(-1))
        return times, out

    return run


def check(form: str, name: str, model: Model, x: np.ndarray, out: np.ndarray) -> None:
    """out [N, T, K] of a form against whole windows of a target; raises if they are not the same."""
    runner = target(name).compile(model)
    differing = 0
    for t in PREFIXES:
        want = next(iter(runner.run(x[:t]).outputs.values())).reshape(x.shape[1], -1)
        if want.dtype.kind == "i":
            if not np.array_equal(out[:, t - 1], want) or not want.any():
                raise AssertionError(f"{form}: not the whole window after {t} frames")
        else:
            off = np.abs(out[:, t - 1] - want).max(axis=1) > RTOL * np.abs(want).max()
            differing = max(differing, int(off.sum()))
    runner.close()
    if differing > FLIPS * x.shape[1]:
        raise AssertionError(f"{form}: differs from the whole window in {differing} of {x.shape[1]} samples")


def measure(
    forms: dict[str, Form], x: np.ndarray, rounds: int
) -> tuple[dict[str, dict], dict[str, np.ndarray]]:
    """Milliseconds of each form, and its readouts [N, T, K] of the last round."""
    times: dict[str, Times] = {name: [] for name in forms}
    out = {}
    for _ in range(rounds):
        for name, form in forms.items():
            got = [form(x[:, n : n + 1]) for n in range(x.shape[1])]
            times[name] += [t for seconds, _ in got for t in seconds]
            out[name] = np.array([values for _, values in got])
    rows = {}
    for name, taken in times.items():
        wall, cpu = 1e3 * np.array(taken).T
        p50, p95, p99 = np.percentile(wall[1:], (50, 95, 99))
        numbers = (wall[0], p50, p95, p99, wall[1:].max(), np.median(cpu[1:]))
        rows[name] = {f"{c}_ms": float(n) for c, n in zip(COLUMNS, numbers, strict=True)}
    return rows, out


def rates(program: Program, x: np.ndarray) -> dict[str, float]:
    """Spikes a neuron and step of each population."""
    record = target("loihi-sim").compile(program).run(x)
    return {name: record.rate(name) for name in record.counts}


def report(rows: dict[str, dict], fired: dict[str, float]) -> None:
    """The table."""
    print("firing rates: " + ", ".join(f"{name} {rate:.3f}" for name, rate in fired.items()))
    print(f"{'ms a frame':12}" + "".join(f"{c:>9}" for c in COLUMNS) + "   torch's cpu / its")
    for name, row in rows.items():
        cells = "".join(f"{row[f'{c}_ms']:9.3f}" for c in COLUMNS)
        print(f"{name:12}{cells}{rows['torch']['cpu_ms'] / row['cpu_ms']:10.1f}x")


def main() -> None:
    """Pin, run, check, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path, default=None)
    parser.add_argument("--data", type=Path, default=None)
    parser.add_argument("--samples", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, default=None)
    given = parser.parse_args()
    core = max(os.sched_getaffinity(0))
    model, x = trained(given.run, given.data, given.samples) if given.run else untrained(given.samples)
    floating, integer, program = models(model, x)
    os.sched_setaffinity(0, {core})
    torch.set_num_threads(1)
    forms = {
        "torch": torch_form(model),
        "onnx float": stream_form("onnx", floating),
        "onnx integer": stream_form("onnx", integer),
        "loihi-sim": stream_form("loihi-sim", program),
    }
    rows, out = measure(forms, x, given.rounds)
    check("torch", "onnx", floating, x, out["torch"])
    check("onnx float", "onnx", floating, x, out["onnx float"])
    check("onnx integer", "onnx", integer, x, out["onnx integer"])
    check("loihi-sim", "loihi-sim", program, x, out["loihi-sim"])
    check("loihi-sim", "onnx", integer, x, out["loihi-sim"])
    fired = rates(program, x)
    print(describe() + ", pinned to one core")
    report(rows, fired)
    if given.json:
        frames = x.shape[1] * len(x) * given.rounds
        body = {"machine": machine(), "frames": frames, "rates": fired, "rows": rows}
        given.json.write_text(json.dumps(body, indent=1) + "\n")


if __name__ == "__main__":
    main()
