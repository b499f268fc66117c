"""`track`: identities over the frames of a video."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from deploy.pose.association import KINDS
from deploy.pose.tracking import MOTIONS, Rules
from deploy.pose.tracking import track as follow
from verbs.options import json_option
from verbs.output import say, table, write_json
from verbs.tracking_options import RULES, tracking_options


@click.command(short_help="Poses of a video to tracks.")
@click.argument("poses", type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    metavar="FILE.json",
    help="PoseTrack18 JSON with track ids.",
)
@click.option(
    "--annotations",
    type=click.Path(path_type=Path),
    default=None,
    metavar="PATH",
    help="Where POSES is a COCO result list: PoseTrack18 or COCO JSON of its images and joints.",
)
@click.option(
    "--likeness",
    type=click.Choice(KINDS),
    default=RULES.likeness,
    show_default=True,
    help="Of poses, of boxes, or the mean of both.",
)
@click.option("--least", type=click.FloatRange(0, 1), default=RULES.least, show_default=True, metavar="S",
              help="Likeness a pose needs to continue a track.")  # fmt: skip
@click.option("--gate", type=click.FloatRange(0, min_open=True), default=RULES.gate, show_default=True,
              metavar="D", help="Farthest from where it is expected, in diagonals of the box.")  # fmt: skip
@click.option("--motion", type=click.Choice(MOTIONS), default=RULES.motion, show_default=True,
              help="Where a person is expected: at constant velocity, or where last seen.")  # fmt: skip
@click.option("--max-age", type=click.IntRange(min=1), default=RULES.max_age, show_default=True, metavar="N",
              help="Frames a person may be unseen before the track ends.")  # fmt: skip
@tracking_options
@click.option("--score-threshold", type=click.FloatRange(0, 1), default=RULES.score_threshold,
              show_default=True, metavar="S", help="Persons that score below are dropped.")  # fmt: skip
@click.option("--margin", type=click.FloatRange(0), default=RULES.margin, show_default=True, metavar="S",
              help="Report matches better than their exchange by less: a possible swap.")  # fmt: skip
@click.option("--sigmas", default=None, metavar="SET|S1,S2,...", help="Of the OKS. Default: by joint names.")
@json_option
def track(
    poses: Path, out: Path, annotations: Path | None, sigmas: str | None, json_path: Path | None, **given: Any
) -> None:
    """Give the people of POSES identities: PoseTrack18 JSON in, a file or a folder, PoseTrack18 JSON out.

    \b
    python cli.py track poses.json --out tracks.json
    python cli.py track poses.json --out tracks.json --motion last --min-hits 1 --json events.json
    python cli.py track results.json --annotations annotations/val --out tracks.json
    python cli.py evaluate-poses annotations/val tracks.json --metric posetrack

    A COCO result list (of `evaluate --results`) takes frames and joint names from --annotations.
    `categories` of the file name the joints; track ids it may have are not read. Images, their ids and
    fields stay as they are. --json also lists births, deaths, people found again, and close calls: frames
    where two identities may have been swapped. docs/pose-tracking.md says how a frame is matched.
    """
    from deploy.pose.posetrack import read_with_results, write_poses
    from verbs.pose_options import show_notes, sigmas_of

    if out.resolve() == poses.resolve():
        raise click.UsageError(f"--out {out}: is the file of poses itself; choose another")
    rules = Rules(**given)
    found = read_with_results(poses, annotations)
    chosen, origin = sigmas_of(sigmas, found.joints)
    made = [follow(video, rules, chosen) for video in found.videos]
    write_poses(out, [one.video for one in made])
    show_notes(found.notes)
    body = {
        "rules": given,
        "sigmas": chosen.tolist(),
        "sigmas_from": origin,
        "videos": [_body(m) for m in made],
    }
    write_json(json_path, {"poses": str(poses), "out": str(out), "notes": found.notes, **body})
    _print(body["videos"], out)


def _body(made: Any) -> dict[str, Any]:
    events = [
        {"image_id": e.image_id, "kind": e.kind, "tracks": list(e.tracks), "detail": e.detail}
        for e in made.events
    ]
    return {
        "video": made.video.name,
        "n_frames": len(made.video.frames),
        "n_tracks": made.n_tracks,
        "n_poses": sum(len(f.people) for f in made.video.frames),
        "dropped": made.dropped,
        "events": events,
    }


def _print(videos: list[dict[str, Any]], out: Path) -> None:
    rows = []
    for one in videos:
        kinds = [event["kind"] for event in one["events"]]
        rows.append((one["video"], one["n_frames"], one["n_poses"], one["n_tracks"],
                     kinds.count("found again"), kinds.count("close call")))  # fmt: skip
    head = ("video", "frames", "poses", "tracks", "found again", "close calls")
    say(table(head, rows, right=(1, 2, 3, 4, 5)))
    dropped: dict[str, int] = {}
    for one in videos:
        for text, count in one["dropped"].items():
            dropped[text] = dropped.get(text, 0) + count
    for text, count in dropped.items():
        say(f"dropped: {count} {text}")
    if not any(one["n_poses"] for one in videos):
        say("no person in any frame: the file holds the frames and nobody")
    say(f"{out}: PoseTrack18 JSON")
