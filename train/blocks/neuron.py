"""The neurons a spiking model is built of: one record, from which its blocks take their layers."""

from dataclasses import dataclass

from torch import nn

from train.neurons import IF, LIF

KINDS = ("spike", "relu")

BRANCH_GAIN = 0.1
"""What the norm of a residual branch starts from. At 1 the branch's noise drowns the spike that comes
round it, layer upon layer: four blocks of Signal-SGN learn nothing in their first epochs; with 0.1 they do.
"""


@dataclass(frozen=True, slots=True)
class Neurons:
    """dv [1/step], threshold [units of v]; which surrogate gradient and which back-end compute them;
    branch_gain, what the norms of residual branches between them start from.

    kind relu puts max(0, x) in the place of every neuron: the same architecture as a network of real values,
    the twin that energy is compared with.
    """

    dv: float = 0.5
    threshold: float = 1.0
    attention: float = 0.5  # threshold behind a product of spikes
    surrogate: str = "sigmoid"
    backend: str = "house"
    learn_dv: bool = False
    kind: str = "spike"
    branch_gain: float = BRANCH_GAIN

    def layer(self) -> nn.Module:
        """A spiking layer behind a linear map."""
        return self._lif(self.threshold)

    def _lif(self, threshold: float) -> nn.Module:
        if self.kind == "relu":
            return nn.ReLU()
        return LIF(self.dv, threshold, self.surrogate, self.backend, self.learn_dv)

    def counting(self) -> nn.Module:
        """A spiking layer behind a product of spikes."""
        return self._lif(self.attention)

    def integrating(self, threshold: float | None = None) -> nn.Module:
        """A spiking layer without leak."""
        if self.kind == "relu":
            return nn.ReLU()
        return IF(self.threshold if threshold is None else threshold, self.surrogate, self.backend)
