"""`evaluate` of a keypoint R-CNN: boxes and joints of whole images, nobody's box being given."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from deploy.pose.coco_file import Boxes
from deploy.pose.greedy import GREEDY
from deploy.pose.nms import oks_nms, rescored
from deploy.pose.oks import stacked
from deploy.pose.people import Person
from verbs.output import bar, say, table, write_json
from verbs.people_run import PeopleRun, open_people
from verbs.pose_evaluation import coco_figures, joint_table, judged_body

if TYPE_CHECKING:
    from train.pose.data.person import PoseSet
    from train.pose.rcnn.detector import Found
    from train.pose.rcnn.scenes import Scene

MOST = 20  # candidates of an image; their score and overlap are the greedy rule's
ALIKE = 0.7  # OKS above which two poses are one person's: the better one stays


def evaluate_people(
    run: Path, dataset: str | None, data: Path | None, split: str, limit: int | None, threads: int | None,
    results_path: Path | None, json_path: Path | None,
) -> None:  # fmt: skip
    """Print the figures of a split, whose people are looked for in whole images. limit: of images."""
    from train.pose.rcnn.scenes import scenes, spread

    opened = open_people(run, threads)
    whole = opened.people(dataset, data, split)
    looked = spread(scenes(whole), limit)
    people = replace(whole, people=tuple(p for scene in looked for p in scene.people))
    started = time.monotonic()
    candidates, found = _found(opened, looked, people)
    wall_s = time.monotonic() - started
    pck = _pck(looked, found, people)
    listed = [entry for scene in looked for entry in _results(scene, found[scene.image_id], people.category)]
    figures = {
        "boxes": _box_figures(candidates, found, listed, people),
        "oks": coco_figures(listed, people, "keypoints"),
    }
    joint_table(people, pck)
    say("joints of people whom no box reaches (IoU 0.5) are wrong")
    _show(figures)
    say(
        f"torch (float): {len(looked)} images of {split}, "
        f"{1000 * wall_s / len(looked):.1f} ms each, images read"
    )
    write_json(results_path, listed)
    write_json(
        json_path,
        {
            "run": str(run), "by": "torch", "form": "float", "checkpoint": opened.about["sha256"],
            "split": split, "n_images": len(looked), **judged_body(people, pck), **figures,
            "rules": {"score": GREEDY.score_threshold, "iou": GREEDY.nms_iou, "cap": MOST, "oks": ALIKE},
            "wall_s": wall_s, "poses": listed,
        },
    )  # fmt: skip


def _found(
    opened: PeopleRun, looked: Sequence[Scene], people: PoseSet
) -> tuple[dict[Any, Boxes], dict[Any, Found]]:
    """By image: all candidate boxes, and the people that are left of them."""
    from train.pose.data import images
    from train.pose.rcnn.detector import Choice

    choice = Choice(GREEDY.score_threshold, GREEDY.nms_iou, MOST)
    candidates, found = {}, {}
    with bar(len(looked), "images") as shown:
        for scene in looked:
            here = opened.detector.find(images.read(scene.image), choice)
            candidates[scene.image_id] = Boxes(here.boxes, here.box_scores)
            found[scene.image_id] = _kept(here, np.array(people.keypoints.sigmas))
            shown.update(1)
    return candidates, found


def _kept(found: Found, sigmas: np.ndarray) -> Found:
    """One of the poses that are alike, by the score of box and joints."""
    poses = [
        Person(keypoints=xy, visibility=np.full(len(sigmas), 2, np.int8), box=box)
        for xy, box in zip(found.xy, found.boxes, strict=True)
    ]
    scores = rescored(found.box_scores, found.scores)
    kept = oks_nms(stacked(poses, len(sigmas)), scores, sigmas, ALIKE)
    return found.taken(kept)


def _pck(looked: Sequence[Scene], found: Mapping[Any, Found], people: PoseSet) -> Any:
    """PCK of everybody, as the epoch was chosen by."""
    from train.pose.predict import judged
    from train.pose.rcnn.course import assigned

    xy: dict[Any, np.ndarray] = {}
    for scene in looked:
        xy |= assigned(scene, found[scene.image_id])
    return judged(np.stack([xy[p.image_id, p.id] for p in people.people]), people)


def _results(scene: Scene, found: Found, category: int) -> list[dict[str, Any]]:
    """COCO's result list: box, joints with their scores; the score is the box's times the joints' mean."""
    rows = np.concatenate([found.xy, found.scores[..., None]], axis=2)
    scores = rescored(found.box_scores, found.scores)
    return [
        {
            "image_id": scene.image_id, "category_id": category,
            "bbox": [round(float(v), 2) for v in found.boxes[n]], "box_score": float(found.box_scores[n]),
            "keypoints": [round(float(v), 3) for v in rows[n].reshape(-1)], "score": float(scores[n]),
        }
        for n in range(len(scores))
    ]  # fmt: skip


def _box_figures(
    candidates: Mapping[Any, Boxes], found: Mapping[Any, Found], listed: list[dict[str, Any]], people: PoseSet
) -> dict[str, float]:
    """COCO's figures of the people's boxes, and recall at IoU 0.5 of candidates and of people."""
    from deploy.pose.annotations import parse
    from deploy.pose.recall import curve

    if people.truth is None:
        return {}
    frames = [f for f in parse(people.truth, people.name).frames if f.image_id in candidates]
    left = {image: Boxes(f.boxes, f.box_scores) for image, f in found.items()}
    all_of, of_people = curve("candidates", frames, candidates), curve("people", frames, left)
    by_box = [{**entry, "score": entry["box_score"]} for entry in listed]
    return {
        **coco_figures(by_box, people, "bbox"),
        "recall@0.5": float(of_people.recall[0, -1]),
        "boxes an image": float(of_people.candidates[-1]),
        "recall@0.5 of candidates": float(all_of.recall[0, -1]),
        "candidates an image": float(all_of.candidates[-1]),
    }


def _show(figures: Mapping[str, Mapping[str, float]]) -> None:
    rows = [(of, name, f"{value:.3f}") for of, some in figures.items() for name, value in some.items()]
    if rows:
        say(table(("of", "figure", "value"), rows, right=(2,)))
    else:
        say("no COCO figures: the data set has no annotations of COCO's form")
