"""Latency of a pose network for one person: ONNX Runtime, float and int8, beside torch eager.

    python -m benchmarks.pose_latency [--backbones tiny,small] [--threads 1,2] [--rounds 30] [--json F]

From a crop to joints, batch 1, the decoder included; cutting the crop out is not. Weights are random (what
they are decides nothing here but the joints, so nothing is said of those), batch norms have seen the crops,
and these calibrate int8. Torch runs channels last without gradients, as `evaluate` and `pipeline` run it. In
this very run the float graph's maps are asserted to be torch's within float32 rounding.

The three take turns; in a turn each rests first, so that threads of the one before have stopped spinning,
then runs once untimed and --calls times timed. Told are medians and 95th percentiles of all timed calls, and
torch's median over the other's. One process uses both cores: leave the machine alone.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.machine import describe, machine
from convert.from_torch import from_torch
from convert.passes.fold_batchnorm import FOLD_BATCHNORM
from convert.pose_onnx import network_model, whole_model
from deploy.onnx_int8 import quantise
from deploy.onnx_session import Session
from deploy.pose.network import PoseNetwork
from train.pose.ogn import OGN, OGNConfig
from train.pose.predict import by_torch
from train.pose.recipe import PoseRecipe
from train.pose.stepped import time_major

CROPS, REST_S = 16, 0.03
RTOL = 1e-3  # of the largest value: float32 sums of some thousand products, in another order
Form = Callable[[np.ndarray], object]


def crops(recipe: PoseRecipe) -> np.ndarray:
    """float32 [n, 3, H, W], smooth random pictures: normalised and channels last in memory, as crops are."""
    torch.manual_seed(0)
    coarse = torch.randn(CROPS, 3, recipe.height // 8, recipe.width // 8)
    x = torch.nn.functional.interpolate(coarse, scale_factor=8, mode="bilinear")
    return (x / x.std()).contiguous(memory_format=torch.channels_last).numpy()


def network(backbone: str, x: np.ndarray) -> OGN:
    """Random weights; the batch norms know the crops."""
    torch.manual_seed(0)
    model = OGN(OGNConfig(backbone=backbone)).train()
    with torch.no_grad():
        for _ in range(20):
            model(torch.from_numpy(x))
    return model.eval()


def models(model: OGN, recipe: PoseRecipe, x: np.ndarray) -> dict[str, bytes]:
    """ONNX files of the network with its decoder, float and int8. AssertionError where float maps differ."""
    graph, config = FOLD_BATCHNORM(from_torch(time_major(model), x.shape[1:])), model.config
    plain = network_model(graph, config.heads, config.kinds, config.joints).SerializeToString()
    found = Session(plain, config.backbone, 1).run({"x": x[:1]})
    with torch.no_grad():
        for name, maps in model.maps(torch.from_numpy(x[:1])).items():
            most = RTOL * float(maps.abs().max())
            np.testing.assert_allclose(found[name], maps.numpy(), rtol=0, atol=most)
    networks = {"onnx float": plain, "onnx int8": quantise(plain, np.split(x, len(x)), config.backbone)}
    codec = recipe.build_codec().description()
    return {k: whole_model(m, codec, {"form": k}).SerializeToString() for k, m in networks.items()}


def forms(model: OGN, recipe: PoseRecipe, files: Mapping[str, bytes], threads: int) -> dict[str, Form]:
    """What takes turns: a crop [1, 3, H, W] to joints."""
    torch.set_num_threads(threads)
    infer = by_torch(model.to(memory_format=torch.channels_last), recipe.build_codec())
    made: dict[str, Form] = {"torch": lambda x: infer(x, np.zeros(0, np.float32))}
    return made | {name: PoseNetwork(file, name, threads).joints for name, file in files.items()}


def turns(runs: Mapping[str, Form], x: np.ndarray, rounds: int, calls: int) -> dict[str, np.ndarray]:
    """Seconds [rounds x calls] of each form; who begins a round moves on from round to round."""
    took: dict[str, list[float]] = {name: [] for name in runs}
    order = list(runs)
    for n in range(rounds):
        for name in order[n % len(order) :] + order[: n % len(order)]:
            time.sleep(REST_S)
            runs[name](x[:1])
            for call in range(calls):
                one = x[call % len(x)][None]
                start = time.perf_counter()
                runs[name](one)
                took[name].append(time.perf_counter() - start)
    return {name: np.array(seconds) for name, seconds in took.items()}


def measure(
    backbone: str, recipe: PoseRecipe, threads: Sequence[int], rounds: int, calls: int
) -> list[dict[str, Any]]:
    """A row a thread count and form."""
    x, rows = crops(recipe), []
    model = network(backbone, x)
    files = models(model, recipe, x)
    for count in threads:
        took = turns(forms(model, recipe, files, count), x, rounds, calls)
        for name, seconds in took.items():
            rows.append({
                "backbone": backbone, "threads": count, "form": name, "calls": len(seconds),
                "ms": 1e3 * float(np.median(seconds)), "p95_ms": 1e3 * float(np.quantile(seconds, 0.95)),
                "torch_over_it": float(np.median(took["torch"]) / np.median(seconds)),
            })  # fmt: skip
    return rows


def main(given: Sequence[str] | None = None) -> None:
    """Print the table; `--json` writes it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--backbones", default="tiny,small")
    parser.add_argument("--width", type=int, default=192)
    parser.add_argument("--height", type=int, default=256)
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--calls", type=int, default=4)
    parser.add_argument("--json", type=Path, default=None)
    args = parser.parse_args(given)
    recipe = PoseRecipe(width=args.width, height=args.height)
    threads = [int(n) for n in args.threads.split(",")]
    print(f"{describe()}; input {args.height}x{args.width}, batch 1")
    print("| network | threads | form | ms a person | 95 % | torch's over its |\n|---|---|---|---|---|---|")
    rows = []
    for backbone in args.backbones.split(","):
        for row in measure(backbone, recipe, threads, args.rounds, args.calls):
            rows.append(row)
            times = f"{row['ms']:.2f} | {row['p95_ms']:.2f} | {row['torch_over_it']:.2f}x"
            print(f"| {backbone} | {row['threads']} | {row['form']} | {times} |", flush=True)
    if args.json:
        args.json.write_text(json.dumps({"machine": machine(), "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
