"""PoseTrack's figures for `evaluate-poses`: mAP, MOTA and HOTA together, at each joint threshold."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from convert.ir import BadInput
from verbs.output import say, table
from verbs.pose_options import percent, show_notes


def scored(
    truth: Path, found: Path, joint_thresholds: Sequence[float], threshold: float, compat: bool
) -> dict[str, Any]:
    """Print the figures and return them."""
    from deploy.pose.evaluation.pairing import paired
    from deploy.pose.evaluation.posetrack import body, figures
    from deploy.pose.posetrack import read_poses, read_with_results

    annotated, predicted = read_poses(truth), read_with_results(found, truth)
    if not any(frame.labelled for video in annotated.videos for frame in video.frames):
        raise BadInput(f"{truth}: no frame is labelled (is_labeled); there is nothing to judge")
    runs, notes = [], {}
    for joint_threshold in joint_thresholds:
        data = paired(annotated, predicted, joint_threshold)
        notes = data.notes
        runs.append({"joint_threshold": joint_threshold, **body(figures(data, threshold, compat))})
    show_notes(notes)
    for run in runs:
        say(_by_joint(run))
        say("")
    say(_together(runs))
    _remarks(runs, threshold, compat)
    return {"threshold": threshold, "poseval_compat": compat, "notes": notes, "runs": runs}


def _by_joint(run: dict[str, Any]) -> str:
    """A line a joint, and PoseTrack's groups below where all their joints are there."""
    from deploy.pose.evaluation.posetrack import mean
    from deploy.pose.joints import GROUPS, plain

    columns = ("AP", "MOTA", "HOTA")
    joints = run["joints"]
    rows = [_row(name, one, one.get("switches", "-")) for name, one in joints.items()]
    known = {plain(name): one for name, one in joints.items()}
    for group, names in GROUPS.items():
        if not set(names) <= set(known):
            continue
        values = {c: [known[n].get(c) for n in names] for c in columns}
        means = {c: mean([float("nan") if x is None else x for x in v]) for c, v in values.items()}
        rows.append(_row(f"({group})", means, ""))
    return table(("joint", *columns, "switches"), rows, right=(1, 2, 3, 4))


def _row(name: str, one: dict[str, Any], switches: object) -> tuple[object, ...]:
    return name, percent(one["AP"]), percent(one.get("MOTA")), percent(one.get("HOTA")), switches


def _together(runs: Sequence[dict[str, Any]]) -> str:
    head = ("joint threshold", "mAP", "MOTA", "MOTP", "HOTA", "switches", "misses", "false positives")
    rows = []
    for run in runs:
        counts = run.get("counts", {})
        rows.append(
            (f"{run['joint_threshold']:g}", *(percent(run[k]) for k in ("mAP", "MOTA", "MOTP", "HOTA")),
             *(counts.get(k, "-") for k in ("switches", "misses", "false_positives")))
        )  # fmt: skip
    return table(head, rows, right=range(8))


def _remarks(runs: Sequence[dict[str, Any]], threshold: float, compat: bool) -> None:
    from deploy.pose.evaluation.pairing import HEAD

    unit = f"head sizes ({HEAD:g} x head box diagonal)"
    say(f"{runs[0]['n_frames']} labelled frames; a joint is right within {threshold:g} {unit}")
    if "counts" not in runs[0]:
        say("MOTA and HOTA: none, persons lack track ids; `track` gives them")
    elif compat:
        say("as poseval: last frame of each sequence dropped, total MOTA is the mean over joints")
    else:
        means = runs[0]["mean over joints"]
        say(f"totals are of summed counts; means over joints: MOTA {percent(means['MOTA'])}, "
            f"HOTA {percent(means['HOTA'])}")  # fmt: skip
