"""`evaluate`: the accuracy of a run's torch model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from deploy.pose.greedy import GREEDY, Rule
from verbs.candidate_options import candidate_options, nms_oks_option
from verbs.classes import judged, per_class, percent
from verbs.configuring import said
from verbs.options import dataset_options, json_option, threads_option
from verbs.output import say, write_json

CHOICE = ("score_threshold", "nms_iou", "cap", "nms_oks")  # among boxes that are found


@click.command(short_help="Accuracy of a trained run, class by class.")
@click.argument("run", type=click.Path(path_type=Path))
@dataset_options
@click.option("--flip-test", is_flag=True, help="Poses: average the maps with those of the mirror image.")
@click.option(
    "--results",
    type=click.Path(path_type=Path, dir_okay=False),
    default=None,
    metavar="FILE",
    help="Poses: also write the joints as COCO's result list, for `evaluate-poses` and `track`.",
)
@click.option("--boxes", default=None, metavar="hog|whole|FILE.json|RUN",
              help="Poses: look for people in boxes of OpenCV's detector, the whole image, a COCO file, a "
              "keypoint R-CNN. Default: the annotated boxes.")  # fmt: skip
@candidate_options(GREEDY)
@nms_oks_option
@threads_option
@json_option
@click.pass_context
def evaluate(
    ctx: click.Context,
    run: Path,
    dataset: str | None,
    data: Path | None,
    split: str,
    limit: int | None,
    flip_test: bool,
    results: Path | None,
    boxes: str | None,
    score_threshold: float,
    nms_iou: float,
    cap: int,
    nms_oks: float,
    threads: int | None,
    json_path: Path | None,
) -> None:
    """Classify a split with the torch model of RUN (a run folder or a .safetensors file), as it was trained.

    \b
    python cli.py evaluate runs/demo --split validation
    python cli.py evaluate runs/demo --split test --json result.json
    python cli.py evaluate runs/coco --boxes detections.json --limit 200

    Prints top-1 accuracy and a line a class; --json has the scores of every sample. `--split validation` is
    what training held out: choose models by it, and read the test once. Artifacts: `cli.py simulate`.

    Of a pose network, a RUN or an artifact of it: PCK of each joint by the data set's own measure (LSPET: 0.2
    of the torso, MPII and PoseTrack18: 0.5 of the head), and COCO's figures where the annotations are of its
    form, of people in their annotated boxes. With --boxes nobody's box is given: candidates are chosen
    greedily, poses are rescored (box x joints), of poses that are alike one stays; --limit counts images, and
    joints of people whom no box reaches are wrong. A keypoint R-CNN is judged so by its own boxes.
    """
    from verbs.people_evaluation import Asked, evaluate_people
    from verbs.people_run import is_people
    from verbs.pose_run import is_pose

    if boxes is None and (odd := [o for o in CHOICE if said(ctx, o)]):
        raise click.UsageError(f"--{odd[0].replace('_', '-')}: belongs to --boxes; leave it out")
    asked = Asked(dataset, data, split, limit, threads, results, json_path)
    if boxes is not None and is_pose(run):
        from verbs.boxed_evaluation import InBoxes, evaluate_in_boxes

        rule = Rule(score_threshold, nms_iou, cap)
        return evaluate_in_boxes(run, InBoxes(boxes, rule, nms_oks), asked, flip_test)
    if is_pose(run):
        from verbs.pose_evaluation import evaluate_pose

        return evaluate_pose(run, dataset, data, split, limit, threads, flip_test, results, json_path)
    if is_people(run):
        if flip_test:
            raise click.UsageError(f"--flip-test: {run} looks at whole images as they are; leave it out")
        if boxes is not None:
            raise click.UsageError(f"--boxes: {run} finds people by itself; leave it out")
        return evaluate_people(run, asked)
    of_poses = (("flip-test", flip_test), ("results", results), ("boxes", boxes))
    if run.exists() and (given := [option for option, value in of_poses if value]):
        option = f"--{given[0]}"
        raise click.UsageError(f"{option}: {run} is no pose network; leave it out")
    from convert.artifact import is_artifact
    from convert.ir import BadInput
    from verbs.feed import load_clips
    from verbs.members import open_run

    if is_artifact(run):
        raise BadInput(f"{run}: is an artifact, expected a run; use `cli.py simulate`, or name its run")
    member = open_run(run, threads)
    feed, scores = member.rate(load_clips(member.about, dataset, data, split), limit)
    result: dict[str, Any] = {
        "run": str(run),
        **member.as_json(),
        "dataset": dataset or member.about["dataset"]["name"],
        "split": split,
        **_report(feed, scores),
    }
    write_json(json_path, result)
    say(per_class(feed.class_names, {"right": result["confusion"]}))
    of = len(feed.samples)
    say(f"torch: accuracy {percent(result['accuracy'])} on {split}, {result['right']} of {of} samples")


def _report(feed: Any, scores: Any) -> dict[str, Any]:
    """Scores [n, K] of a feed, judged, with what they are the scores of."""
    samples, predictions = feed.samples, scores.argmax(axis=1)
    return {
        "n_samples": len(samples),
        "classes": list(feed.class_names),
        **judged(samples.labels, predictions, len(feed.class_names)),
        "sample_ids": list(samples.ids),
        "labels": samples.labels.tolist(),
        "predictions": predictions.tolist(),
        "scores": scores.tolist(),
    }
