"""Skeletons, identities and words on a frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from deploy.pose.joints import plain
from deploy.pose.people import Person, extent

Colour = tuple[int, int, int]

# BGR; far from one another on light and dark ground, beginning again after ten tracks.
COLOURS: tuple[Colour, ...] = (
    (66, 186, 255), (255, 178, 56), (120, 220, 90), (180, 105, 255), (90, 230, 240),
    (255, 120, 150), (80, 130, 255), (220, 210, 70), (190, 190, 190), (60, 200, 170),
)  # fmt: skip
INK, PAPER, PALE = (24, 22, 20), (250, 250, 250), (200, 196, 190)
FONT = cv2.FONT_HERSHEY_DUPLEX
LEAST_WIDTH = 960  # of a rendered frame: words must be legible on a small video too
FACE, _FACE = 0.5, frozenset(("nose", "left_eye", "right_eye", "left_ear", "right_ear"))
"""Joints of the face are drawn smaller by this, or they hide it."""
LIMBS = (
    ("left_shoulder", "right_shoulder"), ("left_hip", "right_hip"), ("left_shoulder", "left_hip"),
    ("right_shoulder", "right_hip"), ("left_shoulder", "left_elbow"), ("left_elbow", "left_wrist"),
    ("right_shoulder", "right_elbow"), ("right_elbow", "right_wrist"), ("left_hip", "left_knee"),
    ("left_knee", "left_ankle"), ("right_hip", "right_knee"), ("right_knee", "right_ankle"),
    ("nose", "left_eye"), ("nose", "right_eye"), ("left_eye", "left_ear"), ("right_eye", "right_ear"),
    ("neck", "head_top"), ("neck", "head"), ("neck", "nose"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Label:
    """What stands over a person: its first line, and a smaller second one ('' for none)."""

    title: str
    detail: str


class Painter:
    """Paints frames of one video. joints: names in order; size: (width, height) of the frames."""

    def __init__(self, joints: Sequence[str], size: tuple[int, int]) -> None:
        place = {plain(name): k for k, name in enumerate(joints)}
        self._limbs = [(place[a], place[b]) for a, b in LIMBS if a in place and b in place]
        self._sizes = np.array([FACE if plain(name) in _FACE else 1.0 for name in joints])
        self.scale = max(1, -(-LEAST_WIDTH // size[0]))
        self._unit = self.scale * size[0] / LEAST_WIDTH  # grows with frames that are wide of themselves
        self._foot = round(62 * self._unit)
        width, height = self.scale * size[0], self.scale * size[1] + self._foot
        self.size = (width + width % 2, height + height % 2)  # encoders want even sides

    def frame(
        self, image: np.ndarray, people: Sequence[tuple[Person, Label]], footer: Sequence[str]
    ) -> np.ndarray:
        """uint8 [H', W', 3], BGR: the frame enlarged, its people, and up to two lines below."""
        height, width = image.shape[:2]
        canvas = np.full((self.size[1], self.size[0], 3), INK, np.uint8)
        wide = (self.scale * width, self.scale * height)
        canvas[: wide[1], : wide[0]] = cv2.resize(image, wide, interpolation=cv2.INTER_CUBIC)
        for person, _ in people:
            self._skeleton(canvas, person)
        taken: list[tuple[int, int, int, int]] = []
        for person, label in sorted(people, key=lambda one: _top(one[0])):
            self._label(canvas, person, label, wide, taken)
        for line, text in enumerate(footer[:2]):
            at = (round(14 * self._unit), wide[1] + round((25 + 25 * line) * self._unit))
            self._write(canvas, text, at, 0.56, PAPER if line == 0 else PALE)
        return canvas

    def _skeleton(self, canvas: np.ndarray, person: Person) -> None:
        colour = colour_of(person.track_id)
        points = np.rint((person.keypoints + 0.5) * self.scale * 16).astype(int)  # sixteenths of a pixel
        limbs = [(points[a], points[b]) for a, b in self._limbs if person.there[a] and person.there[b]]
        for thick, ink in ((6.5, INK), (3.2, colour)):
            for a, b in limbs:
                cv2.line(canvas, tuple(a), tuple(b), ink, max(1, round(thick * self._unit)), cv2.LINE_AA, 4)
        for point, share in zip(points[person.there], self._sizes[person.there], strict=True):
            for radius, ink in ((5.0 * share, INK), (3.4 * share, PAPER)):
                cv2.circle(canvas, tuple(point), round(16 * radius * self._unit), ink, -1, cv2.LINE_AA, 4)

    def _label(
        self, canvas: np.ndarray, person: Person, label: Label, wide: tuple[int, int], taken: list
    ) -> None:
        """A plate over the head, within the frame, moved up or down past the plates there are."""
        box = extent(person)
        if box is None:
            return
        lines = [(label.title, 0.62), *([(label.detail, 0.48)] if label.detail else [])]
        pad, step = round(6 * self._unit), round(21 * self._unit)
        width = max(self._width(text, size) for text, size in lines) + 2 * pad
        height = step * len(lines) + pad
        x = int(np.clip((box[0] + box[2] / 2) * self.scale - width / 2, 0, max(wide[0] - width, 0)))
        y = int(np.clip(_top(person) * self.scale - height - 12 * self._unit, 0, max(wide[1] - height, 0)))
        x, y = _free((x, y, width, height), taken, wide[1])
        taken.append((x, y, width, height))
        plate = canvas[y : y + height, x : x + width]
        plate[:] = (0.25 * plate + 0.75 * np.array(INK)).astype(np.uint8)
        colour = colour_of(person.track_id)
        cv2.rectangle(canvas, (x, y), (x + max(2, round(3 * self._unit)), y + height - 1), colour, -1)
        for n, (text, size) in enumerate(lines):
            at = (x + pad + round(3 * self._unit), y + step * (n + 1) - round(4 * self._unit))
            self._write(canvas, text, at, size, colour if n == 0 else PALE)

    def _write(self, canvas: np.ndarray, text: str, at: tuple[int, int], size: float, colour: Colour) -> None:
        cv2.putText(canvas, text, at, FONT, size * self._unit, colour, max(1, round(self._unit)), cv2.LINE_AA)

    def _width(self, text: str, size: float) -> int:
        return cv2.getTextSize(text, FONT, size * self._unit, max(1, round(self._unit)))[0][0] + round(
            3 * self._unit
        )


def colour_of(track: int | None) -> Colour:
    """BGR of a track; grey without one."""
    return PALE if track is None else COLOURS[track % len(COLOURS)]


def _top(person: Person) -> float:
    """Where the person begins, in pixels: its highest joint, else its box."""
    points = person.keypoints[person.there]
    box = extent(person)
    return float(points[:, 1].min()) if len(points) else float(box[1]) if box is not None else 0.0


def _free(
    plate: tuple[int, int, int, int], taken: Sequence[tuple[int, int, int, int]], bottom: int
) -> tuple[int, int]:
    """The place (x, y) nearest to the plate's own, up or down, that covers no other plate."""
    x, y, width, height = plate
    inside = [other for other in taken if other[0] < x + width and x < other[0] + other[2]]
    tries = sorted(
        {y, *(o[1] - height - 1 for o in inside), *(o[1] + o[3] + 1 for o in inside)},
        key=lambda t: abs(t - y),
    )
    for place in tries:
        clear = all(place + height <= o[1] or place >= o[1] + o[3] for o in inside)
        if clear and 0 <= place <= bottom - height:
            return x, place
    return x, y


def strip(frames: Sequence[np.ndarray], columns: int = 3) -> np.ndarray:
    """Frames of one size as one picture, row by row; the rest of the last row is dark."""
    height, width = frames[0].shape[:2]
    columns = min(columns, len(frames))
    rows = -(-len(frames) // columns)
    picture = np.full((rows * height, columns * width, 3), INK, np.uint8)
    for n, frame in enumerate(frames):
        row, column = divmod(n, columns)
        picture[row * height : (row + 1) * height, column * width : (column + 1) * width] = frame
    return picture
