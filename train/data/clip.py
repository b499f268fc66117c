"""A clip of moving skeletons, and the set of clips that a loader returns."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from train.data.errors import DataError
from train.skeletons import layout as layout_of

UNKNOWN_SUBJECT = -1
"""Subject of a clip whose format does not name the performer."""

COORDINATES = 3

_VIEW = re.compile(r"_v\d+$|(?<=^S\d{3})C\d{3}(?=P\d{3}R\d{3}A\d{3}$)")
"""The part of an id that names the view: `_v01` at the end, or the camera in an NTU name."""


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Clip:
    """joints: float32 [M persons, F frames, V joints, C = x, y, z], metres, y up unless the loader says so;
    of a clip that is only listed, what reads them (`read`).

    A person who is absent in a frame has zeros in all its joints there; every value is finite.
    label counts from 0; subject is the performer's number, or -1 where the format names none;
    view is the camera's number, or None where the set has a single one; setup the number of the place where
    cameras and stage stood, or None where the set does not say. proven says that whoever wrote the joints saw
    that they are finite: joints that lie in a mapped file are then not read before they are used.
    """

    id: str
    joints: NDArray[np.float32] | Callable[[], NDArray[np.float32]]
    label: int
    subject: int
    view: int | None = None
    setup: int | None = None
    proven: bool = False

    def __post_init__(self) -> None:
        if self.listed:
            return  # looked at when they are read
        shape = np.shape(self.joints)
        if len(shape) != 4 or shape[3] != COORDINATES or 0 in shape:
            raise DataError.of(
                f"clip {self.id}",
                found=f"joints of shape {shape}",
                expected="[persons, frames, joints, 3], none of them empty",
                do="check the file that it was read from",
            )
        if self.joints.dtype != np.float32:
            raise DataError.of(
                f"clip {self.id}",
                found=f"joints of type {self.joints.dtype}",
                expected="float32",
                do="convert where the file is read",
            )
        if not self.proven and not np.isfinite(self.joints).all():
            raise DataError.of(
                f"clip {self.id}",
                found="NaN or infinity among the joints",
                expected="finite coordinates",
                do="repair or remove the sequence",
            )

    @property
    def listed(self) -> bool:
        """Whether the joints are still to be read."""
        return callable(self.joints)

    def read(self) -> Clip:
        """The clip with its joints, checked; itself where it has them. A listed one keeps nothing of it."""
        return replace(self, joints=self.joints()) if callable(self.joints) else self

    @property
    def performance(self) -> str:
        """What was performed once and filmed from every view: the id without its view (`_v01`, `C002`)."""
        return self.id if self.view is None else _VIEW.sub("", self.id)


@dataclass(frozen=True, slots=True, eq=False)
class ClipSet:
    """One split of one data set: its clips in file order, all read or all listed, and what was left out.

    layout is a name of train.skeletons; class_names[k] belongs to label k.
    dropped holds one line "id: reason" for each thing that was read and is not among the clips.
    unseen says what the test of this split shows that training does not: "subjects", "views" or "setups";
    empty where the set does not say (train.data.split then looks at the clips).
    """

    name: str
    layout: str
    class_names: tuple[str, ...]
    clips: tuple[Clip, ...]
    dropped: tuple[str, ...] = ()
    unseen: str = ""

    def __post_init__(self) -> None:
        if not self.clips:
            raise DataError.of(
                self.name,
                found="no clip",
                expected="at least one",
                do="check the split and the path",
            )
        joints = len(layout_of(self.layout).joints)
        first = self.clips[0]
        for clip in self.clips:
            if not first.listed:
                self._check(clip, first.joints.shape[0], joints)
            self._check_label(clip)
        twice = [name for name, count in Counter(c.id for c in self.clips).items() if count > 1]
        if twice:
            raise DataError.of(
                self.name,
                found=f"the id {twice[0]} more than once",
                expected="one clip an id",
                do="remove the copies",
            )

    def read(self) -> ClipSet:
        """The set with the joints of every clip in memory."""
        return replace(self, clips=tuple(clip.read() for clip in self.clips))

    def _check(self, clip: Clip, persons: int, joints: int) -> None:
        """Refuse a clip that does not fit the set's layout or persons."""
        found_persons, _, found_joints, _ = clip.joints.shape
        if (found_persons, found_joints) != (persons, joints):
            raise DataError.of(
                f"{self.name}: clip {clip.id}",
                found=f"{found_persons} persons of {found_joints} joints",
                expected=f"{persons} of {joints} (layout {self.layout})",
                do="load it with the layout that it was recorded in",
            )

    def _check_label(self, clip: Clip) -> None:
        """Refuse a clip of no class."""
        if not 0 <= clip.label < len(self.class_names):
            raise DataError.of(
                f"{self.name}: clip {clip.id}",
                found=f"label {clip.label}",
                expected=f"0..{len(self.class_names) - 1}",
                do="check the class list",
            )
