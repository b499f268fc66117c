"""The spiking layers of the house: thin modules over time-major tensors [T, N, *shape].

    u = (1 - du) u + a ;   v = (1 - dv) v + u + b ;   s = v > threshold (strict) ;   v = 0 where s

The step itself is `train.step`; `train.fused` runs it over a sequence. du, dv [1/step], threshold
and b [units of v] are scalars of a layer: floats, or a 0-d parameter where dv is learned. Nothing
is kept between calls: a forward starts from rest, `run` takes and returns the state.
"""

import torch
from torch import Tensor, nn

from train import norse_neurons
from train.fused import spike_sequence
from train.precision import full
from train.step import Params, State, integrate_step, rest, spike_step
from train.surrogate import surrogate as named_surrogate

BACKENDS = ("house", "step", "norse-lif", "norse-lifbox")


class _Spiking(nn.Module):
    """Common to the spiking layers: parameters, choice of back-end, forward."""

    def __init__(self, p: Params, gradient: str, backend: str, learn_dv: bool = False) -> None:
        super().__init__()
        named_surrogate(gradient)  # refuse an unknown name now, not in the first backward
        if backend not in BACKENDS:
            raise ValueError(f"unknown neuron backend {backend!r}; known: {', '.join(BACKENDS)}")
        for name, value in (("du", p.du), ("dv", p.dv)):
            if not 0.0 <= float(value) <= 1.0:
                raise ValueError(f"{name} is a decay per step in [0, 1], got {float(value)}")
        if backend.startswith("norse"):
            norse_neurons.check(backend, p, gradient, learn_dv)
        self.du = p.du
        self.dv = nn.Parameter(torch.tensor(float(p.dv))) if learn_dv else p.dv
        self.threshold = p.threshold
        self.bias = p.bias
        self.surrogate = gradient
        self.backend = backend

    @property
    def params(self) -> Params:
        """The layer's scalars as the pure step takes them."""
        return Params(self.du, self.dv, self.threshold, self.bias)

    def extra_repr(self) -> str:
        du, dv = float(self.du), float(self.dv)
        return f"du={du}, dv={dv}, threshold={float(self.threshold)}, {self.surrogate}"

    def run(self, a: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """a [T, N, *shape] -> spikes [T, N, *shape] and the state after the last step."""
        a = full(a)  # a membrane of 16 bits would lose what a step adds to it
        if self.backend == "house":
            return spike_sequence(a, state, self.params, self.surrogate)
        if self.backend.startswith("norse"):
            return norse_neurons.run(self.backend, a, state, self.params, self.surrogate)
        state = rest(a[0]) if state is None else state
        out = []
        for a_t in a:
            s, state = spike_step(a_t, state, self.params, self.surrogate)
            out.append(s)
        return torch.stack(out), state

    def forward(self, a: Tensor) -> Tensor:
        """a [T, N, *shape] -> spikes [T, N, *shape], from rest."""
        return self.run(a)[0]


class LIF(_Spiking):
    """v = (1-dv) v + a; s = v > threshold; v = 0 where s. No current state: du = 1."""

    def __init__(
        self,
        dv: float = 0.5,
        threshold: float = 1.0,
        surrogate: str = "sigmoid",
        backend: str = "house",
        learn_dv: bool = False,
    ) -> None:
        super().__init__(Params(1.0, dv, threshold), surrogate, backend, learn_dv)


class IF(_Spiking):
    """v = v + a; s = v > threshold; v = 0 where s. A LIF without leak: du = 1, dv = 0."""

    def __init__(self, threshold: float = 1.0, surrogate: str = "sigmoid", backend: str = "house") -> None:
        super().__init__(Params(1.0, 0.0, threshold), surrogate, backend)


class CubaLIF(_Spiking):
    """u = (1-du) u + a; v = (1-dv) v + u + b; s = v > threshold; v = 0 where s."""

    def __init__(
        self,
        du: float = 0.5,
        dv: float = 0.5,
        threshold: float = 1.0,
        surrogate: str = "sigmoid",
        backend: str = "house",
        bias: float = 0.0,
        learn_dv: bool = False,
    ) -> None:
        super().__init__(Params(du, dv, threshold, bias), surrogate, backend, learn_dv)


class LeakyIntegrator(nn.Module):
    """The readout: v = (1-dv) v + a, no spike, no reset. dv = 0 is a plain sum over steps.

    read: "all" gives v [T, N, *shape] of every step; "last" the last v [N, *shape]; "mean" the last
    v divided by T, which with dv = 0 is the mean of the input over steps.
    """

    READS = ("all", "last", "mean")

    def __init__(self, dv: float = 0.0, read: str = "last") -> None:
        super().__init__()
        if not 0.0 <= dv <= 1.0:
            raise ValueError(f"dv is a decay per step in [0, 1], got {dv}")
        if read not in self.READS:
            raise ValueError(f"unknown read {read!r}; known: {', '.join(self.READS)}")
        self.du = 1.0
        self.dv = dv
        self.read = read

    def extra_repr(self) -> str:
        return f"dv={self.dv}, read={self.read}"

    def forward(self, a: Tensor) -> Tensor:
        """a [T, N, *shape] -> v, as `read` says."""
        a = full(a)
        state, out = rest(a[0]), []
        for a_t in a:
            state = integrate_step(a_t, state, Params(1.0, self.dv, float("inf")))
            out.append(state.v)
        if self.read == "all":
            return torch.stack(out)
        return state.v / len(a) if self.read == "mean" else state.v
