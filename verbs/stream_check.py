"""`simulate --stream --check`: a stream against whole-window runs of the same target."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from verbs.running import Loaded
from verbs.verify import VerificationFailed

PREFIXES = 64  # frames of the first row that are each compared with a whole window that ends there
RTOL, FLIPS = 1e-4, 0.02  # float32: rounding; and 2 % of rows beyond it, where rounding flipped a spike
Outputs = dict[str, np.ndarray]


@dataclass
class Check:
    """What was compared so far: rows (streams from rest), whole windows, spikes that flowed in them."""

    loaded: Loaded
    rows: int = 0
    differing: int = 0
    windows: int = 0
    spikes: int = 0

    def row(self, x: np.ndarray, after: list[Outputs]) -> None:
        """One row: frames x [T, *shape] from rest, and what the outputs amounted to after each."""
        frames = {len(x) - 1, *(range(min(len(x), PREFIXES)) if self.rows == 0 else ())}
        equal = True
        for t in sorted(frames):
            record = self.loaded.runner.run(x[: t + 1, None])
            equal = equal and all(_equal(after[t][n], want[0]) for n, want in record.outputs.items())
            self.windows += 1
        self.spikes += sum(int(c.sum()) for c in record.counts.values())
        self.rows += 1
        self.differing += not equal

    def judged(self) -> str:
        """What was found, in a line; VerificationFailed if the stream is not the whole window."""
        floating = self.loaded.form == "float"
        if self.differing > (int(FLIPS * self.rows) if floating else 0):
            raise VerificationFailed(
                f"{self.loaded.target.name}: the stream differs from the whole-window run in "
                f"{self.differing} of {self.rows} rows; please report the model"
            )
        how = "within float32 rounding of" if floating else "equal to"
        flips = f", but {self.differing} where rounding flipped a spike" if self.differing else ""
        return (
            f"check: {self.rows - self.differing} of {self.rows} rows {how} the whole-window run{flips}; "
            f"{self.windows} windows, {self.spikes} spikes"
        )

    def as_json(self) -> dict[str, int]:
        """The numbers."""
        return {k: getattr(self, k) for k in ("rows", "differing", "windows", "spikes")}


def _equal(got: np.ndarray, want: np.ndarray) -> bool:
    if want.dtype.kind == "f":
        return bool(np.allclose(got, want, RTOL, RTOL * float(np.abs(want).max(initial=1.0))))
    return bool(np.array_equal(got, want))
