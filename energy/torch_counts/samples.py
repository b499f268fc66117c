"""Samples for a torch module: a shape to draw from, or a file."""

from __future__ import annotations

import hashlib
import math
import re
import struct
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from convert.ir import BadInput

SHAPE = re.compile(r"\d+(x\d+)*")
SEED = 0
LARGEST, SIDES = 2**28, 16  # values of all samples drawn together: 3 GiB while they are; sides of one
_UNREADABLE = (  # what numpy and zipfile raise on damaged bytes
    OSError, EOFError, ValueError, LookupError, RuntimeError, MemoryError, struct.error, zipfile.BadZipFile,
    zlib.error,
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Given:
    """x [n, *shape], of a .npy file mapped and not read; labels [n] or None; what: where they come from, in
    words."""

    x: np.ndarray
    labels: np.ndarray | None
    what: str

    def first(self, limit: int | None) -> Given:
        """At most `limit` samples, from the first on."""
        labels = None if self.labels is None else self.labels[:limit]
        return Given(self.x[:limit], labels, self.what)

    def sample(self, n: int) -> np.ndarray:
        """Sample n, read now, in the byte order and a width that torch takes. BadInput if not finite."""
        x = np.array(self.x[n])
        if x.dtype.kind == "f" and not np.isfinite(x).all():
            raise BadInput(
                f"{self.what}: sample {n} holds NaN or infinity; expected finite values, mend the input"
            )
        return x.astype(np.float64 if x.dtype.itemsize > 8 else x.dtype.newbyteorder("="), copy=False)

    def digest(self) -> str:
        """SHA-256 of all values in their order, a sample in memory at a time."""
        sealed = hashlib.sha256()
        for x in self.x:
            sealed.update(np.ascontiguousarray(x))
        return sealed.hexdigest()


def given(text: str, limit: int | None) -> Given:
    """`3x32x32`: normal noise of seed 0, one sample or `limit` of them. Else a .npy file [n, *shape], or a
    .npz with x [n, *shape] and, if known, y [n]. BadInput for a file that is none of these."""
    if SHAPE.fullmatch(text):
        return drawn(tuple(map(int, text.split("x"))), limit or 1)
    path = Path(text)
    if not path.is_file():
        raise BadInput(f"--input {text}: no such file, and not a shape; give a .npy or .npz file, or 3x32x32")
    x, labels = _read(path)
    if x.ndim < 2 or not len(x) or x.dtype.kind not in "fiub":
        raise BadInput(
            f"{path}: holds {x.dtype} {x.shape}, expected numbers (samples, ...), one sample at least"
        )
    if labels is not None and (labels.shape != (len(x),) or labels.dtype.kind not in "iu"):
        want = f"a whole number for each of {len(x)} samples"
        raise BadInput(f"{path}: y is {labels.dtype} {labels.shape}, expected {want}")
    return Given(x, labels, str(path)).first(limit)


def drawn(shape: tuple[int, ...], samples: int) -> Given:
    """Normal noise."""
    name = "x".join(map(str, shape))
    if 0 in shape:
        raise BadInput(f"--input {name}: a side is 0; give sizes from 1")
    if len(shape) > SIDES or samples * math.prod(shape) > LARGEST:
        what = f"{len(shape)} sides, {samples * math.prod(shape)} values in all"
        raise BadInput(
            f"--input {name}: {what}, expected at most {SIDES} and {LARGEST}; give a smaller shape"
        )
    x = np.random.default_rng(SEED).normal(size=(samples, *shape)).astype(np.float32)
    return Given(x, None, f"normal noise of seed {SEED}, not data")


def _read(path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    try:
        held = np.load(path, mmap_mode="r", allow_pickle=False)
        if isinstance(held, np.ndarray):
            return held, None
        with held:
            if "x" not in held:
                raise BadInput(f"{path}: holds {', '.join(held) or 'nothing'}, expected x, and y if known")
            return held["x"], held.get("y")
    except _UNREADABLE as error:
        if isinstance(error, BadInput):
            raise
        reason = " ".join(str(error).split())[:120]
        raise BadInput(f"{path}: not a readable .npy or .npz file ({reason})") from error
