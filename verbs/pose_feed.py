"""What `simulate`, `verify` and `energy-report` show a pose network: clips of a few frames, or of one.

A clip is a sample, and begins from rest; of a network that holds nothing from frame to frame it is one image.
Of people it is one person in the annotated box, whose picture moves by a pixel a frame until it stands, in
the last one, where its joints are known. Of a video it is frames that follow one another, seen whole: as wide
as the input, its pixels cropped and small in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import click
import numpy as np

from convert.artifact import POSE, SIGMA_DELTA, Artifact
from convert.ir import BadInput
from train.pose.data.person import PoseSet
from train.pose.recipe import PoseRecipe
from verbs.feed import Feed, load_feed
from verbs.options import OF_PEOPLE, OF_VIDEO, VIDEO
from verbs.pose_run import load_people

STEP = 1  # pixels of the input a frame that a person moves by
TOGETHER = 32  # frames at work at once: every message of every one of them is in memory


def moved(x: np.ndarray, way: int) -> np.ndarray:
    """x [N, 3, H, W] -> [way + 1, N, 3, H, W]: pictures that move left, a pixel a frame, until they are x.

    What goes out on one side comes in on the other (np.roll): no pixel is resampled, and no edge appears that
    is in none of the pictures. Where the joints are is known of the last frame alone.
    """
    return np.stack([np.roll(x, STEP * k, axis=-1) for k in range(way, -1, -1)])


class Clips(Protocol):
    """Clips of `frames` frames each. name: of the data set or file."""

    name: str
    ids: tuple[str, ...]
    frames: int

    def cut(self, places: range) -> np.ndarray:
        """[T, len(places), 3, H, W] float32."""
        ...

    def back(self, places: range, xy: np.ndarray) -> np.ndarray:
        """Joints of the input [T, len(places), K, 2] -> pixel indices of the images."""
        ...


@dataclass(frozen=True, eq=False)
class PeopleClips:
    """A person a clip."""

    people: PoseSet
    recipe: PoseRecipe
    frames: int

    @property
    def name(self) -> str:
        """Of the data set."""
        return self.people.name

    @property
    def ids(self) -> tuple[str, ...]:
        """The annotations' ids."""
        return tuple(str(person.id) for person in self.people.people)

    def cut(self, places: range) -> np.ndarray:
        """See Clips."""
        from train.pose.crops import plain

        return moved(plain(self._at(places), self.recipe)[0], self.frames - 1)

    def back(self, places: range, xy: np.ndarray) -> np.ndarray:
        """See Clips; of frames before the last, where the joints would be if the image had moved."""
        from train.pose import affine
        from train.pose.crops import back, region

        regions = np.stack([region(person, self.recipe) for person in self._at(places)])
        return back(xy, affine.to_input(regions, self.recipe.size, self.recipe.pixels), self.recipe)

    def _at(self, places: range) -> tuple[Any, ...]:
        return self.people.people[places.start : places.stop]


@dataclass(frozen=True, eq=False)
class VideoClips:
    """Consecutive frames a clip. pictures: uint8 [F, H, W, 3] as the network sees them; starts: first frame
    of each clip; matrix: [2, 3], image to input."""

    name: str
    pictures: np.ndarray
    starts: tuple[int, ...]
    frames: int
    matrix: np.ndarray
    recipe: PoseRecipe

    @property
    def ids(self) -> tuple[str, ...]:
        """First and last frame, or the only one."""
        if self.frames == 1:
            return tuple(map(str, self.starts))
        return tuple(f"{start}-{start + self.frames - 1}" for start in self.starts)

    def cut(self, places: range) -> np.ndarray:
        """See Clips."""
        from train.pose.crops import normalised

        clips = [normalised(self.pictures[self.starts[k] :][: self.frames]) for k in places]
        return np.stack(clips, axis=1)

    def back(self, places: range, xy: np.ndarray) -> np.ndarray:
        """See Clips."""
        from train.pose.crops import back

        return back(xy, self.matrix, self.recipe)


@dataclass(frozen=True, eq=False)
class PosePart:
    """Some samples. x: every clip's frames [T, 1, 3, H, W], one clip at a time."""

    x: Iterator[np.ndarray]


@dataclass(frozen=True, eq=False)
class PoseSamples:
    """Clips as verbs know samples: ids; nobody has a class."""

    clips: Clips

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def ids(self) -> tuple[str, ...]:
        """One a clip."""
        return self.clips.ids

    @property
    def labels(self) -> np.ndarray:
        """None."""
        return np.zeros(0, np.int64)

    def part(self, start: int, size: int) -> PosePart:
        """`size` samples from `start` on."""
        places = range(start, min(start + size, len(self)))
        return PosePart(self.clips.cut(range(k, k + 1)) for k in places)


@dataclass(frozen=True, eq=False)
class PoseFeed:
    """Clips as verbs feed them: a row a clip."""

    samples: PoseSamples
    class_names: tuple[str, ...] = ()

    @property
    def clips(self) -> Clips:
        """What is behind."""
        return self.samples.clips

    @property
    def size(self) -> int:
        """Clips that fit into memory together, with every message of theirs."""
        return max(1, TOGETHER // self.clips.frames)

    def held(self) -> PoseFeed:
        """Itself: pictures are read again each time."""
        return self

    def batches(self, size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """(indices of the samples, x float32 [T, rows, 3, H, W]), `size` samples a time."""
        return (self.batch(start, size) for start in range(0, len(self.samples), size))

    def batch(self, start: int, size: int) -> tuple[np.ndarray, np.ndarray]:
        """The same of the samples from `start` on alone."""
        places = range(start, min(start + size, len(self.samples)))
        return np.arange(places.start, places.stop), self.clips.cut(places)


def open_feed(
    opened: Artifact, dataset: str | None, data: Path | None, split: str, limit: int | None, clip: int | None
) -> Feed | PoseFeed:
    """What an artifact runs on: clips of poses where it is of kind sdnn, else samples with classes."""
    if opened.kind == SIGMA_DELTA:
        return pose_feed(opened, dataset, data, split, limit, clip)
    refuse_clip(opened, clip)
    return load_feed(opened.about["source"], dataset, data, split, limit)


def counted_feed(
    opened: Artifact, dataset: str | None, data: Path | None, split: str, limit: int | None, clip: int | None
) -> Feed | PoseFeed:
    """What `energy-report` runs on: as above, and single images where an artifact is of kind pose."""
    if opened.kind != POSE:
        return open_feed(opened, dataset, data, split, limit, clip)
    refuse_clip(opened, clip)
    return pose_feed(opened, dataset, data, split, limit, 1)


def refuse_clip(opened: Artifact, clip: int | None) -> None:
    """A usage error for --clip beside an artifact that takes samples as they are."""
    if clip is not None:
        raise click.UsageError(
            f"--clip: {opened.path} is of kind {opened.kind}: its samples have their length; leave it out"
        )


def pose_feed(
    opened: Artifact, dataset: str | None, data: Path | None, split: str, limit: int | None, clip: int | None
) -> PoseFeed:
    """Clips of a data set of people, by default that of the training, or of a video."""
    about = opened.about["source"]
    recipe = PoseRecipe.from_dict(about["recipe"])
    if dataset == VIDEO or (dataset is None and data is not None and data.is_file()):
        if data is None:
            raise click.UsageError(f"--dataset {VIDEO} needs --data: a video, or a folder of frames")
        return PoseFeed(PoseSamples(_video(data, recipe, clip or OF_VIDEO, limit)))
    people = load_people(about, dataset, data, split, limit)
    if not len(people):
        raise BadInput(f"{people.name} ({split}): holds no people; nothing to run")
    return PoseFeed(PoseSamples(PeopleClips(people, recipe, clip or OF_PEOPLE)))


def _video(path: Path, recipe: PoseRecipe, frames: int, limit: int | None) -> VideoClips:
    """A video cut into clips; frames at the end that make no whole clip are left out, and said."""
    from deploy.pose.footage import open_footage
    from train.pose import affine

    pictures, matrix = [], np.zeros((2, 3))
    for shot in open_footage(path):
        if not pictures:
            height, width = shot.image.shape[:2]
            whole = affine.region(np.array([0.0, 0.0, width, height]), recipe.size, 1.0)
            matrix = affine.to_input(whole, recipe.size, recipe.pixels)
        rgb = np.ascontiguousarray(shot.image[..., ::-1])
        pictures.append(affine.warp(rgb, matrix, recipe.size, recipe.pixels))
    each = min(frames, len(pictures))
    starts = range(0, len(pictures) - each + 1, each)
    if left := len(pictures) % each:
        click.echo(
            f"{path}: the last {left} of {len(pictures)} frames make no clip of {each}: left out", err=True
        )
    if limit is not None and limit < len(starts):
        starts = [starts[k * len(starts) // limit] for k in range(limit)]
    return VideoClips(path.name, np.stack(pictures), tuple(starts), each, matrix, recipe)
