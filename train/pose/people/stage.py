"""Where a recording is made: camera, things, background, light and film. Actors come and go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from train.pose.people.actor import Actor
from train.pose.people.camera import Camera
from train.pose.people.canvas import Canvas
from train.pose.people.frame import Frame
from train.pose.people.surroundings import Film, Thing


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """behind: float32 [H, W, 3]; light: [2], where it comes from in the picture."""

    camera: Camera
    things: tuple[Thing, ...]
    behind: NDArray[np.float32]
    light: NDArray[np.float64]
    film: Film

    def shot(self, rng: np.random.Generator, actors: Sequence[Actor]) -> Frame:
        """Everything on one canvas, the farthest first; then looked at."""
        canvas = Canvas(self.behind)
        for item in sorted([*actors, *self.things], key=lambda item: -item.depth(self.camera)):
            item.paint(canvas, self.camera, self.light)
        near = sorted(actors, key=lambda actor: actor.depth(self.camera))
        people = tuple(found for actor in near if (found := actor.seen(canvas, self.camera)) is not None)
        return Frame(self.film.developed(rng, canvas.pixels), people)


def light(rng: np.random.Generator) -> NDArray[np.float64]:
    """Any direction in the picture."""
    turn = rng.uniform(0, 2 * np.pi)
    return np.array([np.cos(turn), np.sin(turn)])
