"""The data sets by name: the one list."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from train.data import ctrgcn_npz, ntu, nw_ucla, pyskl, synthetic
from train.data.clip import ClipSet
from train.data.errors import DataError
from train.data.ntu_name import NTU60, NTU120


@dataclass(frozen=True, slots=True)
class Source:
    """A data set: how it is loaded, what it is, how to point at it, and whether it lies in files.

    listed: loads the clips without their joints; None where `load` maps them, or has to read the file whole.
    """

    load: Callable[..., ClipSet]
    what: str
    how: str
    files: bool = True
    listed: Callable[..., ClipSet] | None = None


SOURCES: dict[str, Source] = {
    nw_ucla.NAME: Source(
        nw_ucla.load,
        "NW-UCLA, 10 actions, 10 subjects, Kinect v1, cross-view: train views 1 and 2, test view 3",
        "--data: the folder of JSON files, or all_sqe.tar.gz, or the folder that holds it; option labels "
        "(published or mended)",
        listed=nw_ucla.listed,
    ),
    synthetic.NAME: Source(
        synthetic.load,
        f"kinematic actions of our own making: {len(synthetic.CLASS_NAMES)} classes, 10 subjects, "
        "Kinect v1 joints, cross-subject",
        "no --data; options seed, train_per_class, test_per_class, flat",
        files=False,
        listed=synthetic.listed,
    ),
    NTU60.name: Source(
        ntu.load_60,
        "NTU RGB+D 60 from raw .skeleton files: 60 actions, 40 subjects, Kinect v2, 3 cameras",
        "--data: the file that `cli.py prepare` makes of the raw folder; option protocol (xsub or xview)",
    ),
    NTU120.name: Source(
        ntu.load_120,
        "NTU RGB+D 120 from raw .skeleton files: 120 actions, 106 subjects, Kinect v2, 32 setups",
        "--data: the file that `cli.py prepare` makes of the raw folder; option protocol (xsub or xset)",
    ),
    ctrgcn_npz.NAME: Source(
        ctrgcn_npz.load,
        "NTU RGB+D in CTR-GCN's interchange format, 25 joints, 2 persons",
        "--data: the .npz with x_train, y_train, x_test, y_test",
    ),
    pyskl.NAME: Source(
        pyskl.load,
        "3-D skeletons in PYSKL's / mmaction2's pickle format, 25 or 20 joints",
        "--data: the .pkl; split train, test or a name in the file; options protocol (xsub), persons",
    ),
}


def names() -> tuple[str, ...]:
    """The names of all data sets."""
    return tuple(SOURCES)


def describe() -> list[tuple[str, str, str]]:
    """(name, what it is, how to point at it) of each data set."""
    return [(name, source.what, source.how) for name, source in SOURCES.items()]


def defaults(name: str) -> dict[str, object]:
    """The options of a data set and what they are where nothing is said; empty for an unknown name."""
    found = inspect.signature(SOURCES[name].load).parameters.values() if name in SOURCES else ()
    return {p.name: p.default for p in found if p.kind is inspect.Parameter.KEYWORD_ONLY}


def load(name: str, root: Path | None, split: str, **options: object) -> ClipSet:
    """The clips of one split; options are the keyword arguments of the data set's own load."""
    source = _checked(name, root, options)
    return _call(source.load, source, root, split, options)


def listed(name: str, root: Path | None, split: str, **options: object) -> ClipSet:
    """The same clips, whose joints are read when they are asked for, where the format allows it."""
    source = _checked(name, root, options)
    return _call(source.listed or source.load, source, root, split, options)


def _checked(name: str, root: Path | None, options: Mapping[str, object]) -> Source:
    """The data set, if it has such options; DataError where not."""
    if name not in SOURCES:
        raise DataError(f"unknown data set {name!r}; expected one of {', '.join(SOURCES)}")
    source = SOURCES[name]
    parameters = inspect.signature(source.load).parameters.values()
    known = [p.name for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY]
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise DataError(f"{name}: unknown option {', '.join(unknown)}; expected {', '.join(known) or 'none'}")
    for p in parameters:
        given = options.get(p.name, p.default)
        if isinstance(p.default, int) and type(given) is not type(p.default):
            wanted = "true or false" if isinstance(p.default, bool) else "a whole number"
            raise DataError(f"{name}: option {p.name} is {given!r}; expected {wanted}")
    if not source.files and root is not None:
        raise DataError(f"{name}: found --data {root}; expected none, the data is generated")
    return source


def _call(
    load: Callable[..., ClipSet], source: Source, root: Path | None, split: str, options: Mapping[str, object]
) -> ClipSet:
    if not source.files:
        return load(split, **options)
    return load(None if root is None else Path(root), split, **options)
