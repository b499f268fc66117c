"""What an action model says of true joints: the pipeline without the errors of boxes, poses and tracks.

    python -m benchmarks.pipeline_oracle runs/flat runs/solid

Joints of synthetic videos as the camera projects them, hidden ones too, through the pipeline's own windows
and combinations of joints; one window a stretch in which a person does one action and has time to finish it.
A model has learnt the actions in place: those who act are told apart from those who walk across the picture.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import numpy as np

from deploy.pose.joints import COCO
from deploy.pose.people import Frame, Person
from deploy.pose.people import Video as Tracked
from deploy.pose.skeleton import skeleton_map
from deploy.pose.windows import Cut, windows
from train.checkpoint import load_model
from train.data.clip import Clip
from train.data.recipe import Recipe
from train.data.transform import prepare
from train.evaluate import evaluate
from train.pose.people.body import body
from train.pose.people.video import Role, Video, video
from train.skeletons import layout

WALKERS = 2  # the first roles of every video
LEAST = 25  # frames of the shortest action (train.pose.people.motion.acting); less is cut off by the end


def stretches(role: Role) -> Iterator[tuple[str, range]]:
    """(action, frames) of one action after the other."""
    for name, frames in groupby(range(len(role.actions)), role.actions.__getitem__):
        places = list(frames)
        yield name, range(places[0], places[-1] + 1)


def tracked(one: Video) -> tuple[Tracked, list[tuple[str, bool]]]:
    """The video with a track for every stretch that is long enough, and (action, walks across) of each."""
    frames: list[list[Person]] = [[] for _ in range(one.frames)]
    told: list[tuple[str, bool]] = []
    for role in one.roles:
        for action, places in stretches(role):
            if len(places) < LEAST:
                continue
            for t in places:
                xy = one.stage.camera.project(body(role.joints[t], role.build).keypoints)
                frames[t].append(Person(xy, np.full(len(COCO), 2, np.int8), track_id=len(told)))
            told.append((action, role.track < WALKERS))
    return Tracked("", COCO, tuple(Frame(t, tuple(p)) for t, p in enumerate(frames))), told


def right(run: Path, videos: list[Video], travel: bool) -> tuple[np.ndarray, np.ndarray]:
    """bool [n] whether the model is right, and bool [n] whether the person walks across."""
    model, checkpoint = load_model(run)
    about = checkpoint.about
    known = about["dataset"]["layout"]
    cut, clips, across = Cut(max(v.frames for v in videos), travel=travel), [], []
    for one in videos:
        people, told = tracked(one)
        for window in windows(people, skeleton_map(COCO, known), cut):
            action, walks = told[window.track]
            assert window.joints is not None, window.why
            clips.append(Clip(str(len(clips)), window.joints[None], about["classes"].index(action), 0))
            across.append(walks)
    samples = prepare(clips, Recipe.from_dict(about["recipe"]), layout(known))
    return evaluate(model, samples).argmax(1) == [clip.label for clip in clips], np.array(across)


def main() -> None:
    """A line a run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("runs", type=Path, nargs="+", help="action runs of the data set synthetic")
    parser.add_argument("--videos", type=int, default=40)
    parser.add_argument("--frames", type=int, default=90)
    parser.add_argument("--seed", type=int, default=77)
    args = parser.parse_args()
    videos = [video(args.seed, n, args.frames) for n in range(args.videos)]
    print("| run | travel | people who act | people who walk across |\n| --- | --- | --- | --- |")
    for run in args.runs:
        for travel in ("keep", "drop"):
            good, across = right(run, videos, travel == "keep")
            cells = [f"{100 * good[who].mean():.1f} % of {who.sum()}" for who in (~across, across)]
            print(f"| {run.name} | {travel} | {cells[0]} | {cells[1]} |", flush=True)


if __name__ == "__main__":
    main()
