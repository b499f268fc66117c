"""COCO's figures for `evaluate-poses`: computed, printed, and as JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from convert.ir import BadInput
from verbs.output import say, table
from verbs.pose_options import show_notes, sigmas_of


def scored(
    truth: Path, results: Path, metric: str, sigmas: str | None, area: str, crowded: bool, engine: str
) -> dict[str, Any]:
    """Print the figures and return them. Results may also be PoseTrack18 JSON of the same images."""
    from deploy.pose.annotations import person_category
    from deploy.pose.coco_file import results as as_results
    from deploy.pose.evaluation.coco import Rules, evaluate
    from deploy.pose.json_file import load
    from deploy.pose.posetrack import read_poses

    body, found = load(truth), None if results.is_dir() else load(results)
    if metric == "oks" and not isinstance(found, list):
        poses = read_poses(results)
        show_notes(poses.notes)
        people = person_category(body, str(truth))[0]
        found = as_results([frame for video in poses.videos for frame in video.frames], people)
    if not isinstance(found, list):
        raise BadInput(f"{results}: is no list; COCO results are a list of one entry a person")
    kind = "keypoints" if metric == "oks" else metric
    chosen, origin = None, None
    if metric == "oks":
        chosen, origin = sigmas_of(sigmas, person_category(body, str(truth))[1])
    made = evaluate(body, found, Rules(kind, chosen, area, crowded), engine, str(truth))
    show_notes(made.notes)
    say(table(("figure", "value"), [(name, _number(v)) for name, v in made.figures.items()], right=(1,)))
    say(f"{made.n_images} images, {made.n_truths} annotated, {made.n_results} predicted; engine {engine}")
    if origin:
        say(f"sigmas: {origin}; area: {'0.53 x box' if area == 'box' else 'annotation'}")
    return {
        "figures": dict(made.figures), "engine": engine, "sigmas_from": origin,
        "sigmas": None if chosen is None else chosen.tolist(), "area": area, "n_images": made.n_images,
        "n_annotated": made.n_truths, "n_predicted": made.n_results, "notes": dict(made.notes),
    }  # fmt: skip


def _number(value: float) -> str:
    return "-" if value < 0 else f"{value:.3f}"
