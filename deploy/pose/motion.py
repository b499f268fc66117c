"""Where a tracked person is expected next: the last pose, or that pose moved on at its last velocity."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from deploy.pose.people import Person, extent

SMOOTH = 0.5  # of the velocity that stays when a new one is seen: detections jitter by some pixels


@dataclass(frozen=True, slots=True, eq=False)
class Motion:
    """A person as last seen, at frame number `seen`; velocity float64 [2], pixels a frame."""

    person: Person
    seen: int
    velocity: np.ndarray

    def expected(self, frame: int, constant: bool) -> Person:
        """The person at that frame: moved on by its velocity where `constant`, else as last seen."""
        if not constant:
            return self.person
        return moved(self.person, self.velocity * (frame - self.seen))

    def after(self, person: Person, frame: int) -> Motion:
        """The motion once the person is seen again. The first velocity is taken whole, later ones
        smoothed.
        """
        fresh = displacement(self.person, person) / max(frame - self.seen, 1)
        still = not self.velocity.any()
        return Motion(person, frame, fresh if still else SMOOTH * self.velocity + (1 - SMOOTH) * fresh)


def begun(person: Person, frame: int) -> Motion:
    """A person seen for the first time: no velocity is known."""
    return Motion(person, frame, np.zeros(2))


def moved(person: Person, by: np.ndarray) -> Person:
    """The person shifted by [2] pixels, box and all."""
    points = np.where(person.there[:, None], person.keypoints + by, 0.0)
    box = None if person.box is None else person.box + np.concatenate([by, np.zeros(2)])
    return replace(person, keypoints=points, box=box)


def displacement(before: Person, now: Person) -> np.ndarray:
    """float64 [2]: how far a person went: the median over the joints seen both times, which a lost joint or a
    waving arm does not move; of the middles of the boxes where no joint was."""
    both = before.there & now.there
    if both.any():
        return np.median(now.keypoints[both] - before.keypoints[both], axis=0)
    first, second = middle(before), middle(now)
    return np.zeros(2) if first is None or second is None else second - first


def middle(person: Person) -> np.ndarray | None:
    """float64 [2]: of the person's box, or of the box around its joints."""
    box = extent(person)
    return None if box is None else box[:2] + box[2:] / 2
