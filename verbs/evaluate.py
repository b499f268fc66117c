"""`evaluate`: the accuracy of a run's torch model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from verbs.classes import judged, per_class, percent
from verbs.options import dataset_options, json_option, threads_option
from verbs.output import say, write_json


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
@threads_option
@json_option
def evaluate(
    run: Path,
    dataset: str | None,
    data: Path | None,
    split: str,
    limit: int | None,
    flip_test: bool,
    results: Path | None,
    threads: int | None,
    json_path: Path | None,
) -> None:
    """Classify a split with the torch model of RUN (a run folder or a .safetensors file), as it was trained.

    \b
    python cli.py evaluate runs/demo --split validation
    python cli.py evaluate runs/demo --split test --json result.json

    Prints top-1 accuracy and a line a class; --json has the scores of every sample. `--split validation` is
    what training held out: choose models by it, and read the test once. Artifacts: `cli.py simulate`.

    Of a pose network, a RUN or an artifact of it: PCK of each joint by the data set's own measure (LSPET: 0.2
    of the torso, MPII and PoseTrack18: 0.5 of the head), and COCO's figures where the annotations are of its
    form. Of a keypoint R-CNN the same, of people whom it finds in whole images (--limit counts images): boxes
    and joints by COCO's figures, joints of people whom no box reaches are wrong.
    """
    from verbs.people_run import is_people
    from verbs.pose_run import is_pose

    if is_pose(run):
        from verbs.pose_evaluation import evaluate_pose

        return evaluate_pose(run, dataset, data, split, limit, threads, flip_test, results, json_path)
    if is_people(run):
        from verbs.people_evaluation import evaluate_people

        if flip_test:
            raise click.UsageError(f"--flip-test: {run} looks at whole images as they are; leave it out")
        return evaluate_people(run, dataset, data, split, limit, threads, results, json_path)
    if flip_test or results is not None:
        option = "--flip-test" if flip_test else "--results"
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
