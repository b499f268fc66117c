"""What two processes compute together, against one process with all of the data."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torch import nn

from train import processes, whole_batch
from train.config import TrainConfig
from train.layers import ChannelNorm
from train.models import registry
from train.objective import Objective
from train.processes import ALONE, DeviceError, Processes, joined
from train.synchronised import GlobalNorm, synchronise
from train.trainer import SettingsError, _refuse_own_statistics, check_batches

# Both processes run this and print what they found. x is cut unevenly: 7 of 20 columns of the batch, then 13.
CODE = """
import json, numpy as np, torch
from torch import nn
from train.data.samples import Samples
from train.evaluate import evaluate
from train.layers import ChannelNorm
from train.processes import joined
from train import whole_batch
from train.synchronised import GlobalNorm, synchronise
from train.whole_batch import GlobalDropout

def case(layer, x, slope):
    layer = layer.double().train()
    layer.weight.data, layer.bias.data = torch.tensor([1.5, -0.5, 2.0]).double(), torch.ones(3).double()
    x = x.requires_grad_()
    y = layer(x)
    ((y - slope) ** 2).sum().backward()
    return [a.detach().tolist() for a in (y, x.grad, layer.weight.grad, layer.bias.grad,
            layer.running_mean, layer.running_var)] + [int(layer.num_batches_tracked)]

def far(rows):
    return torch.cdist(rows, rows.roll(1, 0)).cos().cumsum(1).mean()

with joined("cpu") as group:
    draw = torch.Generator().manual_seed(0)
    whole = torch.randn(2, 20, 3, 4, dtype=torch.float64, generator=draw) * 3 + 100
    aim = torch.randn(2, 20, 3, 4, dtype=torch.float64, generator=draw)
    mine = slice(0, 7) if group.first else slice(7, 20)
    out = {"channel": case(ChannelNorm(3), whole[:, mine].clone(), aim[:, mine])}
    holder = nn.Sequential(nn.BatchNorm1d(3))
    synchronise(holder)
    rows, slopes = whole[0, :, :, 0], aim[0, :, :, 0]
    out["plain"] = case(holder[0], rows[mine].clone(), slopes[mine])
    cut = slice(0, 2) if group.first else slice(2, 8)  # 2 clips and 3, of which 2 rows and 6 count
    clips = 2 if group.first else 3
    points = torch.randn(8, 4, dtype=torch.float64, generator=draw)[cut].clone().requires_grad_()
    each = (points ** 2).sum(1)
    loss = whole_batch.mean(each, clips) + far(whole_batch.rows(points))
    (loss * (clips * 2 / 5)).backward()  # as the trainer weighs it; the wrapper takes the mean of two
    out["rows"] = [loss.item() * clips / 5, (points.grad / 2).tolist()]
    torch.manual_seed(5)
    drop = GlobalDropout(0.4).train()
    shapes = (2, clips, 3), (clips, 3), (clips, 2, 3, 1)
    out["dropout"] = [drop(torch.ones(*shape)).tolist() for shape in shapes]
    out["still"] = drop.eval()(points) is points
    out["told"] = group.told({"a": [1, None, 0.1]} if group.first else None)
    kept = {"w": torch.arange(6.0).view(2, 3) / 7, "n": torch.tensor(3), "rng": torch.tensor([1, 255]).byte()}
    got = group.told_tensors(kept if group.first else {})
    out["tensors"] = all(torch.equal(got[k], x) and got[k].dtype == x.dtype for k, x in kept.items())
    out["total"] = group.total(torch.tensor([2**40 + group.rank, 1])).tolist()
    samples = Samples(np.random.default_rng(0).normal(size=(7, 2, 4, 3, 5)).astype(np.float32),
                      np.ones((7, 2), bool), np.arange(7), tuple("abcdefg"))
    model = nn.Sequential(nn.Flatten(2), nn.Linear(15, 4))
    for p in model.parameters():
        nn.init.constant_(p, 0.3)
    class Scores(nn.Module):
        def forward(self, x): return model(x).mean(0)
    out["scores"] = evaluate(Scores(), samples, 2, group).tolist()
    out["alone"] = evaluate(Scores(), samples, 2).tolist()
    few = samples.limit(2)  # one batch: the second process has none
    out["few"] = evaluate(Scores(), few, 2, group).tolist() == evaluate(Scores(), few, 2).tolist()
    out["part"] = [group.part(np.arange(n)).tolist() for n in (4, 5)]
    out["threads"] = [group.threads(n) for n in (1, 2, 5)]
    print(json.dumps(out))
"""


@pytest.fixture(scope="module")
def found(together):
    ended = together(CODE)
    assert [e.code for e in ended] == [0, 0], ended
    return [json.loads(e.out) for e in ended]


def alone(layer: nn.Module, x: torch.Tensor, aim: torch.Tensor) -> list:
    layer = layer.double().train()
    layer.weight.data, layer.bias.data = torch.tensor([1.5, -0.5, 2.0]).double(), torch.ones(3).double()
    x = x.requires_grad_()
    y = layer(x)
    ((y - aim) ** 2).sum().backward()
    return [y, x.grad, layer.weight.grad, layer.bias.grad, layer.running_mean, layer.running_var]


def close(got: object, want: torch.Tensor) -> bool:
    """float64, sums of 160 terms around 100, their variance 9: 1e-9 of a value."""
    wanted = want.detach().numpy()
    return bool(np.abs(np.asarray(got) - wanted).max() <= 1e-9 * np.abs(wanted).max())


@pytest.mark.parametrize("kind", ["channel", "plain"])
def test_a_norm_is_that_of_the_whole_batch(found, kind) -> None:
    """Output, all gradients (the weights' are summed by whoever wraps the model), running statistics."""
    draw = torch.Generator().manual_seed(0)
    whole = torch.randn(2, 20, 3, 4, dtype=torch.float64, generator=draw) * 3 + 100
    aim = torch.randn(2, 20, 3, 4, dtype=torch.float64, generator=draw)
    axis = 1 if kind == "channel" else 0
    layer = ChannelNorm(3) if kind == "channel" else nn.BatchNorm1d(3)
    x, y = (whole, aim) if kind == "channel" else (whole[0, :, :, 0], aim[0, :, :, 0])
    want = alone(layer, x.clone(), y)
    parts = [f[kind] for f in found]
    for k in (0, 1):
        joint = np.concatenate([p[k] for p in parts], axis)
        assert want[k].abs().max() > 0.1, "vacuous case"
        assert close(joint, want[k])
    for k in (2, 3):
        assert close(np.add(parts[0][k], parts[1][k]), want[k])
    for k in (4, 5):
        assert parts[0][k] == parts[1][k], "the processes differ"
        assert close(parts[0][k], want[k])
    assert parts[0][6] == 1


def test_a_norm_of_one_part_would_be_seen() -> None:
    """The comparison can fail: the first part's own statistics are others."""
    draw = torch.Generator().manual_seed(0)
    whole = torch.randn(2, 20, 3, 4, dtype=torch.float64, generator=draw) * 3 + 100
    norm = ChannelNorm(3).double()
    assert not close(norm(whole[:, :7]).detach(), norm(whole)[:, :7])


def test_means_and_comparisons_are_those_of_the_whole_batch(found) -> None:
    """Loss and gradients of rows that are unevenly spread, where one process has two clips and one three."""
    draw = torch.Generator().manual_seed(0)
    for _ in range(2):
        torch.randn(2, 20, 3, 4, dtype=torch.float64, generator=draw)
    points = torch.randn(8, 4, dtype=torch.float64, generator=draw).requires_grad_()
    want = whole_batch.mean((points**2).sum(1), 5)
    want = want + torch.cdist(points, points.roll(1, 0)).cos().cumsum(1).mean()
    want.backward()
    assert sum(f["rows"][0] for f in found) == pytest.approx(want.item(), rel=1e-9)
    assert close(found[0]["rows"][1] + found[1]["rows"][1], points.grad)


def test_dropout_has_the_mask_of_one_process(found) -> None:
    torch.manual_seed(5)
    for place, (shape, axis) in enumerate((((2, 5, 3), 1), ((5, 3), 0), ((5, 2, 3, 1), 0))):
        want = torch.nn.functional.dropout(torch.ones(shape), 0.4)
        assert 0 < (want == 0).sum() < want.numel(), "vacuous case"
        assert torch.equal(torch.cat([torch.tensor(f["dropout"][place]) for f in found], axis), want)
    assert found[0]["still"] and found[1]["still"]


def test_what_process_0_says_is_known_to_both(found) -> None:
    assert [f["told"] for f in found] == [{"a": [1, None, 0.1]}] * 2
    assert [f["tensors"] for f in found] == [True, True]
    assert [f["total"] for f in found] == [[2**41 + 1, 2]] * 2


def test_scores_of_a_shared_evaluation_are_those_of_one_process(found) -> None:
    assert found[0]["scores"] == found[1]["scores"] == found[0]["alone"]
    assert np.ptp(found[0]["scores"]) > 0
    assert found[0]["few"] and found[1]["few"]


def test_parts_and_threads(found) -> None:
    assert [f["part"] for f in found] == [[[0, 1], [0, 1, 2]], [[2, 3], [3, 4]]]
    assert found[0]["threads"] == [1, 1, 2]


def test_one_process_exchanges_nothing() -> None:
    assert not processes.several()
    x = torch.ones(3)
    assert ALONE.total(x) is x and ALONE.told({"a": 1}) == {"a": 1}
    model = nn.Linear(2, 2)
    assert ALONE.wrap(model) is model
    order = np.arange(5)
    assert ALONE.part(order) is order and ALONE.threads(7) == 7
    with joined("cpu") as group:
        assert group == ALONE


def test_synchronise_keeps_parameters_and_names() -> None:
    holder = nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.BatchNorm1d(3, eps=1e-3)))
    before, names = list(holder.parameters()), list(holder.state_dict())
    synchronise(holder)
    assert type(holder[1][0]) is GlobalNorm and holder[1][0].eps == 1e-3
    assert all(a is b for a, b in zip(holder.parameters(), before, strict=True))
    assert list(holder.state_dict()) == names
    assert holder.train()(torch.randn(4, 2)).std() > 0.1  # alone, it is a batch norm


@pytest.mark.parametrize("name", sorted(n for n, e in registry.MODELS.items() if e.task == "action"))
def test_a_model_can_be_shared(name: str) -> None:
    """Each parameter has a part in every batch, as DistributedDataParallel wants; norms are shared."""
    repeat = registry.entry(name).recipe.get("repeat", 0)  # a clip model is shown frames as an axis
    settings = {"in_channels": 3, "classes": 4, "layout": "kinect20"}
    if "frames" in registry.fields_of(name):
        settings["frames"] = 16
    objective = Objective(registry.build(name, settings)).train()
    _refuse_own_statistics(objective)
    x = torch.randn(repeat, 2, 3, 16, 20) if repeat else torch.randn(16, 2, 3, 20)
    objective(x, torch.tensor([0, 1]))[0].backward()
    assert [k for k, p in objective.named_parameters() if p.grad is None] == []


def test_a_pose_network_can_be_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its norms become those of all processes: of one, the same values, statistics and gradients."""
    plain, wide = (nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)) for _ in range(2))
    wide.load_state_dict(plain.state_dict())
    synchronise(wide)
    objective = Objective(wide)
    _refuse_own_statistics(objective)
    monkeypatch.setattr(processes, "several", lambda: True)
    monkeypatch.setattr(processes, "gathered", lambda x: x[None])
    monkeypatch.setattr(processes, "summed", lambda x: x)
    x = torch.randn(2, 3, 5, 6)
    for net in (plain, wide):
        net.train()(x).square().cumsum(0).sum().backward()
    # float32 sums of 60 values in another order
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(wide.state_dict()[name], value, atol=1e-5, rtol=1e-5)
    for a, b in zip(plain.parameters(), wide.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(plain(x), wide(x), atol=1e-5, rtol=1e-5)


def test_a_norm_of_its_own_statistics_is_refused() -> None:
    class Net(nn.Sequential):
        pass

    _refuse_own_statistics(Objective(Net(ChannelNorm(3))))
    with pytest.raises(SettingsError, match=r"model\.1: a BatchNorm2d .* use train.layers.ChannelNorm"):
        _refuse_own_statistics(Objective(Net(ChannelNorm(3), nn.BatchNorm2d(3))))


@pytest.mark.parametrize(
    ("clips", "batch", "size", "message"),
    [
        (100, 15, 2, "batch 15 does not divide by 2 processes.*take a multiple of 2, such as 16"),
        (100, 3, 4, "batch 3 does not divide by 4 processes.*take a multiple of 4, such as 4"),
        (97, 16, 2, "97 clips in batches of 16 leave 1 for 2 processes"),
    ],
)
def test_batches_that_cannot_be_shared_are_refused(clips, batch, size, message) -> None:
    with pytest.raises(SettingsError, match=message):
        check_batches(clips, TrainConfig(batch=batch), Processes(0, size))


@pytest.mark.parametrize(("clips", "batch", "size"), [(96, 16, 4), (98, 16, 2), (99, 16, 2), (97, 15, 1)])
def test_batches_that_can_be_shared(clips, batch, size) -> None:
    check_batches(clips, TrainConfig(batch=batch), Processes(0, size))


def test_the_device_is_one_that_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert processes._device("auto", 0, 1) == processes._device("cpu", 3, 8) == torch.device("cpu")
    with pytest.raises(DeviceError, match="found no GPU"):
        processes._device("cuda", 0, 1)
    with pytest.raises(DeviceError, match="unknown device 'tpu'"):
        processes._device("tpu", 0, 1)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    assert processes._device("auto", 1, 2) == torch.device("cuda", 1) and chosen == [1]
    assert processes._device("cpu", 0, 1) == torch.device("cpu")
    with pytest.raises(DeviceError, match=r"found 2 GPUs for 3 processes.*--nproc-per-node 2"):
        processes._device("auto", 0, 3)
