"""`boxes`: candidates for the pose network, and the recall they allow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from tqdm import tqdm

from convert.ir.files import whole
from deploy.pose.greedy import GREEDY, PLAIN, Rule, chosen
from verbs.candidate_options import candidate_options
from verbs.options import json_option, threads_option
from verbs.output import say, table, write_json

FILE = click.Path(path_type=Path, dir_okay=False)
RANKS = (1, 2, 3, 5, 10, 20, 50, 100)


@click.command(short_help="Person boxes, chosen greedily, and their recall.")
@click.argument("annotations", type=click.Path(path_type=Path))
@click.option("--detections", type=click.Path(path_type=Path), default=None, metavar="FILE.json",
              help="Boxes that a detector found: COCO's list of {image_id, bbox, score}.")  # fmt: skip
@click.option("--detector", default=None, metavar="hog|RUN",
              help="Find them here: OpenCV's people detector (weak), or a keypoint R-CNN.")  # fmt: skip
@click.option("--images", type=click.Path(path_type=Path, file_okay=False), default=None, metavar="DIR",
              help="Folder of the images, for --detector.")  # fmt: skip
@candidate_options(GREEDY)
@click.option("--enlarge", type=click.FloatRange(0, min_open=True), default=GREEDY.enlarge,
              show_default=True, metavar="F", help="Boxes: scale each about its middle.")  # fmt: skip
@click.option("--out", type=FILE, default=None, metavar="FILE.json",
              help="Write the boxes that the greedy rule keeps, in COCO's form.")  # fmt: skip
@click.option("--csv", "csv_path", type=FILE, default=None, metavar="FILE",
              help="Write the recall curves.")  # fmt: skip
@click.option("--svg", "svg_path", type=FILE, default=None, metavar="FILE",
              help="Draw the recall curves at IoU 0.5.")  # fmt: skip
@threads_option
@json_option
def boxes(
    annotations: Path, detections: Path | None, detector: str | None, images: Path | None,
    score_threshold: float, nms_iou: float, cap: int, enlarge: float, out: Path | None, csv_path: Path | None,
    svg_path: Path | None, threads: int | None, json_path: Path | None,
) -> None:  # fmt: skip
    """Choose candidate boxes for the images of ANNOTATIONS and compare their recall with the usual choice.

    \b
    python cli.py boxes person_keypoints_val.json --detections boxes.json --out kept.json --svg recall.svg
    python cli.py boxes person_keypoints_val.json --detector hog --images val2017 --csv recall.csv
    python cli.py boxes person_keypoints_val.json --detector runs/rcnn --images val2017 --out boxes.json

    ANNOTATIONS: COCO or PoseTrack18 JSON. Three curves: all boxes as found, the plain rule (score 0.5, NMS
    0.5), the greedy rule of the options: low scores and high overlaps are kept, and poses decide later.
    """
    from deploy.pose.annotations import read
    from deploy.pose.coco_file import box_results, write_results
    from deploy.pose.recall import csv, curve
    from deploy.pose.recall_drawing import svg
    from verbs.pose_options import show_notes

    if (detections is None) == (detector is None):
        raise click.UsageError("give --detections FILE or --detector, one of the two")
    annotated = read(annotations)
    frames = [frame for frame in annotated.frames if frame.labelled]
    greedy = Rule(score_threshold, nms_iou, cap, enlarge)
    if detections is not None:
        found, notes = _of_file(frames, detections, annotated.category)
    else:
        found, notes = _detected(frames, str(detector), images, threads)
    show_notes({**annotated.notes, **notes})
    kept = {image: chosen(some, greedy) for image, some in found.items()}
    plain = {image: chosen(some, PLAIN) for image, some in found.items()}
    curves = [curve(n, frames, b) for n, b in (("all", found), ("plain", plain), ("greedy", kept))]
    if out is not None:
        write_results(out, box_results(kept, annotated.category))
    _write(csv_path, csv(curves))
    _write(svg_path, svg(curves, 0.5))
    write_json(json_path, _body(curves, str(annotations), greedy))
    _print(curves)


def _of_file(
    frames: Sequence[Any], detections: Path, category: int
) -> tuple[dict[int, Any], Mapping[str, int]]:
    """Boxes of every image that a file has, and what was mended."""
    from deploy.pose.boxes import FileDetector
    from verbs.detectors import held_to

    sizes = {f.image_id: (f.width, f.height) for f in frames if f.width and f.height}
    found = FileDetector(detections, sizes, category)
    known = {frame.image_id for frame in frames}
    held_to(found, known, "the annotated ones", "none of them annotated; name a file of the annotated images")
    return {f.image_id: found.find(f.image_id) for f in frames}, found.notes


def _detected(
    frames: Sequence[Any], name: str, images: Path | None, threads: int | None
) -> tuple[dict[int, Any], Mapping[str, int]]:
    """Boxes of every image that a detector finds, and what it left out."""
    from deploy.pose.boxes import Detector, HogDetector, read_image
    from verbs.people_run import RunDetector

    if images is None:
        raise click.UsageError("--detector needs --images DIR")
    detector: Detector = HogDetector() if name == "hog" else RunDetector(Path(name), threads)
    made = {}
    for frame in tqdm(frames, desc="detecting", unit="image", leave=False):
        made[frame.image_id] = detector.find(frame.image_id, read_image(images / frame.file_name))
    return made, detector.notes


def _write(path: Path | None, text: str) -> None:
    if path is not None:
        with whole(path) as draft:
            draft.write_text(text)


def _body(curves: Sequence[Any], annotations: str, greedy: Any) -> dict[str, Any]:
    rule = {name: getattr(greedy, name) for name in greedy.__slots__}
    return {
        "annotations": annotations,
        "n_people": curves[0].n_people,
        "n_images": curves[0].n_images,
        "greedy": rule,
        "thresholds": list(curves[0].thresholds),
        "curves": {c.name: {"candidates": c.candidates, "recall": c.recall} for c in curves},
    }


def _print(curves: Sequence[Any]) -> None:
    rows = [
        (one.name, rank, f"{one.candidates[rank - 1]:.2f}", f"{one.at(0.5, rank):.3f}",
         f"{one.at(0.75, rank):.3f}", f"{one.recall[:, rank - 1].mean():.3f}")
        for one in curves
        for rank in sorted({min(r, len(one.candidates)) for r in (*RANKS, len(one.candidates))})
    ]  # fmt: skip
    head = ("boxes", "best N", "candidates an image", "recall@0.5", "recall@0.75", "recall@0.5:0.95")
    say(table(head, rows, right=range(1, 6)))
    first = curves[0]
    say(f"{first.n_people} people with a box in {first.n_images} images; a candidate finds one at most")
