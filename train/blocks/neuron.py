"""The neurons a spiking model is built of: one record, from which its blocks take their layers."""

from dataclasses import dataclass

from train.neurons import IF, LIF

BRANCH_GAIN = 0.1
"""What the norm of a residual branch starts from. At 1 the branch's noise drowns the spike that comes
round it, layer upon layer: four blocks of Signal-SGN learn nothing in their first epochs; with 0.1 they do.
"""


@dataclass(frozen=True, slots=True)
class Neurons:
    """dv [1/step], threshold [units of v]; which surrogate gradient and which back-end compute them."""

    dv: float = 0.5
    threshold: float = 1.0
    attention: float = 0.5  # threshold behind a product of spikes
    surrogate: str = "sigmoid"
    backend: str = "house"
    learn_dv: bool = False

    def layer(self) -> LIF:
        """A spiking layer behind a linear map."""
        return LIF(self.dv, self.threshold, self.surrogate, self.backend, self.learn_dv)

    def counting(self) -> LIF:
        """A spiking layer behind a product of spikes."""
        return LIF(self.dv, self.attention, self.surrogate, self.backend, self.learn_dv)

    def integrating(self, threshold: float | None = None) -> IF:
        """A spiking layer without leak."""
        return IF(self.threshold if threshold is None else threshold, self.surrogate, self.backend)
