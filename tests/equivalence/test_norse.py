"""Norse's LIF and LIF box, under the mapping of train.norse_neurons, are the house neuron."""

import pytest
import torch

from train import norse_neurons
from train.neurons import BACKENDS, CubaLIF
from train.step import Params

STEPS = 200

CASES = [
    ("norse-lifbox", 1.0, 0.5),
    ("norse-lifbox", 1.0, 0.13),
    ("norse-lif", 1.0, 0.5),
    ("norse-lif", 0.3, 0.2),
    ("norse-lif", 0.75, 0.9),
]


def drive(dtype: torch.dtype) -> torch.Tensor:
    generator = torch.Generator().manual_seed(11)
    return 0.7 * torch.randn(STEPS, 4, 6, 8, generator=generator, dtype=dtype) + 0.2


@pytest.mark.parametrize(("backend", "du", "dv"), CASES)
def test_spikes_and_states_in_float64(backend: str, du: float, dv: float) -> None:
    """Spikes equal over all steps, states within 1e-12.

    The two forms round otherwise by some ulp; leak and reset forget the difference. A spike could
    differ only where v is that near the threshold.
    """
    a = drive(torch.float64)
    ours, last = CubaLIF(du, dv, surrogate="triangle").run(a)
    theirs, their_last = CubaLIF(du, dv, surrogate="triangle", backend=backend).run(a)
    assert 0.02 < ours.mean() < 0.9, "vacuous case"
    assert torch.equal(ours, theirs)
    assert (last.v - their_last.v).abs().max() < 1e-12
    assert (last.u - their_last.u).abs().max() < 1e-12


@pytest.mark.parametrize(("backend", "du", "dv"), CASES)
def test_spikes_in_float32(backend: str, du: float, dv: float) -> None:
    """Roundings differ by about 1e-7: at most 1 spike in 10,000 may fall on the other side."""
    a = drive(torch.float32)
    ours = CubaLIF(du, dv, surrogate="triangle")(a)
    theirs = CubaLIF(du, dv, surrogate="triangle", backend=backend)(a)
    assert ours.sum() > 500, "vacuous case"
    assert (ours != theirs).float().mean() < 1e-4


def test_a_power_of_two_decay_lands_on_the_threshold_alike() -> None:
    """dv = 1/2 and inputs in eighths are exact in both forms: v = 1 is reached and does not
    fire."""
    a = torch.tensor([0.5, 0.75, 0.5, 1.0, 1.125, 1.0]).view(6, 1, 1)
    want = [0, 0, 0, 1, 1, 0]  # v: 0.5, 1.0, 1.0, 1.5 -> 0, 1.125 -> 0, 1.0
    for backend in BACKENDS:
        assert CubaLIF(1.0, 0.5, surrogate="triangle", backend=backend)(a).flatten().tolist() == want


@pytest.mark.parametrize("backend", ["norse-lif", "norse-lifbox"])
def test_gradients_of_one_step_agree(backend: str) -> None:
    """One step only: Norse differentiates its reset, even where nothing fires, and the house does
    not."""
    a = 1.0 + torch.randn(1, 4, 50, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    grads = []
    for name in ("house", backend):
        leaf = a.clone().requires_grad_()
        s = CubaLIF(1.0, 0.5, surrogate="triangle", backend=name)(leaf)
        assert 0 < s.mean() < 1, "vacuous case"
        grads.append(torch.autograd.grad(s.sum(), leaf)[0])
    assert grads[0].abs().max() > 0, "vacuous case"
    # Norse multiplies by dv what was divided by it: the same number, rounded twice
    assert (grads[0] - grads[1]).abs().max() < 1e-12


def test_a_learned_decay_is_refused() -> None:
    with pytest.raises(ValueError, match="learned dv"):
        norse_neurons.check("norse-lif", Params(1.0, 0.5, 1.0), "triangle", learn_dv=True)
