"""Twelve actions as angle curves of the limbs; what synthetic clips are made of.

An action writes into a Take. Sides are "main" (the hand or foot that acts) and "other". Flexion of an
arm or a leg is positive forwards, of an elbow forwards, of a knee backwards, of the trunk forwards; side
is away from the body.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from train.data.figure import ARM, JOINTS, LEG, SPINE

Curve = NDArray[np.float64] | float


@dataclass(slots=True)
class Take:
    """One performance. s: [F], 0..1 through the clip; size: amplitude of the movement, about 1;
    turns: repetitions of a cyclic action; main: the acting side. angles and lift are the result."""

    s: NDArray[np.float64]
    size: float
    turns: float
    main: str
    angles: NDArray[np.float64] = field(init=False)
    lift: NDArray[np.float64] = field(init=False)

    def __post_init__(self) -> None:
        self.angles = np.zeros((JOINTS, len(self.s), 3))
        self.lift = np.zeros(len(self.s))
        for side in ("main", "other"):
            self.arm(side, lift=0.05, out=0.12, elbow=0.2)

    def swing(self, lag: float = 0.0) -> NDArray[np.float64]:
        """[F] cosine wave 0..1..0 of the repetitions, `lag` of one repetition late."""
        return 0.5 - 0.5 * np.cos(2.0 * np.pi * (self.turns * self.s - lag))

    def arm(self, side: str, lift: Curve = 0.0, out: Curve = 0.0, elbow: Curve = 0.0) -> None:
        """Set the arm: lift forwards, out sideways, elbow bent [rad]."""
        name, sign = self._side(side)
        shoulder, joint, _, _ = ARM[name]
        self.angles[shoulder, :, 0] = -np.asarray(lift)
        self.angles[shoulder, :, 2] = sign * np.asarray(out)
        self.angles[joint, :, 0] = -np.asarray(elbow)

    def forearm(self, side: str, sway: Curve) -> None:
        """Sway of the forearm sideways [rad]."""
        name, sign = self._side(side)
        self.angles[ARM[name][1], :, 2] = sign * np.asarray(sway)

    def leg(self, side: str, lift: Curve = 0.0, knee: Curve = 0.0) -> None:
        """Set the leg: thigh forwards, knee bent [rad]; the foot stays level."""
        name, _ = self._side(side)
        hip, joint, ankle, _ = LEG[name]
        self.angles[hip, :, 0] = -np.asarray(lift)
        self.angles[joint, :, 0] = np.asarray(knee)
        self.angles[ankle, :, 0] = np.asarray(lift) - np.asarray(knee)

    def trunk(self, lean: Curve = 0.0, twist: Curve = 0.0) -> None:
        """Lean forwards and twist towards the main side of all above the hip [rad]."""
        _, sign = self._side("main")
        self.angles[SPINE, :, 0] = lean
        self.angles[SPINE, :, 1] = -sign * np.asarray(twist)

    def crouch(self, depth: Curve) -> None:
        """Both knees bent; depth 1 brings the thighs level."""
        for side in ("main", "other"):
            self.leg(side, lift=1.5 * np.asarray(depth), knee=1.75 * np.asarray(depth))

    def _side(self, side: str) -> tuple[str, float]:
        other = "left" if self.main == "right" else "right"
        name = self.main if side == "main" else other
        return name, 1.0 if name == "left" else -1.0


def _step(s: NDArray[np.float64], start: float, end: float) -> NDArray[np.float64]:
    """Smooth 0 -> 1 between start and end."""
    x = np.clip((s - start) / (end - start), 0.0, 1.0)
    return x * x * (3.0 - 2.0 * x)


def wave(take: Take) -> None:
    up = _step(take.s, 0.0, 0.2)
    take.arm("main", lift=0.3 * up, out=1.4 * up, elbow=0.3)
    take.forearm("main", up * (1.1 + 0.8 * take.size * (take.swing() - 0.5)))


def punch(take: Take) -> None:
    out = take.swing() ** 2 * take.size
    take.arm("main", lift=0.4 + 1.1 * out, out=0.1, elbow=np.maximum(2.1 - 2.0 * out, 0.0))
    take.arm("other", lift=0.5, out=0.1, elbow=2.0)
    take.trunk(lean=0.1, twist=-0.4 * out)


def kick(take: Take) -> None:
    swing = take.swing() ** 2 * take.size
    cocked = take.swing(0.15) ** 2 * take.size
    take.leg("main", lift=1.3 * swing, knee=0.9 * np.maximum(cocked - swing, 0.0) + 0.1 * swing)
    take.trunk(lean=-0.2 * swing)
    take.arm("other", lift=0.5 * swing, out=0.3, elbow=0.3)


def squat(take: Take) -> None:
    down = take.swing() * take.size
    take.crouch(0.9 * down)
    take.trunk(lean=0.45 * down)
    for side in ("main", "other"):
        take.arm(side, lift=1.4 * down, out=0.1, elbow=0.1)


def jump(take: Take) -> None:
    wave_ = 2.0 * take.swing() - 1.0
    take.crouch(0.45 * take.size * np.maximum(-wave_, 0.0) * _step(take.s, 0.0, 0.1))
    take.lift = 0.3 * take.size * np.maximum(wave_, 0.0) ** 1.5
    for side in ("main", "other"):
        take.arm(side, lift=0.9 * take.size * np.maximum(wave_, 0.0), out=0.15, elbow=0.3)


def walk(take: Take) -> None:
    wave_ = 2.0 * take.swing() - 1.0
    for side, sign in (("main", 1.0), ("other", -1.0)):
        forward = np.maximum(sign * wave_, 0.0) * take.size
        take.leg(side, lift=0.7 * forward, knee=1.0 * forward)
        take.arm(side, lift=-0.45 * sign * wave_ * take.size, out=0.1, elbow=0.4)


def bend(take: Take) -> None:
    down = take.swing() * take.size
    take.trunk(lean=1.4 * down)
    for side in ("main", "other"):
        take.arm(side, lift=1.0 * down, out=0.1, elbow=0.1)
        take.leg(side, lift=0.1 * down, knee=0.15 * down)


def throw(take: Take) -> None:
    back = _step(take.s, 0.1, 0.4)
    forth = _step(take.s, 0.45, 0.65)
    rest = _step(take.s, 0.8, 1.0)
    take.arm(
        "main",
        lift=take.size * (2.3 * back - 1.2 * forth) * (1.0 - rest),
        out=0.5 * back * (1.0 - forth),
        elbow=0.2 + 1.7 * back * (1.0 - forth),
    )
    take.trunk(lean=0.3 * forth * (1.0 - rest), twist=(0.5 * back - 0.9 * forth) * (1.0 - rest))
    take.leg("other", lift=0.35 * forth * (1.0 - rest), knee=0.3 * forth * (1.0 - rest))


def clap(take: Take) -> None:
    apart = take.swing() * take.size
    for side in ("main", "other"):
        take.arm(side, lift=1.1, out=0.65 * apart - 0.15, elbow=0.8)
        take.forearm(side, -0.25 + 0.2 * apart)


def raise_both_arms(take: Take) -> None:
    up = take.swing() * take.size
    for side in ("main", "other"):
        take.arm(side, lift=0.1, out=0.12 + 2.6 * up, elbow=0.1)


def sit_down(take: Take) -> None:
    _sit(take, _step(take.s, 0.15, 0.75))


def stand_up(take: Take) -> None:
    _sit(take, 1.0 - _step(take.s, 0.25, 0.85))


def _sit(take: Take, seated: NDArray[np.float64]) -> None:
    take.crouch(0.95 * seated)
    take.trunk(lean=0.15 * seated + 1.8 * take.size * seated * (1.0 - seated))
    for side in ("main", "other"):
        take.arm(side, lift=0.5 * seated, out=0.1, elbow=0.2 + 0.6 * seated)


ACTIONS: dict[str, Callable[[Take], None]] = {
    "wave": wave,
    "punch": punch,
    "kick": kick,
    "squat": squat,
    "jump": jump,
    "walk in place": walk,
    "bend": bend,
    "throw": throw,
    "clap": clap,
    "raise both arms": raise_both_arms,
    "sit down": sit_down,
    "stand up": stand_up,
}
"""The classes in label order."""
