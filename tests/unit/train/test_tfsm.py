"""Terms of the objective: TFSM's losses against their formulas, and that no trace of them is left."""

import numpy as np
import pytest
import torch

from convert.from_torch import from_torch
from train.config import TrainConfig
from train.models import registry
from train.objective import Objective, Seen
from train.skeletons import layout
from train.terms import registry as terms
from train.terms.tfsm import body_parts, supcon
from train.trainer import SettingsError

SETTINGS = {"in_channels": 3, "classes": 4, "layout": "kinect20", "channels": (8, 8, 16)}


@pytest.fixture
def model():
    torch.manual_seed(0)
    return registry.build("base-sgn", SETTINGS)


def built(model, weight=1.0, persons=1):
    config = TrainConfig(tfsm=weight)
    return terms.build(config, terms.Setting(model, torch.zeros(6, persons, 3, 20), 4, layout("kinect20")))


def test_supcon_against_its_sum():
    """A plain double loop in float64; 1e-5 is float32's rounding of sums of a few terms of size 10."""
    generator = torch.Generator().manual_seed(1)
    e, labels = torch.randn(7, 5, generator=generator), torch.tensor([0, 1, 0, 2, 1, 0, 3])
    unit = e.double().numpy() / np.linalg.norm(e.double().numpy(), axis=1, keepdims=True)
    each = []
    for i in range(7):
        others = [j for j in range(7) if j != i]
        same = [j for j in others if labels[j] == labels[i]]
        whole = sum(np.exp(unit[i] @ unit[j] / 0.1) for j in others)
        if same:
            each.append(-np.mean([np.log(np.exp(unit[i] @ unit[p] / 0.1) / whole) for p in same]))
    assert len(each) == 5, "classes 2 and 3 stand alone"
    assert float(supcon(e, labels, 0.1)) == pytest.approx(np.mean(each), abs=1e-5)
    assert float(supcon(e[:2], labels[:2], 0.1)) == 0.0  # nobody has a partner
    with torch.autocast("cpu", torch.bfloat16):
        assert float(supcon(e, labels, 0.1)) == pytest.approx(np.mean(each), abs=1e-5)


def test_body_parts_cover_each_joint_once():
    parts = body_parts(layout("kinect20"))
    assert ((parts > 0).sum(0) == 1).all() and torch.allclose(parts.sum(1), torch.ones(3))
    names = layout("kinect20").joints
    assert {names[j] for j in parts[0].nonzero().flatten()} == {
        "hip centre", "spine", "shoulder centre", "head"
    }  # fmt: skip
    assert "left hand" in {names[j] for j in parts[1].nonzero().flatten()}
    assert "right foot" in {names[j] for j in parts[2].nonzero().flatten()}
    for name in ("kinect20", "ntu25"):
        assert (body_parts(layout(name)) > 0).any(1).all()


def test_the_loss_reaches_the_model_and_its_own_weights(model):
    """Gradient of the term alone; an absent person changes nothing."""
    (term,) = built(model)
    objective = Objective(model, [term], 0.1)
    x = 2.0 * torch.randn(6, 8, 3, 20, generator=torch.Generator().manual_seed(2))
    labels = torch.tensor([0, 1, 2, 3, 0, 1, 2, 3])
    loss, scores, parts = objective(x, labels)
    assert set(parts) == {"tfsm-class", "tfsm-contrast"} and all(float(v) > 0 for v in parts.values())
    plain = torch.nn.functional.cross_entropy(scores, labels, label_smoothing=0.1)
    assert float(loss) == pytest.approx(float(plain + sum(parts.values())), rel=1e-6)
    loss.backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in term.parameters())
    assert term.watched == ("blocks.1", "blocks.2")


def test_absent_persons_take_no_part(model):
    (term,) = built(model, persons=2)
    taps = {name: torch.rand(6, 8, 8 if name == "blocks.1" else 16, 20) for name in term.watched}
    present = torch.tensor([[True, False], [True, True], [True, False], [True, True]])
    labels = torch.tensor([0, 1, 0, 1])
    first = term(Seen(torch.zeros(1), present, labels, torch.zeros(4, 4), taps))
    for tap in taps.values():
        tap[:, [1, 5]] = 9.0
    second = term(Seen(torch.zeros(1), present, labels, torch.zeros(4, 4), taps))
    assert all(torch.equal(first[k], second[k]) for k in first)


@pytest.mark.parametrize("name", ["base-sgn", "signal-sgn"])
def test_the_exported_graph_is_the_same_node_for_node(name):
    more = {"frames": 6, "heads": 2, "levels": 1} if name == "signal-sgn" else {}
    model = registry.build(name, SETTINGS | more)
    before = from_torch(model, (3, 20))
    state = {k: v.clone() for k, v in model.state_dict().items()}
    (term,) = built(model)
    assert all(torch.equal(v, state[k]) for k, v in model.state_dict().items())
    Objective(model, [term])(torch.randn(6, 4, 3, 20), torch.tensor([0, 1, 0, 1]))[0].backward()
    after = from_torch(model, (3, 20))
    assert list(before.nodes) == list(after.nodes) and before.edges == after.edges
    assert [type(n) for n in before.nodes.values()] == [type(n) for n in after.nodes.values()]


def test_none_where_none_is_asked_for(model):
    assert built(model, 0.0) == []
    flat = registry.build("st-gcn", SETTINGS)
    with pytest.raises(SettingsError, match=r"STGCN: names no stages.*set both to 0"):
        built(flat)
    with pytest.raises(ValueError, match="tfsm"):
        TrainConfig(tfsm=-1.0)
