"""A pose network as a sigma-delta network on video: what travels, what it costs, and PCK, by speed of motion.

    python -m benchmarks.sigma_delta_pose ARTIFACT [--people 16] [--frames 12] [--thresholds 0,0.1,0.2]

ARTIFACT: of `convert --to sdnn`; its calibration is used, its threshold is one of the rows. Frames are drawn
people: stills whose region shifts and turns by a known affine map (S pixels of the input and S / 4 degrees a
frame, back and forth), and drawn videos, seen through one region for those who act on the spot and through
one that follows the box for those who walk by.

messages   share of values that neurons and input send that are not 0, frames after the first
synops     synapses that these messages pass, exact; dense: synapses times frames; sparse: the same integers,
           each frame from rest, zeros skipped. All a person and frame
uJ         of both, compute and neurons, by `horowitz45-int32`, convention exact: modelled, not measured
PCK        joints within 0.1 of the box's longer side: float, dense integer (threshold 0, each frame from
           rest), sigma-delta; all frames. px: mean distance of the last two's joints
drift      last: the same video with and without `carry` (Lava 0.10.0 forgets the bits a message loses)
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.machine import describe
from convert.artifact import Artifact, open_artifact
from convert.ir import Graph, LoihiDelta, Program
from convert.passes.lower import lower
from convert.passes.sigma_delta import Ranges, SigmaDelta
from deploy.onnx_session import read_model
from deploy.pose.sigma_delta import MapReader, Seen, SigmaDeltaPose
from deploy.reference import values
from energy.costs import cost_table
from energy.energy import price
from energy.line import Counts, Options
from energy.program_counts import ProgramCounter
from train.pose import affine
from train.pose.crops import normalised
from train.pose.data.keypoints import COCO
from train.pose.pck import pck
from train.pose.people.frame import Seen as Drawn
from train.pose.people.still import still
from train.pose.people.video import video
from train.pose.recipe import PoseRecipe

SPEEDS = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0)  # pixels of the input a frame
SWING = 6  # frames one way
FIRST = 2_000_000  # number of the first picture: no split has it
HEAD = (
    f"{'clip':31} moved threshold messages {'synops':>11} {'dense':>11} {'sparse':>11}      uJ  sparse"
    "   float     int    sdnn     px"
)
PCK_AT, TABLE = 0.1, "horowitz45-int32"


@dataclass(frozen=True, eq=False)
class Clip:
    """x float64 [T, N, 3, H, W]; xy [T, N, K, 2] and size [T, N] in pixels of the input; counts [T, N, K]."""

    name: str
    x: np.ndarray
    xy: np.ndarray
    counts: np.ndarray
    size: np.ndarray

    def pck(self, found: np.ndarray) -> float:
        """Share of right joints in all frames."""
        k = self.xy.shape[2]
        flat = found.reshape(-1, k, 2), self.xy.reshape(-1, k, 2), self.counts.reshape(-1, k)
        return pck(*flat, self.size.reshape(-1), PCK_AT).pooled

    @property
    def moved(self) -> float:
        """Mean absolute difference of two frames, in levels of 255 (of the spread's mean)."""
        return float(np.abs(np.diff(self.x, axis=0)).mean()) * 255 * 0.226


def _look(
    person: Drawn, pixels: np.ndarray, matrix: np.ndarray, recipe: PoseRecipe
) -> tuple[np.ndarray, ...]:
    """(picture, joints, which count, size) of one person in one frame, seen through a matrix."""
    picture = affine.warp(pixels, matrix, recipe.size, recipe.pixels)
    xy = affine.apply(matrix, person.xy + recipe.pixels.c)
    inside = np.all((xy >= 0) & (xy < np.array(recipe.size)), axis=1)
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    return picture, xy, (person.visibility > 0) & inside, np.array(scale * max(person.box[2:]))


def _clip(name: str, people: list[list[tuple[np.ndarray, ...]]]) -> Clip:
    """people[n][t]: what `_look` gave."""
    x = np.stack([normalised([look[0] for look in frames]) for frames in people], axis=1).astype(np.float64)
    joints = ([[frame[i] for frame in frames] for frames in people] for i in (1, 2, 3))
    xy, counts, size = (np.swapaxes(np.array(each), 0, 1) for each in joints)
    return Clip(name, x, xy, counts, size)


def _base(box: np.ndarray, recipe: PoseRecipe) -> np.ndarray:
    return affine.to_input(affine.region(box, recipe.size, recipe.padding), recipe.size, recipe.pixels)


def _swung(t: int, speed: float, recipe: PoseRecipe) -> np.ndarray:
    """The motion of frame t, in the input's plane: along a line and about the centre, back and forth."""
    way = speed * (SWING - abs(t % (2 * SWING) - SWING))
    turn = np.radians(way / 4)
    middle = np.array(recipe.size) / 2
    linear = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    shift = middle - linear @ middle + way * np.array([0.8, 0.6])
    return np.concatenate([linear, shift[:, None]], axis=1)


def stills(recipe: PoseRecipe, people: int, frames: int, seed: int) -> Iterator[Clip]:
    """The nearest person of each of `people` pictures, at every speed."""
    drawn = [still(seed, FIRST + n) for n in range(2 * people)]
    drawn = [frame for frame in drawn if frame.people][:people]
    for speed in SPEEDS:
        looks = []
        for frame in drawn:
            base = _base(frame.people[0].box, recipe)
            matrices = [affine.compose(_swung(t, speed, recipe), base) for t in range(frames)]
            looks.append([_look(frame.people[0], frame.pixels, m, recipe) for m in matrices])
        yield _clip(f"still, {speed:g} px", looks)


def films(recipe: PoseRecipe, count: int, frames: int, seed: int) -> Iterator[Clip]:
    """Who is in sight in all frames of drawn videos: one region for who acts, one that follows who walks."""
    acting, walking = [], []
    for number in range(count):
        shown = video(seed, FIRST + number, 3 * frames)
        drawn = [shown.frame(t) for t in range(frames, 2 * frames)]
        by_track = [{p.track: p for p in frame.people} for frame in drawn]
        for role in shown.roles:
            seen = [people[role.track + 1] for people in by_track if role.track + 1 in people]
            if len(seen) < frames:
                continue
            boxes = np.array([p.box for p in seen])
            acts = role.track >= 2
            matrices = [_base(box, recipe) for box in ([_around(boxes)] * frames if acts else boxes)]
            looks = [_look(p, f.pixels, m, recipe) for p, f, m in zip(seen, drawn, matrices, strict=True)]
            (acting if acts else walking).append(looks)
    for name, looks in (("video, acting, region fixed", acting), ("video, walking, region follows", walking)):
        if looks:
            yield _clip(name, looks)


def _around(boxes: np.ndarray) -> np.ndarray:
    low, high = boxes[:, :2].min(axis=0), (boxes[:, :2] + boxes[:, 2:]).max(axis=0)
    return np.concatenate([low, high - low])


@dataclass(frozen=True, eq=False)
class Bench:
    """The networks of one artifact."""

    artifact: Artifact
    graph: Graph
    ranges: Ranges

    @classmethod
    def of(cls, path: Path) -> Bench:
        """From an artifact of kind sdnn."""
        artifact = open_artifact(path)
        return cls(artifact, artifact.graph("float"), Ranges(**artifact.about["quantisation"]["ranges"]))

    def network(self, threshold: float, carry: bool = True) -> SigmaDeltaPose:
        """The network of another threshold, or of Lava 0.10.0's neurons."""
        told, settings = self.artifact.about["quantisation"], self.artifact.about["source"]["model_config"]
        build = SigmaDelta(self.ranges, threshold, told["bits"], told["input_bits"], carry)
        integer, host = build(self.graph)
        decoder = read_model(self.artifact.file("decoder.onnx"))
        program = lower(integer, told["bits"])
        reader = MapReader(host, decoder, settings["heads"], settings["kinds"], "decoder")
        return SigmaDeltaPose(program, reader)

    def floating(self, network: SigmaDeltaPose, x: np.ndarray) -> np.ndarray:
        """Joints of the float graph, each frame."""
        maps = [values(self.graph, x[t : t + 1]) for t in range(len(x))]
        maps_by = {name: np.concatenate([m[name] for m in maps]) for name in self.graph.outputs}
        return network.reader.read(maps_by)[0]


@dataclass(frozen=True)
class Work:
    """Whole numbers of all people and frames counted; uj: of a person and frame."""

    messages: int
    values: int
    synops: int
    dense: int
    uj: float


def work(program: Program, seen: Seen, skip: int) -> Work:
    """What frames from `skip` on took. The camera's own values into the encoder are no messages."""
    counter = ProgramCounter(program, Options())
    rasters = {name: seen.record.rasters[name] for name in counter.rasters}
    steps, people = next(iter(rasters.values())).shape[:2]
    parts = [_total(program, counter.count(rasters), people)]
    if skip:
        parts.append(_total(program, counter.count({n: r[:skip] for n, r in rasters.items()}), people))
    done = [a - b for a, b in zip(*parts, strict=True)] if skip else list(parts[0])
    senders = [n for n in program.neurons() if program.populations[n].model.spiking]  # type: ignore[union-attr]
    sent = sum(int(np.count_nonzero(rasters[n][skip:])) for n in senders)
    size = sum(rasters[n][skip:].size for n in senders)
    return Work(sent, size, int(done[0]), int(done[1]), float(done[2]) / (people * (steps - skip)) * 1e-6)


def _total(program: Program, counts: Counts, people: int) -> tuple[int, int, float]:
    encoders = {
        p.name for p in program.projections if isinstance(program.populations[p.dst].model, LoihiDelta)
    }
    lines = [line for line in counts.lines if line.name not in encoders]
    synops = sum(int(counts.of(line, "sop_exact").sum()) for line in lines)
    dense = sum(int(counts.of(line, "dense_mac_inbounds").sum()) for line in lines)
    bill = price(counts, cost_table(TABLE), ("exact",))["exact"].lines()
    kept = [row for row, line in enumerate(counts.lines) if line.name not in encoders]
    return synops, dense, float(bill[kept].sum())


def _from_rest(network: SigmaDeltaPose, x: np.ndarray, rasters: tuple[str, ...] = ()) -> Seen:
    """Every frame a video of its own."""
    return network.video(x.reshape(1, -1, *x.shape[2:]), rasters)


def judge(bench: Bench, clip: Clip, thresholds: list[float]) -> None:
    """Print a row a threshold."""
    for k, threshold in enumerate(thresholds):
        network = bench.network(threshold)
        names = ProgramCounter(network.program, Options()).rasters
        if k == 0:
            plain = bench.network(0.0)
            rest = _from_rest(plain, clip.x, names)
            dense = rest.xy.reshape(clip.xy.shape)
            sparse = work(plain.program, rest, 0)
            floating = clip.pck(bench.floating(plain, clip.x))
        seen = network.video(clip.x, names)
        done = work(network.program, seen, 1)
        away = np.linalg.norm(seen.xy - dense, axis=-1)[clip.counts].mean()
        per = clip.x.shape[1] * (len(clip.x) - 1)
        cells = [
            f"{clip.name:31} {clip.moved:5.1f} {threshold:9g} {done.messages / done.values:8.1%}",
            *(f"{n:11,}" for n in (done.synops // per, done.dense // per, sparse.synops // rest.xy.shape[1])),
            f"{done.uj:7.1f} {sparse.uj:7.1f} {floating:7.1%} {clip.pck(dense):7.1%}",
            f"{clip.pck(seen.xy):7.1%} {away:6.2f}",
        ]
        print(" ".join(cells), flush=True)


def drift(bench: Bench, clip: Clip, threshold: float) -> None:
    """Distance to the dense integers' joints in the first and the last third, with carry and without."""
    dense = _from_rest(bench.network(0.0), clip.x).xy.reshape(clip.xy.shape)
    third = max(1, len(clip.x) // 3)
    for carry in (True, False):
        found = bench.network(threshold, carry).video(clip.x).xy
        away = np.linalg.norm(found - dense, axis=-1)
        ends = (slice(third), slice(-third, None))
        first, last = (float(away[part][clip.counts[part]].mean()) for part in ends)
        what = f"drift, {clip.name}, {len(clip.x)} frames, threshold {threshold:g}, carry {carry}"
        apart = f"{first:.2f} px in the first third, {last:.2f} px in the last"
        print(f"{what}: {apart}, PCK {clip.pck(found):.1%}", flush=True)


def main(options: Namespace) -> None:
    """All clips, all thresholds."""
    bench = Bench.of(options.artifact)
    recipe = PoseRecipe.from_dict(bench.artifact.about["source"]["recipe"])
    if bench.artifact.about["source"]["joints"] != list(COCO.joints):
        raise SystemExit(f"{options.artifact}: is not of COCO's 17 joints, which drawn people have")
    asked = {float(text) for text in options.thresholds.split(",")}
    thresholds = sorted(asked | {float(bench.artifact.about["quantisation"]["threshold"])})
    print(f"{describe()}; {options.artifact}; {options.people} people, {options.frames} frames")
    print(HEAD)
    for clip in stills(recipe, options.people, options.frames, options.seed):
        judge(bench, clip, thresholds)
    for clip in films(recipe, options.videos, options.frames, options.seed):
        judge(bench, clip, thresholds)
    slow = next(c for c in stills(recipe, 4, 5 * options.frames, options.seed) if c.name == "still, 1 px")
    for threshold in (0.0, max(thresholds)):
        drift(bench, slow, threshold)


if __name__ == "__main__":
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("artifact", type=Path)
    parser.add_argument("--people", type=int, default=16)
    parser.add_argument("--frames", type=int, default=12)
    parser.add_argument("--videos", type=int, default=4)
    parser.add_argument("--thresholds", default="0,0.1,0.2")
    parser.add_argument("--seed", type=int, default=7)
    main(parser.parse_args())
