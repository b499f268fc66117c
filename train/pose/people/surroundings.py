"""What is behind people, and what stands in front of them."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from train.pose.people.camera import Camera
from train.pose.people.canvas import Canvas, Cloth, hull
from train.pose.people.wardrobe import cloth, colour, plain, skin, smooth

OBJECT = 1
"""Owner of everything that is nobody."""


class Thing(NamedTuple):
    """Something that stands before or behind people: a hull of balls in the world."""

    centres: NDArray[np.float64]
    radii: NDArray[np.float64]
    cloth: Cloth

    def depth(self, camera: Camera) -> float:
        """What it is ordered by."""
        return float(camera.depth(self.centres).mean())

    def paint(self, canvas: Canvas, camera: Camera, light: NDArray[np.float64]) -> None:
        """Onto the canvas."""
        centres = camera.project(self.centres)
        radii = self.radii * camera.focal / camera.depth(self.centres)
        canvas.paint(hull(centres, radii), self.cloth, OBJECT, light, centres[0])


def background(rng: np.random.Generator, size: tuple[int, int], horizon: float) -> NDArray[np.float32]:
    """float32 [H, W, 3]: wall or sky, ground, and clutter of all colours, limbs' shapes among it.

    horizon: the row where the ground begins.
    """
    width, height = size
    y = np.arange(height)[:, None, None]
    above, below = (_surface(rng, (height, width)) for _ in range(2))
    found = np.where(y < horizon, above, below).astype(np.float32)
    canvas = Canvas(found)
    for _ in range(int(rng.integers(0, 14))):
        _clutter(rng, canvas, size)
    return canvas.pixels


def _surface(rng: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.float32]:
    one, other = colour(rng), colour(rng)
    share = 0.5 * smooth(rng, shape, rng.uniform(8, 90)) + 0.5 * smooth(rng, shape, rng.uniform(2, 20))
    if rng.random() < 0.35:  # bricks, planks, windows
        tile = cloth(rng, rng.uniform(0.8, 4.0)).tile
        rows, columns = (np.arange(n) % t for n, t in zip(shape, tile.shape[:2], strict=True))
        return tile[rows[:, None], columns] * (0.85 + 0.3 * share[..., None])
    return one + share[..., None] * rng.uniform(0.2, 1.0) * (other - one)


def _clutter(rng: np.random.Generator, canvas: Canvas, size: tuple[int, int]) -> None:
    """A rectangle, a blob, or something of a limb's shape and colour that is none."""
    light = np.array([0.0, -1.0])
    place = rng.uniform((0, 0), size)
    extent = np.array(size) * rng.uniform(0.03, 0.3, 2)
    kind = rng.integers(3)
    if kind == 0:
        corners = place + extent * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) / 2
        outline = cv2.convexHull((corners + rng.normal(0, 2, (4, 2))).astype(np.float32))[:, 0]
        canvas.paint(outline.astype(np.float64), cloth(rng, rng.uniform(0.5, 2)), OBJECT, light, place)
        return
    cover = plain(skin(rng)) if rng.random() < 0.4 else cloth(rng)
    turn = rng.uniform(0, np.pi)
    half = rng.uniform(0, 0.16) * size[1] * np.array([np.cos(turn), np.sin(turn)])
    radii = (
        rng.uniform(0.01, 0.05, 2) * size[1] if kind == 1 else np.full(2, rng.uniform(0.02, 0.08)) * size[1]
    )
    canvas.paint(hull(np.stack([place - half, place + half]), radii), cover, OBJECT, light, place)


def thing(rng: np.random.Generator, x: float, depth: float) -> Thing:
    """A pole, a box, a bush or a beam about 0.2 to 1.4 m high at a place on the ground."""
    kind = rng.integers(4)
    cover = cloth(rng, rng.uniform(0.5, 2.0))
    if kind == 0:  # pole
        centres, radii = [[x, 0.0, -depth], [x, 2.6, -depth]], [0.06, 0.06]
    elif kind == 1:  # box or wall
        half, top = rng.uniform(0.15, 0.6), rng.uniform(0.4, 1.2)
        centres = [[x + sx * half, y, -depth] for sx in (-1, 1) for y in (0.0, top)]
        radii = [0.03] * 4
    elif kind == 2:  # bush
        centres, radii = [[x, 0.3, -depth], [x + 0.3, 0.4, -depth]], [rng.uniform(0.2, 0.5), 0.3]
    else:  # beam or fence
        top = rng.uniform(0.5, 1.3)
        centres, radii = [[x - 0.9, top, -depth], [x + 0.9, top + rng.normal(0, 0.1), -depth]], [0.05, 0.05]
    return Thing(np.array(centres), np.array(radii), cover)


class Film(NamedTuple):
    """What a camera makes of light. cast: [3] factors; blur: pixels; noise: of 255."""

    cast: NDArray[np.float32]
    blur: float
    noise: float

    def developed(self, rng: np.random.Generator, pixels: NDArray[np.float32]) -> NDArray[np.uint8]:
        """uint8 [H, W, 3]."""
        found = pixels * self.cast
        if self.blur > 0.35:
            found = cv2.GaussianBlur(found, (0, 0), self.blur)
        found += self.noise * rng.standard_normal(found.shape, dtype=np.float32)
        return found.clip(0, 255).round().astype(np.uint8)


def film(rng: np.random.Generator) -> Film:
    """Exposure, colour cast, blur and noise of one recording."""
    cast = rng.uniform(0.85, 1.15, 3) * rng.uniform(0.6, 1.25)
    return Film(cast.astype(np.float32), rng.uniform(0, 1.1), rng.uniform(0.5, 9))
