"""What people wear and what things are made of: tiles of colour, stripes, checks, spots and noise.

Left and right are dressed alike and every colour may be on anybody, on anything and behind everybody: a joint
is found by the shape of limbs alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from train.pose.people.canvas import Cloth

TILE = 64
PATTERNS = ("plain", "plain", "plain", "stripes", "hoops", "checks", "spots", "noise", "camouflage")


def colour(rng: np.random.Generator) -> NDArray[np.float32]:
    """[3], 0..255: any hue, many greys."""
    grey = rng.uniform(10, 245)
    vivid = rng.uniform(0, 255, 3)
    return (grey + rng.choice([0.1, 0.5, 1.0]) * (vivid - grey)).clip(5, 250).astype(np.float32)


def skin(rng: np.random.Generator) -> NDArray[np.float32]:
    """[3]: from dark to fair."""
    dark, fair = np.array([70.0, 45.0, 32.0]), np.array([240.0, 205.0, 180.0])
    return (dark + rng.random() * (fair - dark) + rng.normal(0, 6, 3)).clip(20, 250).astype(np.float32)


def cloth(rng: np.random.Generator, scale: float = 1.0, pattern: str | None = None) -> Cloth:
    """A piece of cloth; scale: the pattern's size, 1 for a period of about eight pixels."""
    pattern = pattern or str(rng.choice(PATTERNS))
    one, other = colour(rng), colour(rng)
    period = max(2, round(scale * float(rng.uniform(4, 14))))
    y, x = np.mgrid[:TILE, :TILE]
    masks = {
        "plain": lambda: np.zeros((TILE, TILE)),
        "stripes": lambda: (x // period) % 2,
        "hoops": lambda: (y // period) % 2,
        "checks": lambda: ((x // period) % 2 + (y // period) % 2) / 2,
        "spots": lambda: np.hypot(x % period - period / 2, y % period - period / 2) < period / 3.5,
        "noise": lambda: smooth(rng, (TILE, TILE), period / 2),
        "camouflage": lambda: smooth(rng, (TILE, TILE), period) > 0.5,
    }
    share = masks[pattern]().astype(np.float32)[..., None]
    tile = one + share * (other - one)
    tile = tile + rng.normal(0, rng.uniform(1, 7), (TILE, TILE, 1))
    return Cloth(tile.clip(0, 255).astype(np.float32), float(rng.uniform(0.25, 0.75)))


def plain(shade: NDArray[np.float32], gloss: float = 0.45) -> Cloth:
    """One colour."""
    return Cloth(np.broadcast_to(shade, (1, 1, 3)).astype(np.float32), gloss)


def smooth(rng: np.random.Generator, shape: tuple[int, int], period: float) -> NDArray[np.float32]:
    """[h, w] of 0..1: noise that changes over about `period` pixels."""
    coarse = rng.random([max(2, int(n / max(period, 1.0)) + 2) for n in shape]).astype(np.float32)
    return cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC).clip(0, 1)


@dataclass(frozen=True, slots=True, eq=False)
class Outfit:
    """pieces: the cloth of every part that is drawn (parts without one are not); face, hair: colours;
    bald, cap: of the head."""

    pieces: dict[str, Cloth]
    face: NDArray[np.float32]
    hair: NDArray[np.float32]
    bald: bool
    cap: Cloth | None


def outfit(rng: np.random.Generator, scale: float) -> Outfit:
    """What one person wears. scale: of patterns, about the person's height in the picture over 200 pixels."""
    face = skin(rng)
    bare = plain(face)
    shirt, trousers = cloth(rng, scale), cloth(rng, scale)
    sleeves = rng.integers(3)  # none, short, long
    short = rng.random() < 0.3
    pieces = {
        "trunk": shirt, "thigh": trousers, "shoe": cloth(rng, scale, "plain"), "neck": bare, "hand": bare,
        "shank": bare if short else trousers,
        "upper arm": bare if sleeves == 0 else shirt, "forearm": shirt if sleeves == 2 else bare,
    }  # fmt: skip
    if rng.random() < 0.12:  # gloves or bare feet
        pieces["hand"] = cloth(rng, scale, "plain")
    if rng.random() < 0.15:
        pieces["skirt"] = trousers if rng.random() < 0.5 else shirt
        pieces["thigh"] = pieces["shank"] = bare if rng.random() < 0.6 else cloth(rng, scale)
    hair = colour(rng) if rng.random() < 0.15 else skin(rng) * rng.uniform(0.1, 0.8)
    cap = cloth(rng, scale, "plain") if rng.random() < 0.2 else None
    return Outfit(pieces, face, hair.astype(np.float32), bool(rng.random() < 0.1), cap)
