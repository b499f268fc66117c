"""A converted pose network on ONNX Runtime: crops in, joints out, the decoder in the graph."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from deploy.onnx_session import Session, check_form, read_model

FORM = "pose"  # of an ONNX file


class PoseNetwork:
    """One model, float or 8 bits, loaded. `about` is what its metadata says of input, codec and joints."""

    def __init__(self, model: bytes, where: str, threads: int = 1) -> None:
        self._session = Session(model, where, threads, whole_products=True)
        check_form(self._session, FORM)
        self.about: Mapping[str, Any] = self._session.metadata["pose"]

    @classmethod
    def load(cls, path: Path, threads: int = 1) -> PoseNetwork:
        """The model of a file."""
        return cls(read_model(path), str(path), threads)

    def joints(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """x float32 [N, 3, H, W] -> xy float64 [N, K, 2] in pixels of the input, score float64 [N, K].

        x is (RGB / 255 - mean) / spread, with the two of `about`.
        """
        found = self._session.run({"x": np.ascontiguousarray(x, np.float32)})
        return found["xy"].astype(np.float64), found["score"].astype(np.float64)
