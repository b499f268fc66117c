"""SMF: mutual information against a count of every event, running tables, gates that fold into the weight."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from train.labelled import labelled
from train.modality_fusion import MOMENTUM, ModalityFusion, redundancy, relevance, tables

M, C, K = 3, 2, 4
SHAPE = torch.Size((M, C, K))


def spikes(seed=0, samples=5, rate=0.35):
    """[T, N, M C, V, F]"""
    draw = torch.Generator().manual_seed(seed)
    return (torch.rand(3, samples, M * C, 4, 2, generator=draw) < rate).float()


def information(events):
    """I of a list of pairs (a, b), by counting."""
    n = len(events)
    total = 0.0
    for pair in set(events):
        p = events.count(pair) / n
        a = sum(e[0] == pair[0] for e in events) / n
        b = sum(e[1] == pair[1] for e in events) / n
        total += p * math.log(p / (a * b))
    return total


def brute_force(s, labels):
    """relevance and redundancy [M, C], every step, joint and frame of a clip an event."""
    t, n, _, v, f = s.shape
    places = list(itertools.product(range(t), range(n), range(v), range(f)))
    of = s.view(t, n, M, C, v, f)
    rel, red = torch.zeros(M, C), torch.zeros(M, C)
    for m, c in itertools.product(range(M), range(C)):
        mine = [int(of[i, j, m, c, k, x]) for i, j, k, x in places]
        rel[m, c] = information([(a, int(labels[j])) for a, (_, j, _, _) in zip(mine, places, strict=True)])
        for o in range(M):
            if o != m:
                theirs = [int(of[i, j, o, c, k, x]) for i, j, k, x in places]
                red[m, c] += information(list(zip(mine, theirs, strict=True))) / (M - 1)
    return rel, red


@pytest.fixture
def batch():
    s = spikes()
    s[:, :, C] = s[:, :, 0]  # a copy: as redundant as can be
    s[:, 1, 3] = 1.0  # what tells one clip from the others
    return s, torch.tensor([0, 2, 1, 0, 2])


def test_mutual_information_is_that_of_the_events(batch):
    s, labels = batch
    fired, classes, both = tables(s.permute(0, 1, 4, 3, 2), labels, SHAPE)
    rel, red = brute_force(s, labels)
    assert rel.max() > 0.02 and red.max() > 0.1, "vacuous case"
    # float32: logarithms of frequencies of some hundred events
    torch.testing.assert_close(relevance(fired, classes), rel, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(redundancy(both), red, rtol=1e-4, atol=1e-6)


def test_gates_are_the_softmax_and_absent_persons_take_no_part(batch):
    s, labels = batch
    layer = ModalityFusion(M, C, 4, K, sharpness=3.0)
    noise = spikes(9)
    present = torch.tensor([[True, False]] * 5)
    both = torch.stack([s, noise], 2).flatten(1, 2)  # persons of a sample side by side
    with labelled(layer, labels, present):
        layer(both)
    assert layer.labels is None
    rel, red = brute_force(s, labels)
    torch.testing.assert_close(layer.gates, torch.softmax(3.0 * (rel - red), 0), rtol=1e-4, atol=1e-6)
    assert float(layer.gates.std()) > 0.01, "vacuous case"


def test_tables_are_exact_under_mixed_precision(batch):
    """Products of spikes and labels in bfloat16 would round frequencies by up to 0.4 %."""
    s, labels = batch
    there = torch.ones(5, 1, dtype=torch.bool)
    plain, mixed = (ModalityFusion(M, C, 4, K, sharpness=1.0) for _ in range(2))
    with labelled(plain, labels, there):
        plain(s)
    with labelled(mixed, labels, there), torch.autocast("cpu", torch.bfloat16):
        mixed(s)
    for name in ("fired", "classes", "both", "gates"):
        assert torch.equal(getattr(mixed, name), getattr(plain, name)), name
    assert not torch.equal(plain.fired, plain.fired.bfloat16().float()), "vacuous case"


def test_tables_run_and_are_frozen_outside_training(batch):
    s, labels = batch
    there = torch.ones(5, 1, dtype=torch.bool)
    layer = ModalityFusion(M, C, 4, K, sharpness=1.0)
    with labelled(layer, labels, there):
        layer(s)
        first = layer.fired.clone()
        layer(spikes(1))
    rows = spikes(1).permute(0, 1, 4, 3, 2)
    want = torch.lerp(first, tables(rows, labels, SHAPE)[0], MOMENTUM)
    assert torch.equal(layer.fired, want)
    kept = {k: v.clone() for k, v in layer.state_dict().items()}
    layer(spikes(2))  # no labels
    layer.eval()
    with labelled(layer, labels, there):
        layer(spikes(3))
    assert all(torch.equal(v, kept[k]) for k, v in layer.state_dict().items())


def test_frozen_gates_are_in_the_weight(batch):
    s, labels = batch
    layer = ModalityFusion(M, C, 4, K, sharpness=5.0)
    with labelled(layer, labels, torch.ones(5, 1, dtype=torch.bool)):
        layer(s)
    layer.eval()
    gated = s * layer.gates.flatten()[:, None, None]
    want = torch.einsum("oc,tncvf->tnovf", layer.weight, gated)
    # float32: sums of six products, rounded in another order
    torch.testing.assert_close(layer(s), want, rtol=1e-5, atol=1e-6)


def test_one_modality_and_no_gates():
    alone = ModalityFusion(1, C, 4, K, sharpness=5.0)
    plain = ModalityFusion(M, C, 4, K, sharpness=5.0, gated=False)
    labels, there = torch.tensor([0, 2, 1, 0, 2]), torch.ones(5, 1, dtype=torch.bool)
    for layer, s in ((alone, spikes()[:, :, :C]), (plain, spikes())):
        with labelled(layer, labels, there):
            layer(s)
        assert torch.equal(layer.gates, torch.full_like(layer.gates, 1.0 / len(layer.gates)))
