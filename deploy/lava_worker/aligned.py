"""Lava's own neuron models, run in a window of aligned steps, at rest outside it, and recorded."""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from lava.proc.lif.models import (
    PyLifModelBitAcc,
    PyLifRefractoryModelFloat,
    PyLifResetModelBitAcc,
    PyTernLifModelFixed,
)
from lava.proc.lif.process import LIF, LIFRefractory, LIFReset, TernaryLIF
from lava.proc.rf.models import PyRFModelFixed
from lava.proc.rf.process import RF
from lava.proc.rf_iz.models import PyRF_IZModelFixed
from lava.proc.rf_iz.process import RF_IZ
from lava.proc.sdn.models import PyDeltaModelFixed, PySigmaDeltaModelFixed, PySigmaModelFixed
from lava.proc.sdn.process import Delta, Sigma, SigmaDelta

CHANGES = ("act", "residue", "error")
STATES: dict[type, tuple[str, ...]] = {  # what a process remembers, in Lava's names
    LIF: ("u", "v"), LIFReset: ("u", "v"), TernaryLIF: ("u", "v"),
    LIFRefractory: ("u", "v", "refractory_period_end"), RF: ("real", "imag"), RF_IZ: ("real", "imag"),
    Delta: CHANGES, Sigma: ("sigma",), SigmaDelta: ("sigma", *CHANGES),
}  # fmt: skip
GRADED = (TernaryLIF, Delta, SigmaDelta)  # what sends more than 0 and 1
IN_PORTS = ("a_in", "a_real_in", "a_imag_in")


class Tap:
    """An out port that remembers what was sent last."""

    def __init__(self, port: Any) -> None:
        self.port = port
        self.sent: np.ndarray | None = None

    def send(self, data: np.ndarray) -> None:
        self.sent = data
        self.port.send(data)


class Aligned:
    """What is laid over a Lava model: its arithmetic stays Lava's own, every line of it.

    The process's parameter "window" is {"steps": T, "samples": N, "period": P, "latency": chip steps,
    "states": names, "channels_last": bool, "files": {what: npy memory map}}, what = "sent" [N, T, size],
    "state/<name>" [N, T, size], or "last/<name>" [N, size]. Lava's clock starts anew with each sample, for
    models that reset or wait by it: time_step = latency + 1 + aligned step.
    """

    window: dict[str, Any]

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)  # type: ignore[call-arg]
        self.window = proc_params["window"]
        self.files: dict[str, np.ndarray] = {}

    def run_spk(self) -> None:
        w = self.window
        if not isinstance(self.s_out, Tap):
            self.s_out: Any = Tap(self.s_out)
        sample, step = divmod(self.time_step - 1 - w["latency"], w["period"])
        if not (0 <= sample < w["samples"] and step < w["steps"]):
            for port in IN_PORTS:  # nothing of ours is on its way now: the sources were silent
                if hasattr(self, port):
                    getattr(self, port).recv()
            self.s_out.send(np.zeros(getattr(self, w["states"][0]).shape, np.int32))
            return
        if step == 0:
            for name in w["states"]:
                setattr(self, name, np.zeros_like(getattr(self, name)))
        clock, self.time_step = self.time_step, w["latency"] + step + 1
        super().run_spk()  # type: ignore[misc]
        self.time_step = clock
        self._record(sample, step)

    def _record(self, sample: int, step: int) -> None:
        w = self.window
        for what, path in w["files"].items():
            kind, _, name = what.partition("/")
            if kind == "last" and step < w["steps"] - 1:
                continue
            value = self.s_out.sent if kind == "sent" else getattr(self, name)
            if w["channels_last"]:
                value = value.transpose(2, 1, 0)  # (W, H, C), as netx has it, to (C, H, W)
            if what not in self.files:  # opened here, in Lava's child process
                self.files[what] = np.load(path, mmap_mode="r+")
            self.files[what][sample if kind == "last" else (sample, step)] = value.reshape(-1)


def _aligned(process: type, model: type, kind: str) -> type:
    made = type(f"Aligned{model.__name__}", (Aligned, model), {"__module__": __name__})
    return implements(proc=process, protocol=LoihiProtocol)(requires(CPU)(tag(kind)(made)))


FIXED = {
    process: _aligned(process, model, "fixed_pt")
    for process, model in {
        LIF: PyLifModelBitAcc, LIFReset: PyLifResetModelBitAcc, TernaryLIF: PyTernLifModelFixed,
        RF: PyRFModelFixed, RF_IZ: PyRF_IZModelFixed,
        Delta: PyDeltaModelFixed, Sigma: PySigmaModelFixed, SigmaDelta: PySigmaDeltaModelFixed,
    }.items()
}  # fmt: skip
FLOATING = {LIFRefractory: _aligned(LIFRefractory, PyLifRefractoryModelFloat, "floating_pt")}
