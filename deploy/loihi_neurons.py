"""The neurons of the Loihi simulator: the state of a population, and the compiled loop of its model.

The equations are those of `convert.ir.loihi`, `resonators` and `sigma_delta`; the loops are in
`deploy.loihi_lif` and `deploy.loihi_graded`, rows and integer types as in `deploy.loihi_kernels`. Models are
looked up by type: `NEURONS` names every one.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from convert.ir import (
    LoihiDelta,
    LoihiIntegrator,
    LoihiLIF,
    LoihiLIFRefractory,
    LoihiLIFReset,
    LoihiNeuron,
    LoihiRF,
    LoihiRFIZ,
    LoihiSigma,
    LoihiSigmaDelta,
    LoihiTernaryLIF,
    Population,
)
from deploy import loihi_graded as graded
from deploy import loihi_lif as lif
from deploy.reference_neurons import oversized

NEVER = 1 << 24  # a threshold, or a negative one, that no 24-bit state passes


class Neurons:
    """The state of one population over a batch of N samples; `states` are its arrays [N, size] by name.

    counts: messages that were not 0, int32; totals: their sum, int64, where messages are more than binary.
    """

    names: ClassVar[tuple[str, ...]] = ("u", "v")
    result: ClassVar[str] = "v"  # what a readout of this kind gives

    def __init__(self, population: Population, dtype: np.dtype, samples: int) -> None:
        self.model: LoihiNeuron = population.model  # type: ignore[assignment]
        self.name, self.size, self.shape = population.name, population.size, population.shape
        self.dtype, self.at = dtype, 0
        self.states = {name: np.zeros((samples, self.size), dtype) for name in self.names}
        self.counts = np.zeros((samples, self.size), np.int32)
        binary = self.model.message == "binary"
        self.totals = self.counts if binary else np.zeros((samples, self.size), np.int64)
        self.raster_dtype = np.dtype(np.uint8 if binary else np.int32)
        self._prepare()

    def _prepare(self) -> None:
        """Make the constants of the loop."""

    def each(self, value: object) -> np.ndarray:
        """A constant of the model, one a neuron [size]."""
        return np.broadcast_to(value, self.shape).astype(self.dtype).reshape(-1)  # type: ignore[call-overload]

    def step(self, acc: np.ndarray, raster: np.ndarray) -> None:
        """Advance over the steps of acc [ports, steps N, size], filling raster [steps N, size]."""
        self._step(acc, raster)
        self.at += acc.shape[1] // len(self.counts)

    def _step(self, acc: np.ndarray, raster: np.ndarray) -> None:
        raise NotImplementedError

    @property
    def value(self) -> np.ndarray:
        """int64 [N, size]: what an output of this kind gives after the last step."""
        return (self.totals if self.model.spiking else self.states[self.result]).astype(np.int64)


class _Lif(Neurons):
    """LIF with one decay for all: the case that must be fast."""

    def _prepare(self) -> None:
        model, whole = self.model, self.dtype.type
        keep_u, keep_v, threshold = 4095 - model.du, 4096 - model.dv, model.vth << 6  # type: ignore[attr-defined]
        self.bias = self.each(model.bias)  # type: ignore[attr-defined]
        self.constants = whole(keep_u), whole(keep_v), whole(threshold)

    def _step(self, acc: np.ndarray, raster: np.ndarray) -> None:
        u, v = self.states.values()
        lif.step_neurons(acc[0], raster, self.counts, u, v, self.bias, *self.constants)


class _LifFamily(Neurons):
    """All others of the family: decays a neuron, resets in turn, two signs, refractory steps."""

    names = ("u", "v", "left")

    def _prepare(self) -> None:
        model, whole = self.model, self.dtype.type
        self.bias = self.each(model.bias)  # type: ignore[attr-defined]
        self.keep = self.each(4095 - model.du), self.each(4096 - model.dv)  # type: ignore[attr-defined]
        high, low = getattr(model, "vth_hi", None), getattr(model, "vth_lo", None)
        self.thresholds = (
            whole((model.vth if high is None else high) << 6),  # type: ignore[attr-defined]
            whole(-NEVER if low is None else low << 6),
        )
        self.reset = getattr(model, "reset_interval", 0), getattr(model, "reset_offset", 0)
        self.refractory = whole(getattr(model, "refractory", 0))
        if not isinstance(model, LoihiLIFRefractory):
            self.left = self.states.pop("left")

    def _step(self, acc: np.ndarray, raster: np.ndarray) -> None:
        u, v = self.states["u"], self.states["v"]
        left = self.states.get("left", getattr(self, "left", u))
        lif.step_family(
            acc[0], raster, self.counts, self.totals, u, v, left, self.bias, *self.keep, *self.thresholds,
            self.reset[0], self.reset[1], self.at, self.refractory, self.totals is not self.counts,
        )  # fmt: skip


class _Resonators(Neurons):
    names = ("real", "imag")

    def _prepare(self) -> None:
        model = self.model
        self.constants = (
            model.sin_decay, model.cos_decay, model.vth << model.state_exp, model.state_exp,  # type: ignore[attr-defined]
            isinstance(model, LoihiRFIZ),
        )  # fmt: skip

    def _step(self, acc: np.ndarray, raster: np.ndarray) -> None:
        graded.step_resonators(acc[0], acc[1], raster, self.counts, *self.states.values(), *self.constants)


class _Changes(Neurons):
    """Delta and SigmaDelta."""

    names = ("sigma", "act", "residue", "error")

    def _prepare(self) -> None:
        model = self.model
        up = model.spike_exp + model.state_exp  # type: ignore[attr-defined]
        sums = isinstance(model, LoihiSigmaDelta)
        self.bias = self.each(model.bias) << up if sums else self.each(0)  # type: ignore[attr-defined]
        self.fault = np.zeros(2, np.int64)  # the first message too large: step of this call, magnitude
        self.constants = (
            0 if sums else up, model.vth << up, model.state_exp, model.message_limit,  # type: ignore[attr-defined]
            sums, sums and model.act == "relu", model.cum_error,  # type: ignore[attr-defined]
            model.carry,  # type: ignore[attr-defined]
        )  # fmt: skip
        if not sums:
            self.sigma = self.states.pop("sigma")

    def _step(self, acc: np.ndarray, raster: np.ndarray) -> None:
        state = [self.states.get("sigma", getattr(self, "sigma", self.counts))]
        state += [self.states[n] for n in ("act", "residue", "error")]
        graded.step_changes(
            acc[0], raster, self.counts, self.totals, *state, self.bias, self.fault, *self.constants
        )
        if self.fault[1]:
            raise oversized(
                self.name, self.at + int(self.fault[0]), int(self.fault[1]), self.model.message_limit
            )


class _Sigma(Neurons):
    names = ("sigma",)
    result = "sigma"

    def _prepare(self) -> None:
        self.raster_dtype = np.dtype(np.int64)

    def _step(self, acc: np.ndarray, raster: np.ndarray) -> None:
        graded.step_sums(acc[0], raster, self.states["sigma"])


NEURONS: dict[type[LoihiNeuron], type[Neurons]] = {
    LoihiLIF: _Lif,
    LoihiIntegrator: _Lif,
    LoihiLIFReset: _LifFamily,
    LoihiTernaryLIF: _LifFamily,
    LoihiLIFRefractory: _LifFamily,
    LoihiRF: _Resonators,
    LoihiRFIZ: _Resonators,
    LoihiDelta: _Changes,
    LoihiSigma: _Sigma,
    LoihiSigmaDelta: _Changes,
}


def neurons(population: Population, dtype: np.dtype, samples: int) -> Neurons:
    """A population at rest."""
    kind = NEURONS[type(population.model)]  # type: ignore[index]
    many = np.ndim(getattr(population.model, "du", 0)) or np.ndim(getattr(population.model, "dv", 0))
    return (_LifFamily if many else kind)(population, dtype, samples)
