"""The recipe from clips to samples: one flat record, kept with every checkpoint and artifact."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from train.data import streams
from train.data.errors import DataError

NORMALISATIONS = ("minmax", "body", "body-yaw")


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a clip becomes a sample. Fields above the line shape every sample, the others training only.

    frames          T, steps after resampling over the frames that hold a person
    stream          train.data.streams; motion is taken after resampling and so is per step
    normalise       train.data.normalise: minmax, body or body-yaw
    bone_gain       factor of the bone streams        motion_gain   factor of the motion streams
    standardise     train.data.standard: a run sets mean and spread from its training clips
    mean, spread    C V numbers each, [C, V] row by row: x becomes (x - mean) / spread; empty: x stays
    framewise       min-max of each frame and axis over the joints to [0, 1], last of all (Signal-SGN, 3.1)
    limit           the finished values are cut to [-limit, limit], so that an 8-bit input code exists
    ----
    rotate_y_deg    turn about the vertical, uniform in +- [degrees]
    rotate_x_deg    turn about the horizontal x, uniform in +- [degrees]
    scale           factor uniform in 1 +- scale, after normalising (before, min-max would undo it)
    shear           each off-diagonal entry of the shear matrix uniform in +- shear
    noise           standard deviation of Gaussian noise on joints, in normalised units
    mirror          probability of exchanging left and right
    crop            shortest share of the clip that is looked at, uniform in [crop, 1]
    jitter          one random frame per segment instead of the segment's centre
    """

    frames: int = 16
    stream: str = "joint+bone"
    normalise: str = "body-yaw"
    bone_gain: float = 1.0
    motion_gain: float = 1.0
    standardise: bool = True
    mean: tuple[float, ...] = ()
    spread: tuple[float, ...] = ()
    framewise: bool = False
    limit: float = 4.0
    rotate_y_deg: float = 45.0
    rotate_x_deg: float = 15.0
    scale: float = 0.1
    shear: float = 0.1
    noise: float = 0.01
    mirror: float = 0.0
    crop: float = 0.9
    jitter: bool = True

    def __post_init__(self) -> None:
        streams.parse(self.stream)
        for name, legal, expected in (
            ("frames", self.frames >= 1, "at least 1"),
            ("normalise", self.normalise in NORMALISATIONS, f"one of {', '.join(NORMALISATIONS)}"),
            ("limit", self.limit > 0, "above 0"),
            ("mean", len(self.mean) == len(self.spread), "as many numbers as spread"),
            ("spread", all(s > 0 for s in self.spread), "numbers above 0"),
            ("rotate_y_deg", 0 <= self.rotate_y_deg <= 180, "0..180 degrees"),
            ("rotate_x_deg", 0 <= self.rotate_x_deg <= 180, "0..180 degrees"),
            ("scale", 0 <= self.scale < 1, "0 <= scale < 1"),
            ("shear", 0 <= self.shear < 1, "0 <= shear < 1"),
            ("noise", self.noise >= 0, "0 or more"),
            ("mirror", 0 <= self.mirror <= 1, "a probability"),
            ("crop", 0 < self.crop <= 1, "0 < crop <= 1"),
        ):
            if not legal:
                raise DataError(f"recipe: {name} is {getattr(self, name)!r}; expected {expected}")

    def to_dict(self) -> dict[str, int | float | str | bool | list[float]]:
        """Plain values by field name, for JSON."""
        values = dataclasses.asdict(self)
        return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> Recipe:
        """The recipe of such values; a missing field takes its default, an unknown one is refused."""
        kinds = {field.name: type(field.default) for field in dataclasses.fields(cls)}
        unknown = sorted(set(values) - set(kinds))
        if unknown:
            raise DataError(
                f"recipe: unknown field {', '.join(map(repr, unknown))}; expected {', '.join(kinds)}"
            )
        return cls(**{name: _typed(name, value, kinds[name]) for name, value in values.items()})


def _typed(name: str, value: object, kind: type) -> object:
    """The value, where it has the field's type; a whole number serves as a float."""
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind is tuple and isinstance(value, list | tuple):
        return tuple(_typed(name, item, float) for item in value)
    if type(value) is not kind:
        raise DataError(f"recipe: {name} is {value!r}; expected {kind.__name__}")
    return value
