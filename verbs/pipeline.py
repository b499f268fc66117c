"""`pipeline`: the whole way from a video to actions and joules."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from deploy.pose.greedy import FILM, FOUND
from deploy.pose.windows import LEAST, Cut
from verbs.candidate_options import candidate_options, nms_oks_option, settled
from verbs.options import json_option, threads_option
from verbs.output import say, write_json
from verbs.tracking_options import tracking_options

PATH = click.Path(path_type=Path)
CUT = Cut()
CROPS = 99  # of a frame: PoseTrack18's id of a person is the image's and two digits


@click.command(short_help="A video to poses, tracks, actions and joules.")
@click.option("--video", type=PATH, required=True, metavar="DIR|FILE", help="Folder of frames, or a video.")
@click.option("--pose", type=PATH, required=True, metavar="RUN|ARTIFACT|FILE.json",
              help="Pose network, or poses that are there already (PoseTrack18, COCO).")  # fmt: skip
@click.option("--action", type=PATH, required=True, metavar="RUN|ARTIFACT",
              help="Action model.")  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, metavar="DIR",
              help="Folder of the results; appears whole or not at all.")  # fmt: skip
@click.option("--boxes", default="hog", show_default=True, metavar="hog|whole|FILE.json|RUN",
              help="Person boxes: OpenCV's detector, the frame, a COCO file, a keypoint R-CNN.")  # fmt: skip
@click.option("--cost-table", default="horowitz45-fp32", show_default=True, metavar="NAME|FILE",
              help="Joules per operation: a shipped table or a TOML file.")  # fmt: skip
@click.option("--window", type=click.IntRange(min=2), default=CUT.length, show_default=True, metavar="N",
              help="Frames that the action model sees at a time.")  # fmt: skip
@click.option("--hop", type=click.IntRange(min=1), default=CUT.hop, show_default=True, metavar="N",
              help="Frames between windows.")  # fmt: skip
@click.option("--travel", type=click.Choice(["keep", "drop"]), default="keep", show_default=True,
              help="drop: take out the way across the picture (models of people on the spot).")  # fmt: skip
@click.option("--render", type=click.Choice(["auto", "mp4", "png", "none"]), default="auto",
              show_default=True, help="auto: mp4 if OpenCV can encode it, else a PNG a frame.")  # fmt: skip
@click.option("--fps", type=click.FloatRange(0, 240, min_open=True), default=None, metavar="F",
              help="Frames a second. Default: the file's; 15 for a folder.")  # fmt: skip
@candidate_options(FILM, CROPS, FOUND)
@nms_oks_option
@tracking_options
@click.option("--target", default=None, metavar="TARGET",
              help="Where an action artifact runs. Default: onnx, loihi-sim for lava artifacts.")  # fmt: skip
@threads_option
@json_option
def pipeline(
    video: Path, pose: Path, action: Path, out: Path, boxes: str, cost_table: str, window: int, hop: int,
    travel: str, render: str, fps: float | None, target: str | None, threads: int | None,
    json_path: Path | None, **rules: Any,
) -> None:  # fmt: skip
    """Frames to boxes, poses, tracks, skeletons and actions; the energy of each stage; a rendered video.

    \b
    python cli.py pipeline --video clip.mp4 --pose runs/people --action runs/flat --out out/clip
    python cli.py pipeline --video frames --boxes boxes.json --pose out/pose --action out/sgn --out out/all

    \b
    OUT gets  poses.json  tracks.json    PoseTrack18, before and after identities
              actions.json               per track: frames, class, scores, windows, mJ
              energy.json  energy/       stages; reports of pose and action network
              video.mp4 or frames/       skeleton, track, action and mJ drawn;  strip.png: six frames

    Joints are brought to the action model's by stated combinations, z = 0; docs/pipeline.md lists them. Boxes
    that a run finds are counted, and listed with what of finding them is not; other boxes and tracking run
    outside any graph and are listed as uncounted. A video without a person is no error: the files hold its
    frames and nobody.
    """
    from convert.ir.files import whole_folder
    from deploy.pose.footage import open_footage
    from energy.costs import cost_table as shipped
    from energy.costs import load_cost_table
    from verbs.detectors import names_run
    from verbs.pipeline_run import Plan, run

    prices = load_cost_table(Path(cost_table)) if cost_table.endswith(".toml") else shipped(cost_table)
    footage = open_footage(video, fps)
    cut = Cut(window, hop, min(LEAST, window), travel == "keep")
    chosen = settled(rules, FOUND if names_run(boxes) else FILM)
    plan = Plan(footage, pose, action, boxes, prices, cut, render, target, threads, chosen)
    with whole_folder(out) as draft:
        body = run(plan, draft)
    write_json(json_path, {"out": str(out), **body})
    say(f"{out}: {', '.join(sorted(p.name for p in out.iterdir()))}")
