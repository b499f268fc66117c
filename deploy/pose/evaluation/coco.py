"""COCO's average precision and recall: of poses by OKS, of boxes and masks by IoU.

The figures are pycocotools' own; `engine="faster"` takes faster-coco-eval instead (optional; the same
numbers). What is ours: the files are checked and mended first (an image listed again, annotations without
keypoints or their count, annotation id 0, which the engines take for 'not matched'), sigmas are those of the
data set, and CrowdPose's rules: area = 0.53 x box, because its files have none, and AP apart for easy, medium
and hard images by their `crowdIndex`.
"""

from __future__ import annotations

import contextlib
import io
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from convert.ir import BadInput
from deploy.pose.annotations import images, person_category
from deploy.pose.json_file import number, numbers, part

POSE_STATS = ("AP", "AP50", "AP75", "APm", "APl", "AR", "AR50", "AR75", "ARm", "ARl")
BOX_STATS = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl")
ENGINES = ("pycocotools", "faster")
BOX_SHARE = 0.53  # of a box that a person fills: CrowdPose's, for files without areas
CROWDED = {"easy": (0.0, 0.1), "medium": (0.1, 0.8), "hard": (0.8, 1.0)}  # by crowdIndex, upper end included


@dataclass(frozen=True, slots=True)
class Rules:
    """What of the evaluation a data set decides.

    kind     'keypoints', 'bbox' or 'segm'
    sigmas   float64 [K] of the OKS; None takes COCO's 17
    area     'annotation': the files' own; 'box': 0.53 x box
    crowded  also AP of easy, medium and hard images
    """

    kind: str = "keypoints"
    sigmas: np.ndarray | None = None
    area: str = "annotation"
    crowded: bool = False


@dataclass(frozen=True, slots=True)
class Scores:
    """figures: name -> value in [0, 1], -1 where nothing of that size is annotated. Counts, and what was
    mended."""

    figures: Mapping[str, float]
    n_images: int
    n_truths: int
    n_results: int
    notes: Mapping[str, int]


def evaluate(
    truth: Any, results: Sequence[Any], rules: Rules, engine: str = "pycocotools", where: str = "ground truth"
) -> Scores:
    """Scores of results (a COCO result list) against a COCO annotation body; neither is changed.

    BadInput: what `checked` says, and a result for an image that the truth does not list.
    """
    body, notes = checked(truth, rules, where)
    known = {image["id"] for image in body["images"]}
    listed = [_result(entry, place, known, rules) for place, entry in enumerate(results)]
    stats = _stats(body, listed, rules, engine, None)
    names = POSE_STATS if rules.kind == "keypoints" else BOX_STATS
    figures = dict(zip(names, stats, strict=True))
    if rules.crowded:
        for name, (low, high) in CROWDED.items():
            some = [i["id"] for i in body["images"] if _within(i, low, high, where)]
            figures[f"AP {name}"] = _stats(body, listed, rules, engine, some)[0] if some else -1.0
    return Scores(figures, len(known), len(_judged(body, rules)), len(listed), notes)


def _judged(body: Mapping[str, Any], rules: Rules) -> list[Mapping[str, Any]]:
    """Annotations that can be missed: no crowds and, of poses, none without a joint."""
    poses = rules.kind == "keypoints"
    return [a for a in body["annotations"] if not a["iscrowd"] and (not poses or a["num_keypoints"])]


def _within(image: Mapping[str, Any], low: float, high: float, where: str) -> bool:
    """Easy images include 0; a bin's upper end belongs to it."""
    index = number(image.get("crowdIndex"), f"{where}: image {image['id']}: crowdIndex")
    return (low < index or low == 0) and index <= high


def checked(truth: Any, rules: Rules, where: str) -> tuple[dict[str, Any], dict[str, int]]:
    """A COCO body that the engines take, and what was mended in it. BadInput where it cannot be."""
    notes: Counter[str] = Counter()
    listed = images(part(truth, "images", list, where), where, notes)
    categories = part(truth, "categories", list, where)
    for place, category in enumerate(categories):
        part(category, "id", int, f"{where}: category number {place}")
    joints = len(person_category(truth, where)[1]) if rules.kind == "keypoints" else 0
    sigmas = 17 if rules.sigmas is None else len(rules.sigmas)
    if rules.kind == "keypoints" and sigmas != joints:
        raise BadInput(
            f"{where}: {joints} joints, {sigmas} sigmas; give the sigmas of this data set (--sigmas)"
        )
    annotations = []
    for place, entry in enumerate(part(truth, "annotations", list, where)):
        at = f"{where}: annotation {entry.get('id', place) if isinstance(entry, dict) else place}"
        if part(entry, "image_id", int, at) not in listed:
            raise BadInput(f"{at}: belongs to image {entry['image_id']}, which 'images' does not list")
        annotations.append(_mended(entry, joints, rules, at, notes))
    if len({a["id"] for a in annotations}) < len(annotations):
        raise BadInput(f"{where}: an annotation id is used twice; annotation ids must differ")
    for place, one in enumerate(annotations, 1):
        one["id"] = place  # the engines take 0 for 'not matched': a file that has one would be misjudged
    copies = [dict(image) for image in listed.values()]
    return {"images": copies, "annotations": annotations, "categories": categories}, dict(notes)


def _mended(
    entry: Mapping[str, Any], joints: int, rules: Rules, where: str, notes: Counter[str]
) -> dict[str, Any]:
    """An annotation with the fields the engines read, as plain numbers: keypoints and their count, box,
    area.
    """
    made = {**entry, "id": part(entry, "id", int, where), "iscrowd": int(bool(entry.get("iscrowd", 0)))}
    made["category_id"] = _category(entry, where)
    if rules.kind == "keypoints":
        if not entry.get("keypoints"):
            notes["annotations without keypoints: not judged"] += not made["iscrowd"]
        flat = _flat(entry.get("keypoints") or [0.0] * 3 * joints, joints, where)
        made |= {"keypoints": flat.tolist(), "num_keypoints": int((flat[2::3] > 0).sum())}
    if rules.kind != "segm":
        made["bbox"] = numbers(part(entry, "bbox", list, where), 4, f"{where}: bbox").tolist()
    if rules.area == "box" and rules.kind != "segm":
        made["area"] = made["bbox"][2] * made["bbox"][3] * BOX_SHARE
    elif "area" not in entry:
        raise BadInput(f"{where}: has no 'area'; with --area box 0.53 x its box is taken, as CrowdPose does")
    made["area"] = number(made["area"], f"{where}: area")
    return made


def _flat(value: Any, joints: int, where: str) -> np.ndarray:
    flat = numbers(value, None, f"{where}: keypoints")
    if len(flat) != 3 * joints:
        raise BadInput(f"{where}: keypoints has {len(flat)} numbers, expected {3 * joints}")
    return flat


def _category(entry: Mapping[str, Any], where: str) -> int:
    return part(entry, "category_id", int, where) if "category_id" in entry else 1


def _result(entry: Any, place: int, known: set[int], rules: Rules) -> dict[str, Any]:
    """A result with the fields the engines read, checked."""
    at = f"result number {place}"
    image = part(entry, "image_id", int, at)
    if image not in known:
        raise BadInput(
            f"{at}: belongs to image {image}, which the ground truth does not list; image ids are kept as "
            "they are, never counted anew"
        )
    kept: dict[str, Any] = {"image_id": image, "category_id": _category(entry, at)}
    kept["score"] = number(entry.get("score"), f"{at}: score")
    if rules.kind == "segm":
        return {**kept, "segmentation": part(entry, "segmentation", dict, at)}
    if rules.kind == "bbox":
        return {**kept, "bbox": numbers(part(entry, "bbox", list, at), 4, f"{at}: bbox").tolist()}
    joints = 17 if rules.sigmas is None else len(rules.sigmas)
    return {**kept, "keypoints": _flat(part(entry, "keypoints", list, at), joints, at).tolist()}


def _stats(
    body: Mapping[str, Any],
    results: Sequence[Mapping[str, Any]],
    rules: Rules,
    engine: str,
    some: Sequence[int] | None,
) -> list[float]:
    """The engine's summary, of all images or of some. What it prints is not wanted."""
    kept = [dict(r) for r in results if some is None or r["image_id"] in set(some)]
    names = POSE_STATS if rules.kind == "keypoints" else BOX_STATS
    if not kept:  # the engines refuse an empty list; without results every figure is 0, without truth -1
        return [0.0 if _judged(body, rules) else -1.0] * len(names)
    coco, judge = _engine(engine)
    with contextlib.redirect_stdout(io.StringIO()):
        truth = coco()
        truth.dataset = {**body, "annotations": [dict(a) for a in body["annotations"]], "info": {}}
        truth.createIndex()
        run = judge(truth, truth.loadRes(kept), rules.kind)
        if rules.sigmas is not None:
            run.params.kpt_oks_sigmas = np.asarray(rules.sigmas, np.float64)
        if some is not None:
            run.params.imgIds = sorted(some)
        run.evaluate()
        run.accumulate()
        run.summarize()
    return [float(value) for value in run.stats[: len(names)]]


def _engine(name: str) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """(COCO, COCOeval) of an engine; BadInput where it is not installed."""
    if name not in ENGINES:
        raise BadInput(f"engine {name!r}: expected {' or '.join(ENGINES)}")
    if name == "pycocotools":
        return import_module("pycocotools.coco").COCO, import_module("pycocotools.cocoeval").COCOeval
    try:
        faster = import_module("faster_coco_eval")
    except ImportError as error:
        raise BadInput("engine faster: pip install faster-coco-eval, or take pycocotools") from error
    return faster.COCO, _quiet(faster.COCOeval_faster)


def _quiet(judge: Callable[..., Any]) -> Callable[..., Any]:
    def made(truth: Any, found: Any, kind: str) -> Any:
        return judge(truth, found, kind, print_function=lambda *_: None)

    return made
