"""The pose data sets by name: the one list."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from train.data.errors import DataError
from train.pose.data import coco, crowdpose, lspet, mpii, posetrack18, synthetic_people
from train.pose.data.person import PoseSet, hold_out

SPLITS = ("train", "validation", "test", "all")


@dataclass(frozen=True, slots=True)
class Source:
    """A data set: how it is loaded, what it is, how to point at it, and whether it lies in files."""

    load: Callable[..., PoseSet]
    what: str
    how: str
    files: bool = True


_FILES = "options annotations=FILE, images=DIR (under --data), check=true"
SOURCES: dict[str, Source] = {
    synthetic_people.NAME: Source(
        synthetic_people.load,
        "drawn people with true joints, COCO's 17, one to four a picture of 320x240",
        "no --data; options seed, train, test (pictures)",
        files=False,
    ),
    lspet.NAME: Source(
        lspet.load,
        "LSPET, 14 joints, one person an image: images 1..2000 train, 2001..2500 test",
        "--data: the folder with joints.mat and images/; options boxes (joints or image), check=true",
    ),
    coco.NAME: Source(
        coco.load,
        "COCO keypoints, 17 joints: train2017 train, val2017 test",
        f"--data: the folder with annotations/, train2017/ and val2017/; {_FILES}",
    ),
    mpii.NAME: Source(
        mpii.load,
        "MPII in HRNet's JSON, 16 joints: train.json train, valid.json test",
        f"--data: the folder with annotations/ and images/; {_FILES}",
    ),
    crowdpose.NAME: Source(
        crowdpose.load,
        "CrowdPose, 14 joints: crowdpose_train.json train, crowdpose_test.json test",
        f"--data: the folder with json/ and images/; {_FILES}",
    ),
    posetrack18.NAME: Source(
        posetrack18.load,
        "PoseTrack18, 17 joints (ears never annotated): annotations/train train, annotations/val test",
        "--data: the folder with annotations/ and images/; options annotations=DIR or FILE, check=true",
    ),
}


def names() -> tuple[str, ...]:
    """The names of all pose data sets."""
    return tuple(SOURCES)


def describe() -> list[tuple[str, str, str]]:
    """(name, what it is, how to point at it) of each pose data set."""
    return [(name, source.what, source.how) for name, source in SOURCES.items()]


def defaults(name: str) -> dict[str, object]:
    """The options of a data set and what they are where nothing is said; empty for an unknown name."""
    return _options(SOURCES[name].load) if name in SOURCES else {}


def _options(load: Callable[..., PoseSet]) -> dict[str, object]:
    found = inspect.signature(load).parameters.values()
    return {p.name: p.default for p in found if p.kind is inspect.Parameter.KEYWORD_ONLY}


def load(name: str, root: Path | None, split: str, *, train_limit: int = 0, **options: object) -> PoseSet:
    """The people of a split; options are the keyword arguments of the data set's own load.

    "validation" is what training holds out of "train". train_limit: only so many people of the training
    split, evenly spread; the test split stays whole.
    """
    if name not in SOURCES:
        raise DataError(f"unknown pose data set {name!r}; expected one of {', '.join(SOURCES)}")
    source = SOURCES[name]
    _check(name, source.load, options)
    if type(train_limit) is not int or train_limit < 0:
        raise DataError(f"{name}: option train_limit is {train_limit!r}; expected a number of people")
    if not source.files and root is not None:
        raise DataError(f"{name}: found --data {root}; expected none, the data is generated")
    given = () if not source.files else (None if root is None else Path(root),)
    if split not in ("train", "validation"):
        return source.load(*given, split, **options)
    found = source.load(*given, "train", **options)
    found = found.spread(train_limit) if train_limit else found
    return found if split == "train" else hold_out(found)[1]


def _check(name: str, load: Callable[..., PoseSet], options: dict[str, object]) -> None:
    """Options must be known, and of the type of their defaults."""
    known = _options(load)
    if odd := sorted(set(options) - set(known)):
        raise DataError(f"{name}: unknown option {', '.join(odd)}; expected {', '.join(known) or 'none'}")
    for option, value in options.items():
        if type(value) is not type(known[option]):
            kind = type(known[option]).__name__
            raise DataError(f"{name}: option {option} is {value!r}; expected {kind}, like {known[option]!r}")
