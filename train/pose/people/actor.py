"""One person: painted, and looked for in the finished picture."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from train.pose.people.body import Body, Build, Part, body
from train.pose.people.camera import Camera
from train.pose.people.canvas import Canvas, Cloth, hull
from train.pose.people.frame import ABSENT, HIDDEN, LEAST_PIXELS, LEAST_SHARE, VISIBLE, Seen
from train.pose.people.wardrobe import Outfit, plain

Points = NDArray[np.float64]
PARTS = 64
"""Owner numbers of one person: its parts."""
_FACE = frozenset(range(5))
_DARK = np.array([25.0, 20.0, 20.0], np.float32)


class Stroke(NamedTuple):
    """A hull to be painted; nearer: metres by which it is taken to be nearer, where it lies on others."""

    part: Part
    cloth: Cloth
    nearer: float


@dataclass(slots=True, eq=False)
class Actor:
    """A person at one moment. joints: [20, 3] in the world; number: 1 and up, within the picture."""

    number: int
    joints: Points
    build: Build
    outfit: Outfit
    action: str
    body: Body = field(init=False)
    shown: dict[int, frozenset[int]] = field(init=False, default_factory=dict)
    outlines: list[Points] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self.body = body(self.joints, self.build)

    def depth(self, camera: Camera) -> float:
        """Of the trunk: what people are ordered by."""
        return float(camera.depth(self.joints[[0, 1, 2]]).mean())

    def paint(self, canvas: Canvas, camera: Camera, light: Points) -> None:
        """Far parts first."""
        strokes = [*self._strokes(), *self._head(camera)]
        ends = np.cumsum([len(stroke.part.centres) for stroke in strokes])[:-1]
        flat, ahead = camera.look(np.concatenate([stroke.part.centres for stroke in strokes]))
        seen = list(zip(strokes, np.split(flat, ends), np.split(ahead, ends), strict=True))
        seen.sort(key=lambda one: one[0].nearer - float(one[2].mean()))
        for index, (stroke, centres, depths) in enumerate(seen):
            code = self.number * PARTS + index
            outline = hull(centres, np.maximum(stroke.part.radii * (camera.focal / depths), 0.6))
            canvas.paint(outline, stroke.cloth, code, light, centres[0])
            self.shown[code] = stroke.part.joints
            self.outlines.append(outline)

    def _strokes(self) -> list[Stroke]:
        """All but the head. The skirt lies over the thighs."""
        pieces = self.outfit.pieces
        return [
            Stroke(part, pieces[part.name], 0.12 if part.name == "skirt" else 0.0)
            for part in self.body.parts
            if part.name in pieces
        ]

    def _head(self, camera: Camera) -> list[Stroke]:
        b, wear, r = self.body, self.outfit, self.body.radius
        found = []

        def add(name: str, balls: list[tuple[float, ...]], cloth: Cloth, nearer: float = 0.0) -> None:
            """balls: left, up, ahead and radius, in radii of the head."""
            table = np.array(balls)
            centres = b.head + r * table[:, :3] @ b.axes
            part = Part(name, centres, r * table[:, 3], _FACE)
            found.append(Stroke(part, cloth, nearer))

        face = plain(wear.face)
        add("face", [(0, 0, 0.12, 0.95), (0, -0.55, 0.35, 0.62)], face)
        if not wear.bald:
            add("hair", [(0, 0.14, -0.2, 1.06), (0, 0.5, 0.15, 0.72)], plain(wear.hair))
        if wear.cap is not None:
            add("cap", [(0, 0.42, 0, 0.95), (0, 0.45, 0.9, 0.4)], wear.cap, nearer=0.05)
        towards = self._towards(camera)
        features = (
            ((0.33, 0.25, 0.9, 0.12), plain(_DARK)), ((-0.33, 0.25, 0.9, 0.12), plain(_DARK)),
            ((0, -0.12, 1.05, 0.17), plain(0.8 * wear.face)),
            ((0, -0.55, 0.85, 0.14), plain(0.6 * wear.face)),
        )  # fmt: skip
        for (ball, cloth), normal in zip(features, (1, 2, 0, 0), strict=True):
            if towards[normal] > 0.1:
                add("feature", [ball], cloth, nearer=0.06)
        for side, normal in ((1.0, 3), (-1.0, 4)):
            if towards[normal] > 0:
                add("ear", [(side * 0.98, 0.0, 0.0, 0.22)], plain(0.9 * wear.face), nearer=0.05)
        return found

    def _towards(self, camera: Camera) -> NDArray[np.float64]:
        """[17]: how much each joint's outward normal looks at the camera; 0 where there is none."""
        eye = np.array([0.0, camera.height, 0.0])
        way = eye - self.body.keypoints
        return (self.body.facing * way).sum(axis=1) / np.linalg.norm(way, axis=1)

    def seen(self, canvas: Canvas, camera: Camera) -> Seen | None:
        """The annotation, once everything is painted; None for who is hidden or outside."""
        height, width = canvas.owner.shape
        low, high = (f(np.concatenate(self.outlines), axis=0) for f in (np.min, np.max))
        low, high = np.maximum(low + 0.5, 0), np.minimum(high + 0.5, (width, height))
        own = (canvas.owner // PARTS) == self.number
        area = int(own.sum())
        if (high - low < 2).any() or area < max(LEAST_PIXELS, LEAST_SHARE * self._silhouette(width, height)):
            return None
        xy = camera.project(self.body.keypoints)
        facing = self._towards(camera) >= 0
        visibility = [self._visible(canvas, point, k) for k, point in enumerate(xy)]
        visible = np.where(facing | ~self.body.facing.any(axis=1), visibility, np.minimum(visibility, HIDDEN))
        neck, top = (self._end(canvas, camera, up) for up in (-1.25, 1.15))
        centre, r = camera.project(self.body.head), 1.15 * camera.pixels(self.body.radius, self.depth(camera))
        box = [*(centre - r + 0.5), 2 * r, 2 * r]
        return Seen(
            xy, visible.astype(np.int8), np.concatenate([low, high - low]), np.array(box), neck, top,
            float(area), self.number - 1, self.action,
        )  # fmt: skip

    def _silhouette(self, width: int, height: int) -> int:
        """Pixels of the whole person in the picture, hidden or not."""
        mask = np.zeros((height, width), np.uint8)
        for outline in self.outlines:
            cv2.fillConvexPoly(mask, np.rint(np.clip(outline, -4000, 4000)).astype(np.int32), 1)
        return int(mask.sum())

    def _visible(self, canvas: Canvas, point: Points, joint: int) -> int:
        owner = _at(canvas.owner, point)
        if owner is None:
            return ABSENT
        return VISIBLE if joint in self.shown.get(owner, ()) else HIDDEN

    def _end(self, canvas: Canvas, camera: Camera, up: float) -> Points:
        """(x, y, visibility) of a point on the head's axis; visible where the person itself is seen."""
        point = camera.project(self.body.head + up * self.body.radius * self.body.axes[1])
        owner = _at(canvas.owner, point)
        found = ABSENT if owner is None else VISIBLE if owner // PARTS == self.number else HIDDEN
        return np.array([*point, found])


def _at(owner: NDArray[Any], point: Points) -> int | None:
    x, y = np.rint(point).astype(int)
    inside = 0 <= y < owner.shape[0] and 0 <= x < owner.shape[1]
    return int(owner[y, x]) if inside else None
