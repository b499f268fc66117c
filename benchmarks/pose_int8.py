"""Where the error of a pose network's 8-bit form comes from: kernels, roundings, or the network itself.

    python -m benchmarks.pose_int8 RUN [--retake] [--calibrate 128] [--people 16] [--layers 12] [--json F]

The float network of a run and what `convert --form int8` quantises it to, on the same held-out people. Told
are rms(int8 - float) / std(float) and the correlation, of each head's maps:

    meant      the file read literally: rounded values, multiplied and added in float32
    run        as a converted network runs: integer kernels, every product added up whole
    default    ONNX Runtime's own choice, which on x86 without VNNI adds pairs of products in 16 bits

and beside them what a rounding of the picture alone does, all else in float: rms of its error over the
picture's std, that of the maps, and their quotient, which is how far the network carries errors on. Layers
are those of `meant`, in their order. --retake takes the batch norms' statistics anew on the calibration
people, as an untrained network needs it: a few batches leave them far off.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from torch import nn

from benchmarks.machine import describe
from convert.from_torch import from_torch
from convert.passes.fold_batchnorm import FOLD_BATCHNORM
from convert.pose_onnx import network_model
from deploy.onnx_int8 import quantise
from train.checkpoint import load_model
from train.pose.crops import plain
from train.pose.data import registry
from train.pose.data.person import hold_out
from train.pose.recipe import PoseRecipe
from train.pose.stepped import time_major

BATCH, THREADS = 16, 1
SUFFIX = "_QuantizeLinear_Output"  # of a tensor of 8 bits, behind the float one's name


def session(model: bytes, arm: str) -> onnxruntime.InferenceSession:
    """A model as an arm runs it."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = THREADS, 3
    if arm == "meant":
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    if arm == "run":
        options.add_session_config_entry("session.x64quantprecision", "1")  # deploy.onnx_session
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def off(found: np.ndarray, want: np.ndarray) -> float:
    """rms of the error in the spread of what is wanted."""
    return float(np.sqrt(np.mean((found - want) ** 2)) / want.std())


def retake(model: nn.Module, batches: Sequence[np.ndarray]) -> None:
    """Mean and variance of every batch norm, of these people alone."""
    for part in model.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.reset_running_stats()
            part.momentum = None
    model.train()
    with torch.no_grad():
        for x in batches:
            model(torch.from_numpy(x))
    model.eval()


def by_layer(network: bytes, eight: bytes, x: np.ndarray) -> list[tuple[str, float]]:
    """(layer, error) of each that has a value of 8 bits, in the float network's order."""
    plain_model, quantised = (onnx.load_model_from_string(m) for m in (network, eight))
    values = {
        n.input[0].removesuffix(SUFFIX): n.output[0]
        for n in quantised.graph.node
        if n.op_type == "DequantizeLinear" and n.input[0].endswith(SUFFIX)
    }
    names = [out for n in plain_model.graph.node for out in n.output if out in values]
    found = _values(quantised, [values[name] for name in names], x)
    return [(n, off(q, f)) for n, q, f in zip(names, found, _values(plain_model, names, x), strict=True)]


def _values(model: onnx.ModelProto, names: Sequence[str], x: np.ndarray) -> list[np.ndarray]:
    known = {o.name for o in model.graph.output}
    added = [onnx.helper.make_empty_tensor_value_info(n) for n in names if n not in known]
    model.graph.output.extend(added)
    return session(model.SerializeToString(), "meant").run(list(names), {"x": x})


def crops(about: Mapping[str, Any], calibrate: int, people: int) -> tuple[list[np.ndarray], np.ndarray]:
    """Batches of training people to calibrate on, and held-out ones to judge by; x [n, 3, H, W]."""
    recipe, options = PoseRecipe.from_dict(about["recipe"]), dict(about["dataset"].get("options", {}))
    where = options.pop("path", None)
    data = registry.load(about["dataset"]["name"], Path(where) if where else None, "train", **options)
    train, held = (part.people for part in hold_out(data))
    train = train[:calibrate]
    batches = [plain(train[at : at + BATCH], recipe)[0] for at in range(0, len(train), BATCH)]
    return batches, plain(held[:people], recipe)[0]


def arms(eight: bytes, x: np.ndarray, want: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Error and correlation of each head's maps, as each arm runs them."""
    told = {}
    for arm in ("meant", "run", "default"):
        found = session(eight, arm).run(list(want), {"x": x})
        told[arm] = {
            head: {"off": off(q, f), "correlation": float(np.corrcoef(q.ravel(), f.ravel())[0, 1])}
            for q, (head, f) in zip(found, want.items(), strict=True)
        }
    return told


def carried(floats: onnxruntime.InferenceSession, x: np.ndarray, want: Mapping[str, np.ndarray]) -> Any:
    """What a rounding of the picture alone to 8 bits does to it, and to each head's maps."""
    step = (x.max() - x.min()) / 255
    rounded = (np.round(x / step) * step).astype(np.float32)
    found = floats.run(list(want), {"x": rounded})
    maps = {head: off(y, f) for y, (head, f) in zip(found, want.items(), strict=True)}
    return {"picture": off(rounded, x), "maps": maps}


def compare(run: Path, anew: bool, calibrate: int, people: int) -> dict[str, Any]:
    """All that is told of a run."""
    model, saved = load_model(run)
    seen, x = crops(saved.about, calibrate, people)
    if anew:
        retake(model, seen)
    graph, config = FOLD_BATCHNORM(from_torch(time_major(model), x.shape[1:])), model.config
    network = network_model(graph, config.heads, config.kinds, config.joints).SerializeToString()
    eight, floats = quantise(network, seen, str(run)), session(network, "default")
    want = dict(zip(config.heads, floats.run(list(config.heads), {"x": x}), strict=True))
    return {
        "run": str(run), "retaken": anew, "calibrated_on": sum(map(len, seen)), "people": len(x),
        "arms": arms(eight, x, want), "spread": {head: float(f.std()) for head, f in want.items()},
        "rounded_picture": carried(floats, x, want), "layers": by_layer(network, eight, x),
    }  # fmt: skip


def show(told: Mapping[str, Any], layers: int) -> None:
    """The tables."""
    again = ", batch norms' statistics taken anew" if told["retaken"] else ""
    print(f"{describe()}; {told['run']}: calibrated on {told['calibrated_on']} people{again}")
    heads = list(told["spread"])
    print("| 8 bits | " + " | ".join(f"{h}: error | correlation" for h in heads) + " |")
    print("|---|" + "---|---|" * len(heads))
    for arm, found in told["arms"].items():
        cells = [f"{100 * found[h]['off']:.1f} % | {found[h]['correlation']:.4f}" for h in heads]
        print(f"| {arm} | " + " | ".join(cells) + " |")
    one = told["rounded_picture"]
    by = ", ".join(f"{h} {100 * m:.2f} % ({m / one['picture']:.1f}x)" for h, m in one["maps"].items())
    print(f"\na rounding of the picture alone, {100 * one['picture']:.2f} %: {by}\n")
    last = len(told["layers"]) - 1
    for at in sorted({round(k * last / max(layers - 1, 1)) for k in range(layers)}):
        name, error = told["layers"][at]
        print(f"{at + 1:4d} of {last + 1}  {100 * error:6.2f} %  {name}")


def main(given: Sequence[str] | None = None) -> None:
    """Print the tables; `--json` writes what is in them, every layer's."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--retake", action="store_true")
    parser.add_argument("--calibrate", type=int, default=128)
    parser.add_argument("--people", type=int, default=16)
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--json", type=Path, default=None)
    args = parser.parse_args(given)
    torch.set_num_threads(THREADS)
    told = compare(args.run, args.retake, args.calibrate, args.people)
    show(told, args.layers)
    if args.json:
        args.json.write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
