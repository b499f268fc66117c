"""One request to the worker: its folder, what is asked, the input of each source, where results are kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from lava.proc.io.source import RingBuffer

Json = dict[str, Any]


class Job:
    """A folder with `request.json` and `input.npz`; see `__main__`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.request: Json = json.loads((folder / "request.json").read_text())
        with np.load(folder / "input.npz", allow_pickle=False) as file:
            self.inputs = {name: file[name] for name in file.files}
        self.steps, self.samples = next(iter(self.inputs.values())).shape[:2]
        self.period: int = self.request["period"]
        self.floating = bool(self.request.get("float", False))
        self.kept: dict[str, Path] = {}

    def latency(self, name: str) -> int:
        return int(self.request["latency"][name])

    @property
    def tail(self) -> int:
        """Chip steps after the last sample's period until its last aligned step has passed everywhere."""
        return max(self.request["latency"].values())

    @property
    def chip_steps(self) -> int:
        return self.samples * self.period + self.tail

    def window(
        self, name: str, size: int, states: tuple[str, ...], binary: bool = True, result: str | None = None,
        channels_last: bool = False,
    ) -> Json:  # fmt: skip
        """Parameter of an Aligned model; makes the files it records into. result: the state a readout gives,
        after the last step, instead of messages."""
        files = {}
        if result is not None:
            files[f"last/{result}"] = self._keep(f"v/{name}", (self.samples, size), np.int64)
        else:
            kind = np.uint8 if binary else np.int64
            files["sent"] = self._keep(f"raster/{name}", (self.samples, self.steps, size), kind)
        if self.request.get("states"):
            kind = np.float64 if self.floating else np.int64
            for state in states:
                shape = (self.samples, self.steps, size)
                files[f"state/{state}"] = self._keep(f"state/{name}/{state}", shape, kind)
        return {
            "steps": self.steps, "samples": self.samples, "period": self.period,
            "latency": self.latency(name), "states": states, "channels_last": channels_last, "files": files,
        }  # fmt: skip

    def _keep(self, name: str, shape: tuple[int, ...], dtype: type) -> str:
        path = self.folder / f"kept{len(self.kept)}.npy"
        np.lib.format.open_memmap(path, "w+", dtype, shape).flush()
        self.kept[name] = path
        return str(path)

    def source(self, name: str, shape: tuple[int, ...] | None = None) -> RingBuffer:
        """The stimulus of one input for the whole run, silent between samples. shape: (C, H, W) for netx."""
        x = self.inputs[name]
        stimulus = np.zeros((x.shape[2], self.chip_steps), np.int32)
        for n in range(self.samples):
            start = n * self.period + self.latency(name)
            stimulus[:, start : start + self.steps] = x[:, n].T
        if shape is not None:
            stimulus = stimulus.reshape(*shape, self.chip_steps).transpose(2, 1, 0, 3)
        return RingBuffer(data=stimulus)
