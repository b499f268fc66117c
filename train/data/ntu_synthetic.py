"""Made-up NTU RGB+D `.skeleton` files in the exact format, of train.data.synthetic's figures.

NTU forbids passing on even single files, so these stand in for it: in tests, and for whoever waits for
access. Ten classes (A001 to A008 with one person, A050 and A051 with two), eight performers (half of them of
the training part of X-Sub), three cameras 45 degrees apart that film each performance, setups in turn. What
real files hold is in them too, in turn: a person who is lost and comes back under another id, frames without
bodies, a short ghost, a wide piece of furniture that is taken for a body, a lost joint, a file in which
nobody is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from train.data import synthetic
from train.data.errors import DataError
from train.data.ntu_file import JOINTS, Body, Recording
from train.data.ntu_name import SUFFIX, Family, Name

ACTIONS = (1, 2, 3, 4, 5, 6, 7, 8, 50, 51)
MUTUAL = 50
PERFORMERS = (1, 3, 2, 6, 4, 7, 5, 10)
CAMERAS_DEG = (0.0, 45.0, -45.0)
MOST = 3 * len(ACTIONS) * 2 * len(PERFORMERS)
"""Files until a name would come twice: cameras, actions, performers, replications."""
FIRST_ID = 72057594037900000
"""Kinect's ids are of this size: a float64 cannot tell one from the next."""
EMPTY_EVERY = 50
SWITCH, GHOST, TABLE, LATE = 1, 2, 3, 4
"""What happens in a file: its number modulo 5; 0 is a plain one."""


def write_folder(family: Family, folder: Path, count: int, seed: int = 0) -> tuple[Path, ...]:
    """Write `count` files into the folder, which may not hold any yet; the same arguments, the same bytes."""
    if not 1 <= count <= MOST:
        raise DataError(f"{count} made-up files; expected 1 to {MOST}")
    if folder.is_dir() and any(folder.iterdir()):
        raise DataError.of(folder, found="files", expected="an empty folder", do="choose another folder")
    takes = -(-count // (3 * len(ACTIONS)))
    stock = synthetic.load("train", seed=seed, train_per_class=2 * takes)
    by_label = [[c.joints[0] for c in stock.clips if c.label == label] for label in range(len(ACTIONS))]
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number in range(count):
        performance, camera = divmod(number, 3)
        take, action = divmod(performance, len(ACTIONS))
        name = Name(
            setup=1 + take % family.setups,
            camera=1 + camera,
            performer=PERFORMERS[take % len(PERFORMERS)],
            replication=1 + take // len(PERFORMERS),
            action=ACTIONS[action],
        )
        people = [by_label[action][take]]
        if ACTIONS[action] >= MUTUAL:
            people.append(by_label[action][takes + take])
        made = recording([_seen(ntu25(j), CAMERAS_DEG[camera]) for j in people], number, seed)
        path = folder / f"{name}{SUFFIX}"
        path.write_bytes(text(made))
        paths.append(path)
    return tuple(paths)


def ntu25(joints: NDArray[np.float32]) -> NDArray[np.float32]:
    """[F, 20, 3] in Kinect v1's order -> [F, 25, 3] in Kinect v2's: neck, hand tips and thumbs are added."""
    out = np.empty((len(joints), JOINTS, 3), np.float32)
    out[:, :20] = joints
    out[:, 2] = 0.6 * joints[:, 2] + 0.4 * joints[:, 3]
    out[:, 20] = joints[:, 2]
    for wrist, hand, tip in ((6, 7, 21), (10, 11, 23)):
        along = joints[:, hand] - joints[:, wrist]
        out[:, tip] = joints[:, hand] + 0.9 * along
        out[:, tip + 1] = joints[:, hand] + 0.5 * along[:, [1, 0, 2]]
    return out


def _seen(joints: NDArray[np.float32], degrees: float) -> NDArray[np.float32]:
    """The same, turned about the vertical through a point three metres ahead: another camera's view."""
    cosine, sine = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    turn = np.array([[cosine, 0.0, sine], [0.0, 1.0, 0.0], [-sine, 0.0, cosine]])
    centre = np.array([0.0, 0.0, 3.0])
    return np.round((joints - centre) @ turn.T + centre, 4).astype(np.float32)


def recording(people: Sequence[NDArray[np.float32]], number: int, seed: int = 0) -> Recording:
    """A file's bodies of these people [F, 25, 3], with what happens in the file of this number."""
    frames = min(len(joints) for joints in people)
    if number % EMPTY_EVERY == EMPTY_EVERY - 1:
        return Recording(frames, ())
    kind = number % 5
    ids = iter(range(FIRST_ID + 16 * number, FIRST_ID + 16 * (number + 1)))
    bodies = []
    for place, joints in enumerate(people):
        shown = joints[:frames] + np.float32([1.2 * place, 0.0, 0.0])
        half = frames // 2
        pieces = [range(half), range(half + 1, frames)] if kind == SWITCH else [range(frames)]
        if kind == LATE:
            pieces = [range(3, frames)]
        bodies += [_body(next(ids), piece, shown) for piece in pieces]
    generator = np.random.default_rng([seed, number])
    if kind == GHOST:
        ghost = people[0][:frames] + np.float32([-1.5, 0.0, 0.5])
        bodies.append(_body(next(ids), range(4, 10), ghost))
    if kind == TABLE:
        flat = generator.uniform((0.6, -0.7, 3.2), (2.4, -0.3, 3.8), (1, JOINTS, 3))
        bodies.append(_body(next(ids), range(frames), np.repeat(flat, frames, axis=0).astype(np.float32)))
    return Recording(frames, tuple(bodies))


def _body(number: int, frames: range, joints: NDArray[np.float32]) -> Body:
    """A body that is there in these frames; its left hand tip is lost in the second of them."""
    shown = joints[list(frames)].copy()
    states = np.full(shown.shape[:2], 2, np.uint8)
    states[:, 21:] = 1
    if len(shown) > 2:
        shown[1, 21], states[1, 21] = 0.0, 0
    return Body(str(number), np.array(frames, np.int64), shown, states)


@dataclass(frozen=True, slots=True)
class _Lines:
    """The lines of a body in each of its frames."""

    body: Body
    lines: tuple[str, ...]


def text(made: Recording, end: str = "\r\n") -> bytes:
    """The bytes of a .skeleton file: what train.data.ntu_file.read reads back, bit for bit."""
    written = [_Lines(body, tuple(_joint_lines(body, end))) for body in made.bodies]
    parts = [str(made.frames)]
    for frame in range(made.frames):
        here = [(item, np.flatnonzero(item.body.frames == frame)) for item in written]
        here = [(item, at[0]) for item, at in here if len(at)]
        parts.append(str(len(here)))
        for item, at in here:
            parts += [f"{item.body.id} 0 1 1 1 1 0 0.02764709 0.05745083 2", str(JOINTS), item.lines[at]]
    return (end.join(parts) + end).encode()


def _joint_lines(body: Body, end: str) -> list[str]:
    """For each frame of the body the 25 lines of its joints, joined. Pixels are those of a pinhole camera."""
    x, y, z = (body.joints[..., axis] for axis in range(3))
    depth = np.where(z > 0, z, 1.0)
    u, v = 256.0 + 366.0 * x / depth, 212.0 - 366.0 * y / depth
    turn = np.broadcast_to(np.float32([0.1, 0.2, 0.3, 0.9273618]), (*x.shape, 4))
    fields = np.concatenate(
        [body.joints, np.stack([u, v, 960 + 2.9 * (u - 256), 540 + 2.9 * (v - 212)], -1), turn], -1
    )
    # float32's own shortest text: reading it gives the same bits again
    texts = fields.astype(np.float32).astype(np.str_)
    return [
        end.join(" ".join((*joint, str(state))) for joint, state in zip(rows, states, strict=True))
        for rows, states in zip(texts.tolist(), body.states.tolist(), strict=True)
    ]
