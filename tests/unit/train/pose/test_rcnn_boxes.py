"""Boxes of the keypoint R-CNN: overlaps, anchors, deltas, matching, suppression, against plain loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from train.pose import affine
from train.pose.rcnn.anchors import anchors
from train.pose.rcnn.boxes import area, clipped, covered, iou
from train.pose.rcnn.deltas import FACTOR, PROPOSAL, REFINED, decoded, encoded
from train.pose.rcnn.matching import balanced, match, sampled
from train.pose.rcnn.proposals import proposals
from train.pose.rcnn.regions import from_region, ratio_consistent, to_region
from train.pose.rcnn.suppression import kept

SEEDS = st.integers(0, 2**16)


def boxes_of(seed, *shape, side=40.0):
    """Corners of boxes in a frame of 100 by 80, some of them alike."""
    draw = np.random.default_rng(seed)
    low = draw.integers(0, 60, (*shape, 2))
    return torch.tensor(
        np.concatenate([low, low + draw.integers(1, side, (*shape, 2))], -1), dtype=torch.float64
    )


def cells_of(box):
    """The whole pixels that a box of whole numbers covers."""
    x1, y1, x2, y2 = map(int, box)
    return {(x, y) for x in range(x1, x2) for y in range(y1, y2)}


@given(SEEDS)
def test_overlaps_are_counts_of_pixels(seed):
    """Boxes of whole numbers cover whole pixels: no pixel is added to a width."""
    a, b = boxes_of(seed, 4), boxes_of(seed + 1, 3)
    for i, one in enumerate(a):
        mine = cells_of(one)
        assert area(one) == len(mine)
        for j, other in enumerate(b):
            both, either = len(mine & cells_of(other)), len(mine | cells_of(other))
            assert float(iou(a, b)[i, j]) == both / either
            assert float(covered(a, b)[i, j]) == both / len(mine)


def test_nothing_overlaps_nothing():
    empty = torch.zeros(1, 4)
    assert float(iou(empty, empty)) == 0.0 and float(area(torch.tensor([5.0, 5, 1, 9]))) == 0.0
    assert clipped(torch.tensor([-3.0, 2, 500, 90]), (100, 80)).tolist() == [0, 2, 100, 80]


def test_anchors_stand_in_the_middle_of_their_cells():
    made = anchors((2, 3), 8, 16.0, (0.25, 1.0, 4.0))
    assert made.shape == (2 * 3 * 3, 4)
    middles = (made[:, :2] + made[:, 2:]) / 2
    assert middles[::3].tolist() == [[4, 4], [12, 4], [20, 4], [4, 12], [12, 12], [20, 12]]
    sides = made[:, 2:] - made[:, :2]
    assert sides[:3].tolist() == [[32, 8], [16, 16], [8, 32]]  # height / width 1/4, 1, 4; 256 pixels each


@given(SEEDS, st.sampled_from([PROPOSAL, REFINED]))
def test_deltas_there_and_back(seed, spread):
    boxes, others = boxes_of(seed, 5), boxes_of(seed + 1, 5)
    back = decoded(encoded(boxes, others, spread), others, spread)
    torch.testing.assert_close(back, boxes, atol=1e-9, rtol=0)  # float64: a few roundings of numbers to 100


def test_deltas_by_hand():
    """A box as high, twice as wide, half its anchor's width to the right."""
    found = encoded(torch.tensor([[10.0, 0, 30, 10]]), torch.tensor([[10.0, 0, 20, 10]]), PROPOSAL)
    torch.testing.assert_close(found, torch.tensor([[0.5, 0, math.log(2), 0]]))
    assert (
        decoded(torch.tensor([[0.0, 0, 1e9, -1e9]]), torch.tensor([[0.0, 0, 2, 2]]), PROPOSAL)
        .isfinite()
        .all()
    )
    wide = decoded(torch.tensor([[0.0, 0, 1e9, 0]]), torch.tensor([[0.0, 0, 2, 2]]), PROPOSAL)
    assert float(wide[0, 2] - wide[0, 0]) == pytest.approx(2 * math.exp(FACTOR), rel=1e-5)


def match_by_loop(candidates, boxes, kind, low, high, forced):
    """whose, person, background of one image, candidate by candidate."""
    people = [m for m in range(len(boxes)) if kind[m] > 0]
    table = iou(candidates, boxes).numpy()
    best = {m: table[:, m].max() for m in people}
    whose, person, background = [], [], []
    for a, candidate in enumerate(candidates):
        over = max((table[a, m] for m in people), default=-1.0)
        owner = next((m for m in people if table[a, m] == over), None)
        mine = over >= high
        if forced and (first := [m for m in people if table[a, m] == best[m] > 0]):
            owner, mine = first[0], True
        lost = any(kind[m] < 0 and covered(candidate[None], boxes[m][None]) > 0.5 for m in range(len(boxes)))
        whose.append(owner)
        person.append(mine)
        background.append(over < low and not mine and not lost)
    return whose, person, background


@given(SEEDS, st.booleans(), st.lists(st.sampled_from([-1.0, 0.0, 1.0]), min_size=1, max_size=4))
def test_matching_is_the_loop(seed, forced, kind):
    candidates, boxes = boxes_of(seed, 12), boxes_of(seed + 1, len(kind))
    found = match(candidates, boxes[None], torch.tensor([kind]), 0.3, 0.6, forced)
    whose, person, background = match_by_loop(candidates, boxes, kind, 0.3, 0.6, forced)
    assert found.person[0].tolist() == person and found.background[0].tolist() == background
    assert not (found.person & found.background).any()
    for a, mine in enumerate(person):
        assert not mine or int(found.whose[0, a]) == whose[a]


def test_everybody_has_an_anchor():
    """The best of somebody is his though IoU is low; without `forced` nobody's."""
    candidates, people = (
        torch.tensor([[0.0, 0, 10, 10], [50, 50, 60, 60]]),
        torch.tensor([[[0.0, 0, 30, 30]]]),
    )
    one = torch.ones(1, 1)
    assert match(candidates, people, one, 0.3, 0.7, forced=True).person.tolist() == [[True, False]]
    assert match(candidates, people, one, 0.3, 0.7).background.tolist() == [[True, True]]


def test_drawing_takes_what_is_asked_for():
    among = torch.tensor([[True] * 6 + [False] * 4, [True] * 2 + [False] * 8])
    found = sampled(among, 3)
    assert found.sum(1).tolist() == [3, 2] and not (found & ~among).any()
    seen = torch.stack([sampled(among, 1)[0] for _ in range(200)]).sum(0)
    assert (seen[:6] > 10).all() and not seen[6:].any()  # each of six, about 33 times of 200
    found = match(boxes_of(3, 30).float(), boxes_of(4, 1, 2).float(), torch.ones(1, 2), 0.3, 0.3)
    people, background = balanced(found, 10, 0.2)
    assert people.sum() <= 2 and (people | background).sum() == 10


def kept_by_loop(boxes, scores, limit):
    left = sorted(range(len(scores)), key=lambda i: (-float(scores[i]), i))
    found = []
    for i in left:
        if all(float(iou(boxes[i][None], boxes[j][None])) <= limit for j in found):
            found.append(i)
    return found


@given(SEEDS, st.integers(0, 20), st.sampled_from([0.0, 0.3, 0.7]))
def test_suppression_is_the_loop(seed, count, limit):
    boxes = boxes_of(seed, count)
    scores = torch.tensor(np.random.default_rng(seed).integers(0, 5, count) / 4)  # many are equal
    found = kept_by_loop(boxes, scores, limit)
    assert kept(boxes, scores, limit).tolist() == found
    assert kept(boxes, scores, limit, most=3).tolist() == found[:3]


def test_proposals_are_within_the_frame_best_first():
    made = anchors((4, 4), 8, 16.0, (1.0,))
    logits = torch.arange(16.0)[None]
    found = proposals(logits, torch.zeros(1, 16, 4), made, [16], (32, 32), most=5)
    assert len(found) == 1 and len(found[0]) == 5
    assert found[0][0].tolist() == [20, 20, 32, 32]  # the last cell's, cut off at the edges
    assert (found[0] >= 0).all() and (found[0] <= 32).all()


@given(SEEDS, st.sampled_from([(144, 192), (96, 96), (192, 96)]), st.sampled_from([1.0, 1.25]))
def test_regions_are_the_crops_of_the_two_stage_network(seed, size, padding):
    """The same rectangle, and the same way from the image to the input: as wide as high."""
    boxes = boxes_of(seed, 4)
    found = ratio_consistent(boxes, size, padding)
    lying = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
    x, y, w, h = affine.region(lying, size, padding).T
    np.testing.assert_allclose(found, np.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], 1), atol=1e-9)
    points = boxes_of(seed + 1, 4)[:, None, :2]
    seen = to_region(points, found, size)
    matrix = affine.to_input(np.stack([x, y, w, h], 1), size)
    np.testing.assert_allclose(seen, affine.apply(matrix, points.numpy()), atol=1e-8)
    torch.testing.assert_close(from_region(seen, found, size), points, atol=1e-9, rtol=0)
