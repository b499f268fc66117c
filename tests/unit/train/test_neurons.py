"""The house neuron: hand-sized truths, fused against step, hand-written against automatic
gradients."""

import pytest
import torch

from train.fused import spike_sequence
from train.neurons import IF, LIF, CubaLIF, LeakyIntegrator
from train.step import Params, State, spike_step
from train.surrogate import SURROGATES, spike, surrogate

STEPS = 60


def drive(dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """[T, N, C, V] noise around a mean that makes neurons fire often, but not always."""
    generator = torch.Generator().manual_seed(3)
    return (torch.randn(STEPS, 3, 5, 7, generator=generator, dtype=torch.float64) + 0.4).to(dtype)


def loop(a: torch.Tensor, state: State, p: Params, name: str) -> tuple[torch.Tensor, State]:
    out = []
    for a_t in a:
        s, state = spike_step(a_t, state, p, name)
        out.append(s)
    return torch.stack(out), state


def test_hand_sized_lif() -> None:
    # v: 0.5, 0.75, 0.875+0.25=... written out: v = v/2 + a
    a = torch.tensor([0.5, 0.5, 1.0, 0.0, 2.0]).view(5, 1, 1)
    # 0.5; 0.75; 1.375 -> spike, 0; 0; 2 -> spike
    assert LIF(dv=0.5)(a).flatten().tolist() == [0, 0, 1, 0, 1]


def test_threshold_is_strict() -> None:
    a = torch.tensor([1.0, 0.5]).view(2, 1, 1)
    # v = 1 exactly does not fire; then 0.5 + 0.5 = 1 does not either
    for backend in ("house", "step"):
        assert LIF(dv=0.5, backend=backend)(a).sum() == 0
        assert LIF(dv=0.5, backend=backend)(torch.nextafter(a, a + 1)).sum() > 0


def test_if_counts_its_input() -> None:
    # 0.25 a step, no leak: 1.25 is the first above 1, so one spike every 5 steps
    assert IF()(torch.full((20, 1, 1), 0.25)).flatten().nonzero().flatten().tolist() == [
        4,
        9,
        14,
        19,
    ]


def test_current_acts_in_the_same_step_and_survives_the_reset() -> None:
    a = torch.tensor([2.0, 0.0, 0.0]).view(3, 1, 1)
    # u: 2, 1, 0.5.  v: 2 -> spike; 0 + 1 = 1, no spike; 0.5 + 0.5 = 1, no spike
    s, state = CubaLIF(du=0.5, dv=0.5).run(a)
    assert s.flatten().tolist() == [1, 0, 0]
    assert state.u.item() == 0.5
    assert state.v.item() == 1.0


@pytest.mark.parametrize("du", [1.0, 0.3])
@pytest.mark.parametrize("bias", [0.0, 0.1])
def test_fused_equals_step_bit_for_bit(du: float, bias: float) -> None:
    p = Params(du, 0.37, 1.0, bias)
    a = drive()
    start = State(torch.rand_like(a[0]), torch.rand_like(a[0]))
    s, last = spike_sequence(a, start, p, "sigmoid")
    want, want_last = loop(a, start, p, "sigmoid")
    assert 0.05 < want.mean() < 0.95, "vacuous case"
    assert torch.equal(s, want)
    assert torch.equal(last.u, want_last.u)
    assert torch.equal(last.v, want_last.v)


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (0, 1, 3, 2), (0, 3, 1, 2)])
def test_memory_order_does_not_matter(order: tuple[int, ...]) -> None:
    a = drive().permute(order)
    assert torch.equal(LIF()(a), LIF()(a.contiguous()))


@pytest.mark.parametrize("name", sorted(SURROGATES))
@pytest.mark.parametrize("du", [1.0, 0.3])
def test_backward_equals_automatic_gradient(name: str, du: float) -> None:
    """float64, so that only the order of additions differs: 1e-10 of the largest entry."""
    leaves = [drive(torch.float64).requires_grad_()]
    leaves += [torch.rand(3, 5, 7, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    leaves += [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in (du, 0.4, 1.0, 0.1)]
    grads = []
    for run in (spike_sequence, loop):
        a, u, v, *scalars = leaves
        s, last = run(a, State(u, v), Params(*scalars), name)
        assert 0.05 < s.mean() < 0.95, "vacuous case"
        weight = torch.linspace(-1, 1, s.numel(), dtype=torch.float64).view_as(s)
        total = (s * weight).sum() + last.v.square().sum() + last.u.sum()
        grads.append(torch.autograd.grad(total, leaves))
    for k, (got, want) in enumerate(zip(*grads, strict=True)):
        # with du = 1 the first u is forgotten, and its gradient is zero
        assert want.abs().max() > 0 or (du == 1.0 and k == 1), "vacuous case"
        assert (got - want).abs().max() <= 1e-10 * want.abs().max()


def test_float32_backward_equals_the_step_loop() -> None:
    a = drive().requires_grad_()
    got = torch.autograd.grad(LIF()(a).square().sum(), a)[0]
    want = torch.autograd.grad(LIF(backend="step")(a).square().sum(), a)[0]
    # the same operations on float32; a few roundings may fall otherwise: 1e-6 of the largest
    assert (got - want).abs().max() <= 1e-6 * want.abs().max()


def test_split_sequence_continues_with_its_state() -> None:
    a, layer = drive(), CubaLIF(du=0.4, dv=0.3)
    whole, _ = layer.run(a)
    first, state = layer.run(a[:25])
    second, _ = layer.run(a[25:], state)
    assert torch.equal(whole, torch.cat([first, second]))
    assert torch.equal(whole, layer(a)), "a forward must start from rest"


@pytest.mark.parametrize("name", sorted(SURROGATES))
def test_surrogates(name: str) -> None:
    """Each is even, peaks at the threshold with 1, and falls to (almost) nothing far away."""
    x = torch.arange(-300, 301, dtype=torch.float64) / 100
    h = surrogate(name)(x)
    assert torch.allclose(h, h.flip(0), rtol=0, atol=1e-12)  # of a sigmoid's two tails
    assert h.argmax() == 300 or name == "rectangular"
    assert h[300] == 1.0
    assert h[0] < 0.02
    leaf = x.clone().requires_grad_()
    s = spike(leaf, name)
    assert torch.equal(s.detach(), (x > 0).double())
    assert torch.equal(torch.autograd.grad(s.sum(), leaf)[0], h)


def test_leaky_integrator_reads() -> None:
    a = torch.tensor([1.0, 2.0, 3.0]).view(3, 1, 1)
    assert LeakyIntegrator(0.0, "all")(a).flatten().tolist() == [1, 3, 6]
    assert LeakyIntegrator(0.5, "last")(a).item() == 1 / 4 + 2 / 2 + 3
    assert LeakyIntegrator(0.0, "mean")(a).item() == 2


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (lambda: LIF(surrogate="nope"), "nope.*atan"),
        (lambda: LIF(backend="nope"), "nope.*house"),
        (lambda: LIF(dv=1.5), "dv.*1.5"),
        (lambda: CubaLIF(du=-0.1), "du.*-0.1"),
        (lambda: LeakyIntegrator(read="nope"), "nope.*mean"),
        (lambda: LIF(backend="norse-lif"), "sigmoid.*triangle"),
        (lambda: IF(backend="norse-lifbox", surrogate="triangle"), "dv = 0"),
        (lambda: CubaLIF(backend="norse-lifbox", surrogate="triangle"), "du must be 1"),
    ],
)
def test_refusals_name_what_was_found(make: object, names: str) -> None:
    with pytest.raises(ValueError, match=names):
        make()
