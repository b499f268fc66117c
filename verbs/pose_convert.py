"""`convert` of a pose network: images to joints as ONNX, float or 8 bits, checked against torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from convert.artifact import POSE, is_artifact, new_artifact
from convert.ir import BadInput, Graph, Unsupported, save_graph
from verbs.configuring import said
from verbs.output import say, table, write_json
from verbs.pose_run import KEPT, PoseRun, open_pose

if TYPE_CHECKING:
    from train.pose.data.person import PoseSet
    from train.pose.pck import Pck
    from train.pose.predict import Infer

CALIBRATION, PARITY, BATCH = 128, 64, 16  # training people; held-out people; people a batch
NEAR = 0.05  # pixels of the input between torch and the float graph, for 99 joints of 100
LOSS = 2.0  # points of PCK that 8 bits may cost, unless --int8-loss says otherwise
SPIKES = ("bits", "input_bits", "adjacency")


def convert_pose(
    ctx: click.Context, run: Path, kind: str, form: str, loss: float | None, out: Path, data: Path | None,
    json_path: Path | None,
) -> None:  # fmt: skip
    """Write the artifact of kind pose, and print how near it is to torch."""
    from convert.pose_onnx import network_model, whole_model

    if kind != "onnx":
        raise Unsupported(
            str(run),
            "a pose network is of real values, and holds no spikes",
            "convert --to onnx, or --to sdnn: graded spikes of changes",
        )
    if odd := [name for name in SPIKES if said(ctx, name)]:
        raise click.UsageError(
            f"--{odd[0].replace('_', '-')}: a pose network has no such setting; leave it out"
        )
    if is_artifact(run):
        raise BadInput(f"{run}: is an artifact already; convert the run it was made from")
    opened = open_pose(run, None)
    graph = network_graph(opened)
    settings = opened.about["model_config"]
    heads = (settings["heads"], settings["kinds"], settings["joints"])
    models = {"float": network_model(graph, *heads).SerializeToString()}
    if form == "int8":
        from deploy.onnx_int8 import quantise

        models["int8"] = quantise(models["float"], seen(opened, _calibration_people(opened, data)), str(run))
    wholes = {}
    for name, model in models.items():
        whole = whole_model(model, opened.codec.description(), _told(opened, name))
        wholes[name] = whole.SerializeToString(deterministic=True)
    parity = _parity(opened, wholes, opened.people(None, data, "validation", PARITY))
    _check(run, parity, LOSS if loss is None else loss)
    manifest = {
        "source": {key: opened.about[key] for key in KEPT}, "form": form,
        "checkpoint": {"sha256": opened.digest, "revision": opened.about.get("revision")},
        "parity_with_torch": parity,
    }  # fmt: skip
    with new_artifact(out, POSE, manifest) as draft:
        (draft / "pose.onnx").write_bytes(wholes[form])
        save_graph(draft / "float.npz", graph)
        files = sorted((f.name, f.stat().st_size) for f in draft.iterdir())
    write_json(json_path, {"artifact": str(out), **manifest})
    _show(out, parity, files)


def network_graph(opened: PoseRun) -> Graph:
    """The folded float graph of the network alone."""
    from convert.from_torch import from_torch
    from convert.passes.fold_batchnorm import FOLD_BATCHNORM
    from train.pose.stepped import time_major

    recipe = opened.recipe
    return FOLD_BATCHNORM(from_torch(time_major(opened.model), (3, recipe.height, recipe.width)))


def _told(opened: PoseRun, form: str) -> dict[str, Any]:
    """What the ONNX file says of itself: all that feeding it takes."""
    from train.pose.recipe import MEAN, SPREAD

    recipe = opened.recipe
    seen = {"width": recipe.width, "height": recipe.height, "mean": MEAN, "spread": SPREAD}
    return {
        "form": form, "input": seen, "convention": recipe.convention, "padding": recipe.padding,
        "codec": opened.codec.description(), "joints": opened.about["joints"],
        "layout": opened.about["dataset"]["layout"], "checkpoint": opened.digest,
    }  # fmt: skip


def _calibration_people(opened: PoseRun, data: Path | None) -> PoseSet:
    """Training people, none of them held out."""
    from train.pose.data.person import hold_out

    return hold_out(opened.people(None, data, "train", None))[0].spread(CALIBRATION)


def seen(opened: PoseRun, people: PoseSet) -> Iterator[np.ndarray]:
    """People as they are, x [n, 3, H, W] a batch."""
    from train.pose.crops import plain

    for start in range(0, len(people), BATCH):
        yield plain(people.people[start : start + BATCH], opened.recipe)[0]


def _parity(opened: PoseRun, wholes: Mapping[str, bytes], people: PoseSet) -> dict[str, Any]:
    """Joints of held-out people by torch and by each model: distances in pixels of the input, PCK of each."""
    from deploy.pose.network import PoseNetwork

    want, by_torch = _joints(opened.infer, opened, people)
    pck, distance = {"torch": by_torch.pooled}, {}
    for name, model in wholes.items():
        network = PoseNetwork(model, f"{opened.path}: its {name} form")
        found, right = _joints(lambda x, _, network=network: network.joints(x), opened, people)
        pck[name] = right.pooled
        distance[name] = spread(np.linalg.norm(found - want, axis=-1))
    return {
        "people": len(people), "joints": int(by_torch.counted.sum()), "distance": distance, "pck": pck,
        "measure": people.keypoints.measure,
    }  # fmt: skip


def spread(away: np.ndarray) -> dict[str, float]:
    """Distances of joints, pixels: the median, 99 of 100, and the most."""
    return {
        "median_px": float(np.median(away)), "p99_px": float(np.quantile(away, 0.99)),
        "max_px": float(away.max()),
    }  # fmt: skip


def _joints(infer: Infer, opened: PoseRun, people: PoseSet) -> tuple[np.ndarray, Pck]:
    """Joints [N, K, 2] in pixels of the input, and how right they are in the images."""
    from train.pose.predict import judged, predict

    seen: list[np.ndarray] = []

    def watched(x: np.ndarray, joints: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        xy, score = infer(x, joints)
        seen.append(xy)
        return xy, score

    poses = predict(watched, people.people, opened.recipe)
    return np.concatenate(seen), judged(poses.xy, people)


def _check(run: Path, parity: Mapping[str, Any], loss: float) -> None:
    """BadInput where a model is too far from torch.

    The float graph is held to NEAR pixels for 99 joints of 100: convolutions add in another order, and a map
    that has two peaks of one height may give the other one. 8 bits are held to points of PCK: they move every
    joint a little, and a joint that is still right is no loss.
    """
    away, pck = parity["distance"]["float"]["p99_px"], parity["pck"]
    if away > NEAR:
        raise BadInput(
            f"{run}: the ONNX graph finds joints {away:.3g} pixels from torch's (99 of 100), expected {NEAR} "
            "at most; please report the model"
        )
    cost = 100 * (pck["torch"] - pck.get("int8", pck["torch"]))
    if cost > loss:
        raise BadInput(
            f"{run}: 8 bits cost {cost:.2f} points of PCK ({parity['joints']} joints of {parity['people']} "
            f"held-out people), expected {loss:g} at most; take --form float, or allow more by --int8-loss"
        )


def _show(out: Path, parity: Mapping[str, Any], files: list[tuple[str, int]]) -> None:
    rows = []
    for name, share in parity["pck"].items():
        away = [f"{d:.3g}" for d in parity["distance"].get(name, {}).values()]
        rows.append((name, f"{100 * share:.2f} %", *(away or ["-"] * 3)))
    head = ("form", f"PCK of {parity['people']} held-out people", "median px", "p99 px", "max px from torch")
    say(table(head, rows, right=(1, 2, 3, 4)))
    say(f"{out}: " + ", ".join(f"{name} {size / 1024:.0f} KiB" for name, size in files))
