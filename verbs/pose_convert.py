"""`convert` of a pose network: images to joints as ONNX, float or 8 bits, checked against torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from convert.artifact import is_artifact, new_artifact
from convert.ir import BadInput, Graph, Unsupported, save_graph
from verbs.configuring import said
from verbs.output import say, table, write_json
from verbs.pose_run import KEPT, PoseRun, open_pose

if TYPE_CHECKING:
    from train.pose.data.person import PoseSet

CALIBRATION, PARITY, BATCH = 128, 64, 16  # training people; held-out people; people a batch
NEAR = 0.05  # pixels of the input between torch and the float graph, for 99 joints of 100
SPIKES = ("bits", "input_bits", "adjacency")


def convert_pose(
    ctx: click.Context, run: Path, kind: str, form: str, out: Path, data: Path | None, json_path: Path | None
) -> None:
    """Write the artifact of kind pose, and print how near it is to torch."""
    from convert.pose_onnx import network_model, whole_model

    if kind != "onnx":
        raise Unsupported(
            str(run), "a pose network is of real values, and holds no spikes", "convert --to onnx"
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

        models["int8"] = quantise(models["float"], _calibration(opened, data), str(run))
    wholes = {}
    for name, model in models.items():
        whole = whole_model(model, opened.about["codec"], _told(opened, name))
        wholes[name] = whole.SerializeToString(deterministic=True)
    parity = _parity(opened, wholes, opened.people(None, data, "validation", PARITY))
    manifest = {
        "source": {key: opened.about[key] for key in KEPT}, "form": form,
        "checkpoint": {"sha256": opened.digest, "revision": opened.about.get("revision")},
        "parity_with_torch": parity,
    }  # fmt: skip
    with new_artifact(out, "pose", manifest) as draft:
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
        "codec": opened.about["codec"], "joints": opened.about["joints"],
        "layout": opened.about["dataset"]["layout"], "checkpoint": opened.digest,
    }  # fmt: skip


def _calibration(opened: PoseRun, data: Path | None) -> Iterator[np.ndarray]:
    """Training people as they are, none of them held out."""
    from train.pose.crops import plain
    from train.pose.data.person import hold_out

    people = hold_out(opened.people(None, data, "train", None))[0].spread(CALIBRATION).people
    for start in range(0, len(people), BATCH):
        yield plain(people[start : start + BATCH], opened.recipe)[0]


def _parity(opened: PoseRun, wholes: Mapping[str, bytes], people: PoseSet) -> dict[str, Any]:
    """Joints of held-out people by torch and by each model: distances in pixels of the input, PCK of each.

    Convolutions add in another order: a map that has two peaks of one height may give the other one. Hence 99
    joints of 100, and the largest distance is recorded.
    """
    from deploy.pose.network import PoseNetwork
    from train.pose.crops import plain
    from train.pose.predict import judged, predict

    found = {"torch": predict(opened.infer, people.people, opened.recipe)}
    x, _, _ = plain(people.people[:BATCH], opened.recipe)
    want, report = opened.infer(x, np.zeros(0, np.float32))[0], {}
    for name, model in wholes.items():
        network = PoseNetwork(model, f"{opened.path}: its {name} form")
        found[name] = predict(lambda x, _, network=network: network.joints(x), people.people, opened.recipe)
        away = np.linalg.norm(network.joints(x)[0] - want, axis=-1)
        report[name] = {
            "median_px": float(np.median(away)), "p99_px": float(np.quantile(away, 0.99)),
            "max_px": float(away.max()),
        }  # fmt: skip
    if report["float"]["p99_px"] > NEAR:
        raise BadInput(
            f"{opened.path}: the ONNX graph finds joints {report['float']['p99_px']:.3g} pixels from torch's "
            f"(99 of 100), expected {NEAR} at most; please report the model"
        )
    pck = {name: judged(poses.xy, people).pooled for name, poses in found.items()}
    return {"people": len(people), "distance": report, "pck": pck, "measure": people.keypoints.measure}


def _show(out: Path, parity: Mapping[str, Any], files: list[tuple[str, int]]) -> None:
    rows = []
    for name, share in parity["pck"].items():
        away = [f"{d:.3g}" for d in parity["distance"].get(name, {}).values()]
        rows.append((name, f"{100 * share:.2f} %", *(away or ["-"] * 3)))
    head = ("form", f"PCK of {parity['people']} held-out people", "median px", "p99 px", "max px from torch")
    say(table(head, rows, right=(1, 2, 3, 4)))
    say(f"{out}: " + ", ".join(f"{name} {size / 1024:.0f} KiB" for name, size in files))
