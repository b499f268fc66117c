"""`evaluate-poses`: predicted poses against annotated ones."""

from __future__ import annotations

from pathlib import Path

import click

from verbs.options import json_option
from verbs.output import write_json

METRICS = ("oks", "bbox", "segm", "pck", "pckh", "posetrack")


@click.command(name="evaluate-poses", short_help="Poses, boxes or tracks against ground truth.")
@click.argument("truth", type=click.Path(path_type=Path))
@click.argument("poses", type=click.Path(path_type=Path))
@click.option(
    "--metric",
    type=click.Choice(METRICS),
    required=True,
    help="oks, bbox, segm: COCO's AP and AR. pck, pckh: share of joints within a part of torso, box or head. "
    "posetrack: mAP, MOTA and HOTA together.",
)
@click.option(
    "--joint-threshold",
    "joint_thresholds",
    type=click.FloatRange(0, 1),
    multiple=True,
    metavar="S",
    help="posetrack: drop predicted joints that score below S; repeat it to see mAP trade for MOTA. "
    "Default: 0.",
)
@click.option(
    "--threshold",
    type=click.FloatRange(0, min_open=True),
    default=None,
    metavar="T",
    help="pck, pckh, posetrack: a joint is right within T sizes. Default: 0.2 for pck, 0.5 for the others.",
)
@click.option(
    "--size",
    type=click.Choice(["torso", "box"]),
    default="torso",
    show_default=True,
    help="pck: what distances are measured in.",
)
@click.option(
    "--sigmas",
    default=None,
    metavar="SET|S1,S2,...",
    help="oks: sigmas of coco, crowdpose, lspet, mpii or posetrack18, or your own. Default: by joint names.",
)
@click.option(
    "--area",
    type=click.Choice(["annotation", "box"]),
    default="annotation",
    show_default=True,
    help="oks, bbox: the person's area: the file's, or 0.53 x its box (CrowdPose).",
)
@click.option("--crowdpose", is_flag=True, help="oks: CrowdPose's rules: --area box, and AP by crowdIndex.")
@click.option(
    "--engine",
    type=click.Choice(["pycocotools", "faster"]),
    default="pycocotools",
    show_default=True,
    help="oks, bbox, segm: whose code computes; both give the same figures.",
)
@click.option(
    "--poseval-compat",
    is_flag=True,
    help="posetrack: as poseval computes it: the last frame of each sequence dropped, and more "
    "(docs/pose-tracking.md).",
)
@json_option
def evaluate_poses(
    truth: Path, poses: Path, metric: str, joint_thresholds: tuple[float, ...], threshold: float | None,
    size: str, sigmas: str | None, area: str, crowdpose: bool, engine: str, poseval_compat: bool,
    json_path: Path | None,
) -> None:  # fmt: skip
    """Score POSES against TRUTH.

    \b
    python cli.py evaluate-poses person_keypoints_val.json results.json --metric oks
    python cli.py evaluate-poses crowdpose_val.json results.json --metric oks --crowdpose
    python cli.py evaluate-poses annotations/val tracks.json --metric posetrack \\
        --joint-threshold 0 --joint-threshold 0.3
    python cli.py evaluate-poses lspet.json results.json --metric pck --threshold 0.2

    TRUTH is a COCO annotation file; for posetrack and pckh PoseTrack18 JSON with head boxes, a file or a
    folder. POSES is a COCO result list or PoseTrack18 JSON, a file or a folder; MOTA and HOTA need the
    latter, with track ids. Image ids are compared as they are. What is mended in a file is said on stderr;
    what cannot be is an error (exit 3).
    """
    if metric == "posetrack":
        from verbs.posetrack_figures import scored

        body = scored(truth, poses, joint_thresholds or (0.0,), threshold or 0.5, poseval_compat)
    elif metric in ("pck", "pckh"):
        from verbs.pck_figures import scored as pck_scored

        body = pck_scored(truth, poses, metric, threshold, size)
    else:
        from verbs.coco_figures import scored as coco_scored

        body = coco_scored(truth, poses, metric, sigmas, "box" if crowdpose else area, crowdpose, engine)
    write_json(json_path, {"metric": metric, "truth": str(truth), "poses": str(poses), **body})
