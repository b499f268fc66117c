"""The streams of the field: joint, bone, their motion, and concatenations such as joint+bone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from train.data.errors import DataError

STREAMS = ("joint", "bone", "joint-motion", "bone-motion")
COORDINATES = 3


def parse(stream: str) -> tuple[str, ...]:
    """The single streams of a name; '+' joins them, each at most once."""
    parts = tuple(stream.split("+"))
    wrong = [part for part in parts if part not in STREAMS]
    if wrong or len(set(parts)) != len(parts):
        found = f"unknown part {wrong[0]!r}" if wrong else "the same part twice"
        raise DataError(
            f"stream {stream!r}: found {found}; expected {', '.join(STREAMS)}, joined by '+', each once"
        )
    return parts


def channels(stream: str) -> int:
    """Input channels of a stream: three for each part."""
    return COORDINATES * len(parse(stream))


def places(stream: str, within: str) -> tuple[int, ...]:
    """Where the channels of `stream` lie among those of `within`; none where a part of it is not there."""
    parts = parse(within)
    if not set(parse(stream)) <= set(parts):
        return ()
    first = (COORDINATES * parts.index(part) for part in parse(stream))
    return tuple(channel for start in first for channel in range(start, start + COORDINATES))


def bone(joints: NDArray[np.float32], parents: Sequence[int]) -> NDArray[np.float32]:
    """[..., C, V]: child - parent; the root is its own parent, and its bone is zero."""
    return joints - joints[..., list(parents)]


def motion(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """[..., T, C, V]: x[t+1] - x[t]; the last step is zero, and so is the only step of a T of 1."""
    moved = np.zeros_like(x)
    np.subtract(x[..., 1:, :, :], x[..., :-1, :, :], out=moved[..., :-1, :, :])
    return moved


def compose(
    joints: NDArray[np.float32],
    stream: str,
    parents: Sequence[int],
    *,
    seen: NDArray[np.bool_] | None = None,
    bone_gain: float = 1.0,
    motion_gain: float = 1.0,
) -> NDArray[np.float32]:
    """joints: float32 [..., T, C = 3, V] -> float32 [..., T, channels(stream), V], in the order named.

    seen: bool [..., T], whether the person is there (zeros where not): a motion into or out of an
    empty frame is no motion and is zero. Gains multiply the bone streams and the motion streams (both,
    for bone-motion), whose values are smaller than the joints'.
    """
    parts = []
    for part in parse(stream):
        x = bone(joints, parents) * np.float32(bone_gain) if part.startswith("bone") else joints
        if part.endswith("motion"):
            x = motion(x) * np.float32(motion_gain)
            if seen is not None:
                both = seen.copy()
                both[..., :-1] &= seen[..., 1:]
                x *= both[..., None, None]
        parts.append(x)
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=-2)
