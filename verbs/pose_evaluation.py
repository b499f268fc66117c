"""`evaluate` of a pose network: PCK, PCKh or OKS AP of its joints, by the data set's own measure."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from verbs.classes import percent
from verbs.output import bar, say, table, write_json
from verbs.pose_run import open_pose

if TYPE_CHECKING:
    from train.pose.data.person import PoseSet
    from train.pose.pck import Pck
    from train.pose.predict import Poses

MEASURES = {"torso": "PCK", "head": "PCKh", "box": "PCK of the box's longer side"}


def evaluate_pose(
    run: Path, dataset: str | None, data: Path | None, split: str, limit: int | None, threads: int | None,
    flip: bool, results_path: Path | None, json_path: Path | None,
) -> None:  # fmt: skip
    """Print the figures of a split, whose people are seen in their annotated boxes."""
    from train.pose.predict import judged, predict

    opened = open_pose(run, threads, flip)
    people = opened.people(dataset, data, split, limit)
    started = time.monotonic()
    with bar(len(people), "poses") as shown:
        poses = predict(opened.infer, people.people, opened.recipe, lambda n: shown.update(n) and None)
    wall_s = time.monotonic() - started
    pck = judged(poses.xy, people)
    listed = results(poses, people)
    figures = coco_figures(listed, people, "keypoints")
    joint_table(people, pck)
    if figures:
        say("OKS in annotated boxes: " + ", ".join(f"{name} {value:.3f}" for name, value in figures.items()))
    each = 1000 * wall_s / len(people)
    say(f"{opened.by} ({opened.form}): {len(people)} people of {split}, {each:.1f} ms each, images read")
    write_json(results_path, listed)
    write_json(
        json_path,
        {
            "run": str(run), "by": opened.by, "form": opened.form, "checkpoint": opened.digest,
            "split": split, "flip_test": flip, **judged_body(people, pck), "oks": figures,
            "wall_s": wall_s, "poses": listed,
        },
    )  # fmt: skip


def results(poses: Poses, people: PoseSet) -> list[dict[str, Any]]:
    """COCO's result list: every joint's x, y and score; a person's score is the mean of the joints'; bbox is
    the box in which the person was seen."""
    rows = np.concatenate([poses.xy, poses.score[..., None]], axis=2)
    return [
        {
            "image_id": person.image_id, "category_id": people.category, "id": person.id,
            "bbox": [round(float(v), 3) for v in person.box],
            "keypoints": [round(float(v), 3) for v in row.reshape(-1)], "score": float(row[:, 2].mean()),
        }
        for person, row in zip(people.people, rows, strict=True)
    ]  # fmt: skip


def coco_figures(listed: list[dict[str, Any]], people: PoseSet, kind: str) -> dict[str, float]:
    """COCO's figures, of "keypoints" or "bbox", on the set's own annotations of the images that were looked
    at; none where it has no annotations of COCO's form."""
    from deploy.pose.evaluation.coco import Rules, evaluate

    truth, seen = people.truth, {person.image_id for person in people.people}
    if truth is None:
        return {}
    part = {
        "images": [image for image in truth["images"] if image.get("id") in seen],
        "annotations": [a for a in truth["annotations"] if a.get("image_id") in seen],
        "categories": [c for c in truth["categories"] if c.get("keypoints")],
    }
    rules = Rules(kind, sigmas=np.array(people.keypoints.sigmas))
    return dict(evaluate(part, listed, rules, where=people.name).figures)


def judged_body(people: PoseSet, pck: Pck) -> dict[str, Any]:
    """Who was judged, by which measure, and how each joint that counts came out."""
    keypoints = people.keypoints
    return {
        "dataset": people.name, "n_people": len(people), "left_out": list(people.dropped),
        "measure": keypoints.measure, "threshold": keypoints.threshold, "pck": pck.pooled,
        "joints": {
            keypoints.joints[k]: {"right": int(right), "counted": int(counted)}
            for k, right, counted in zip(keypoints.counted, pck.right, pck.counted, strict=True)
        },
    }  # fmt: skip


def joint_table(people: PoseSet, pck: Pck) -> None:
    """PCK of each joint, and of all that count."""
    keypoints = people.keypoints
    names = [keypoints.joints[k] for k in keypoints.counted]
    rows = [
        (name, percent(share) if np.isfinite(share) else "-", counted)
        for name, share, counted in zip(names, pck.joints, pck.counted, strict=True)
    ]
    head = f"{MEASURES[keypoints.measure]}@{keypoints.threshold:g}"
    say(table(("joint", head, "joints"), rows, right=(1, 2)))
    unsized = f", {pck.unsized} people without that size left out" if pck.unsized else ""
    say(f"{head} {percent(pck.pooled)} of {int(pck.counted.sum())} joints{unsized}")
