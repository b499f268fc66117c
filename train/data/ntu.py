"""The data sets ntu60 and ntu120: NTU RGB+D from a prepared file (`cli.py prepare`), 25 joints, 2 persons.

A clip's joints are a view of the mapped file [2, F, 25, 3]: loading reads the index alone, training the clips
of the batch. Metres as recorded (y up); frames without anybody stay and are zero, as is an absent second
person. view is the camera, subject the performer, setup the setup. What the test of the protocol shows that
training does not decides how validation is held out: xsub subjects, xview performances (all cameras of each),
xset setups.

ntu60 also reads a file prepared as ntu120, and takes the clips of ntu60 in it.
"""

from __future__ import annotations

from pathlib import Path

from train.data.clip import Clip, ClipSet
from train.data.errors import DataError
from train.data.ntu_index import read
from train.data.ntu_name import FAMILIES, NTU60, NTU120, Family, Name, parse

LAYOUT = "ntu25"
SPLITS = ("train", "test", "all")
LENGTH = len("S001C001P001R001A001")
LEFT_OUT = ("bodies left out", "files without anybody", "broken files", "files of the missing list")
"""The kinds of the file's report whose lines stand for something that is not among the clips."""


def load_60(root: Path | None, split: str, *, protocol: str = "xsub") -> ClipSet:
    """The clips (M = 2) of train, test or all of NTU RGB+D 60 under xsub or xview, in the order of names."""
    return _load(NTU60, root, split, protocol)


def load_120(root: Path | None, split: str, *, protocol: str = "xsub") -> ClipSet:
    """The clips (M = 2) of train, test or all of NTU RGB+D 120 under xsub or xset, in the order of names."""
    return _load(NTU120, root, split, protocol)


def _load(family: Family, root: Path | None, split: str, protocol: str) -> ClipSet:
    if root is None:
        raise DataError(f"{family.name}: no path given; pass the file that `cli.py prepare` wrote as --data")
    if split not in SPLITS:
        raise DataError(f"{family.name}: unknown split {split!r}; choose one of {', '.join(SPLITS)}")
    rule = family.protocol(protocol)
    index = read(Path(root))
    if FAMILIES[index.dataset].setups < family.setups:
        raise DataError.of(
            index.path,
            found=f"a file of {index.dataset}",
            expected=f"one prepared as {family.name}",
            do=f"use --dataset {index.dataset}, or prepare it",
        )

    def chosen(name: Name | None) -> bool:
        return (
            name is not None
            and family.holds(name)
            and (split == "all" or rule.trains(name) == (split == "train"))
        )

    clips = [
        Clip(str(name), index.clip(place), name.label, name.performer, name.camera, name.setup, proven=True)
        for place, name in enumerate(index.names)
        if chosen(name)
    ]
    if not clips:
        raise DataError.of(
            index.path,
            found=f"no clip of split {split!r} of {family.name} {protocol}",
            expected="at least one",
            do="choose another protocol, or prepare a folder that has such samples",
        )
    dropped = tuple(
        line for kind in LEFT_OUT for line in index.report.get(kind, ()) if chosen(parse(line[:LENGTH]))
    )
    return ClipSet(family.name, LAYOUT, family.class_names, tuple(clips), dropped, rule.unseen)
