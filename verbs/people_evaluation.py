"""`evaluate` of whole images, nobody's box being given: boxes and joints of a keypoint R-CNN."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from deploy.pose.coco_file import Boxes
from deploy.pose.greedy import GREEDY
from deploy.pose.nms import ALIKE, oks_nms, rescored
from deploy.pose.oks import stacked
from deploy.pose.people import Person
from verbs.output import bar, say, table, write_json
from verbs.people_run import open_people
from verbs.pose_evaluation import coco_figures, joint_table, judged_body

if TYPE_CHECKING:
    from train.pose.data.person import PoseSet
    from train.pose.rcnn.detector import Found
    from train.pose.rcnn.scenes import Scene

MOST = 20  # candidates of an image; their score and overlap are the greedy rule's


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line asks of an evaluation. limit: of images."""

    dataset: str | None
    data: Path | None
    split: str
    limit: int | None
    threads: int | None
    results: Path | None
    json: Path | None


@dataclass(frozen=True, slots=True)
class Judged:
    """Who found people: run, by, form, checkpoint and rules stand in --json; boxes: whose they are."""

    run: str
    by: str
    form: str
    checkpoint: str
    boxes: str
    rules: Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Searched:
    """Images that were looked at. people: everybody in them; by image: all candidate boxes, and the people
    that are left of them."""

    looked: Sequence[Scene]
    people: PoseSet
    candidates: Mapping[Any, Boxes]
    found: Mapping[Any, Found]
    wall_s: float


def evaluate_people(run: Path, asked: Asked) -> None:
    """Print the figures of a split, whose people are looked for in whole images."""
    from train.pose.data import images
    from train.pose.rcnn.detector import Choice

    opened = open_people(run, asked.threads)
    choice = Choice(GREEDY.score_threshold, GREEDY.nms_iou, MOST)
    people = opened.people(asked.dataset, asked.data, asked.split)
    searched = search(
        people, asked.limit, ALIKE, lambda scene: opened.detector.find(images.read(scene.image), choice)
    )
    rules = {"score": GREEDY.score_threshold, "iou": GREEDY.nms_iou, "cap": MOST, "oks": ALIKE}
    tell(searched, Judged(str(run), "torch", "float", opened.about["sha256"], "its own", rules), asked, {})


def search(whole: PoseSet, limit: int | None, alike: float, find: Callable[[Scene], Found]) -> Searched:
    """The images of a set (at most `limit`, evenly spaced), searched one by one; of poses more alike than
    `alike` the better one stays."""
    from train.pose.rcnn.scenes import scenes, spread

    looked = spread(scenes(whole), limit)
    people = replace(whole, people=tuple(p for scene in looked for p in scene.people))
    sigmas = np.array(people.keypoints.sigmas)
    candidates, found, started = {}, {}, time.monotonic()
    with bar(len(looked), "images") as shown:
        for scene in looked:
            here = find(scene)
            candidates[scene.image_id] = Boxes(here.boxes, here.box_scores)
            found[scene.image_id] = _kept(here, sigmas, alike)
            shown.update(1)
    return Searched(looked, people, candidates, found, time.monotonic() - started)


def tell(searched: Searched, by: Judged, asked: Asked, more: Mapping[str, Any]) -> None:
    """Print the figures and write the files. more: what else `--json` says."""
    looked, people, found = searched.looked, searched.people, searched.found
    pck = _pck(looked, found, people)
    listed = [entry for scene in looked for entry in _results(scene, found[scene.image_id], people.category)]
    figures = {
        "boxes": _box_figures(searched.candidates, found, listed, people),
        "oks": coco_figures(listed, people, "keypoints"),
    }
    joint_table(people, pck)
    say("joints of people whom no box reaches (IoU 0.5) are wrong")
    _show(figures)
    each = 1000 * searched.wall_s / len(looked)
    say(f"{by.by} ({by.form}), boxes: {by.boxes}: {len(looked)} images of {asked.split}, {each:.1f} ms each, "
        "images read")  # fmt: skip
    write_json(asked.results, listed)
    write_json(
        asked.json,
        {
            "run": by.run, "by": by.by, "form": by.form, "checkpoint": by.checkpoint, "detector": by.boxes,
            "split": asked.split, "n_images": len(looked), **more, **judged_body(people, pck), **figures,
            "rules": dict(by.rules), "wall_s": searched.wall_s, "poses": listed,
        },
    )  # fmt: skip


def _kept(found: Found, sigmas: np.ndarray, alike: float) -> Found:
    """One of the poses that are alike, by the score of box and joints."""
    poses = [
        Person(keypoints=xy, visibility=np.full(len(sigmas), 2, np.int8), box=box)
        for xy, box in zip(found.xy, found.boxes, strict=True)
    ]
    scores = rescored(found.box_scores, found.scores)
    kept = oks_nms(stacked(poses, len(sigmas)), scores, sigmas, alike)
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
