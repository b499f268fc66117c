"""Late fusion: the fit is the minimum, knows no units, and is worth having where members differ."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from train.confusion import confusion, mistaken
from train.fusion import (
    Fusion,
    FusionError,
    _gain,
    _smoothed,
    cross_validated,
    fit,
    normalised,
    objective,
)

CLASSES = 6


def drawn(clips, strengths, seed=0):
    """Labels [n], and scores [n, K] of members who see the label with their strength, in noise."""
    generator = np.random.Generator(np.random.PCG64(seed))
    labels = np.arange(clips) % CLASSES
    truth = np.eye(CLASSES)[labels]
    return labels, [s * truth + generator.standard_normal((clips, CLASSES)) for s in strengths]


def complementary(clips, seed=0):
    """One member knows half of what names a class, one the other: each alone is lost, both know all."""
    generator = np.random.Generator(np.random.PCG64(seed))
    labels = np.arange(clips) % CLASSES
    scores = []
    for part in (np.arange(CLASSES) // 2, np.arange(CLASSES) % 2):
        same = (part[None, :] == part[labels][:, None]).astype(float)
        scores.append(3.0 * same + 0.5 * generator.standard_normal((clips, CLASSES)))
    return labels, scores


def share(scores, labels):
    return float((scores.argmax(axis=1) == labels).mean())


@pytest.mark.parametrize("clips", [12, 60, 600])
@pytest.mark.parametrize("strengths", [(1.0, 1.0), (2.0, 0.5), (0.0, 3.0)])
def test_the_fit_is_the_minimum_of_a_grid(clips, strengths):
    """No point of two brute-force grids in v (0 to 4 by 1/10, and about the fit by 1/200) is lower, and the
    lowest lies beside the fit."""
    labels, scores = drawn(clips, strengths)
    found = fit(scores, labels)
    z, wanted = normalised(scores, found.scales), _smoothed(labels, CLASSES)
    usual = max(_gain(one, wanted) for one in (z.mean(0), *z)) / len(z)
    v = np.array(found.weights) * found.gain
    coarse = np.arange(41) / 10
    fine = np.maximum(v[:, None] + np.arange(-10, 11) / 200, 0)
    assert v.max() < 3.9, "the grid is too small"
    at = objective(v, z, wanted, usual)[0]
    for axes, step in (((coarse, coarse), 0.1), (fine, 0.005)):
        points = [(objective(np.array(p), z, wanted, usual)[0], p) for p in itertools.product(*axes)]
        lowest, place = min(points)
        assert at <= lowest + 1e-9  # rounding of a mean of at most 3600 terms of order 1
        assert np.abs(v - place).max() <= 2 * step  # flat at its minimum: within two steps, not one
    assert sum(found.weights) == pytest.approx(1.0, abs=1e-12) and min(found.weights) >= 0.0


def test_the_gain_is_the_minimum_of_a_grid():
    labels, (a,) = drawn(60, (1.0,))
    wanted, grid = _smoothed(labels, CLASSES), np.arange(0, 5, 0.01)
    values = [objective(np.array([g]), a[None], wanted, 1.0)[0] for g in grid]
    assert _gain(a, wanted) == pytest.approx(grid[int(np.argmin(values))], abs=0.01)
    assert _gain(-a, wanted) == 0.0


def test_the_slope_is_the_derivative():
    labels, scores = drawn(30, (1.0, 0.5, 2.0))
    z, wanted = normalised(scores, (1.0, 1.2, 0.8)), _smoothed(labels, CLASSES)
    w, h = np.array([0.2, 0.5, 0.3]), 1e-6
    slope = objective(w, z, wanted, 1.7)[1]
    for m, e in enumerate(np.eye(3)):
        both = [objective(w + sign * h * e, z, wanted, 1.7)[0] for sign in (1, -1)]
        # central difference: error of order h^2, rounding of order 1e-16 / h
        assert slope[m] == pytest.approx((both[0] - both[1]) / (2 * h), abs=1e-8)


def test_units_of_scores_do_not_matter():
    """Integers of another scale and an offset a sample: the same weights. Powers of two: to the last bit."""
    labels, (a, b) = drawn(60, (1.0, 2.0))
    plain = fit([a, b], labels)
    assert fit([1024 * a, b / 8], labels).weights == plain.weights
    moved = fit([1000 * a + np.arange(60)[:, None], b], labels)
    np.testing.assert_allclose(moved.weights, plain.weights, atol=1e-6)  # the solver's own precision
    assert moved.scales[0] == pytest.approx(1000 * plain.scales[0], rel=1e-9)
    assert share(moved.fused([1000 * a, b]), labels) == share(plain.fused([a, b]), labels)


def test_complementary_members_beat_each_alone():
    labels, scores = complementary(120)
    test_labels, test_scores = complementary(600, seed=1)
    found = fit(scores, labels)
    alone = [share(s, test_labels) for s in test_scores]
    both = share(found.fused(test_scores), test_labels)
    assert max(alone) < 0.6 and both > 0.95
    apart = cross_validated(scores, labels, [str(k) for k in range(120)])
    assert share(apart, labels) > 0.9


def test_a_blind_member_loses_its_weight_with_the_number_of_clips():
    """The prior decides for few clips, the clips where they are many."""
    blind = [fit(*reversed(drawn(n, (2.0, 2.0, 0.0)))).weights[2] for n in (6, 60, 6000)]
    assert 0.15 < blind[0] < 1 / 3 and blind[2] < 0.02, blind
    assert blind[0] > blind[1] > blind[2]


def test_equal_members_get_equal_weights():
    labels, (a,) = drawn(60, (1.5,))
    assert fit([a, a.copy(), a.copy()], labels).weights == pytest.approx([1 / 3] * 3, abs=1e-6)


def test_order_of_members_does_not_matter():
    labels, scores = drawn(90, (2.0, 1.0, 0.5))
    forth, back = fit(scores, labels), fit(scores[::-1], labels)
    np.testing.assert_allclose(forth.weights, back.weights[::-1], atol=1e-6)  # the solver's own precision


def test_all_right_on_validation_is_no_division_by_zero():
    """Separable clips: smoothed labels keep the gain finite."""
    labels = np.arange(12) % CLASSES
    found = fit([np.eye(CLASSES)[labels], 5 * np.eye(CLASSES)[labels]], labels)
    assert 0.1 < found.gain < 10 and found.weights == pytest.approx([0.5, 0.5], abs=1e-6)


def test_worse_than_chance_is_not_voted_against():
    """A weight is never below 0, though the member is wrong on purpose."""
    labels, (good, _) = drawn(600, (3.0, 0.0))
    wrong = -3.0 * np.eye(CLASSES)[labels]
    found = fit([good, wrong + 0.1 * good], labels)
    assert found.weights[1] == pytest.approx(0.0, abs=1e-6) and min(found.weights) >= 0.0


def test_fused_scores_of_hand_sized_numbers():
    """(1, 3) less its mean is (-1, 1), over 2, times 1/4: -+1/8. (4, 0): (2, -2) over 4, times 3/4: +-3/8."""
    found = Fusion((0.25, 0.75), (2.0, 4.0)).fused([np.array([[1.0, 3.0]]), np.array([[4.0, 0.0]])])
    assert found.tolist() == [[0.25, -0.25]]
    assert Fusion((0.25, 0.75), (2.0, 4.0)).equal().weights == (0.5, 0.5)


def test_bad_scores_are_refused_by_name():
    labels, (a,) = drawn(12, (1.0,))
    with pytest.raises(FusionError, match=r"runs/dead: .* same score on each of 12 .*; leave it out"):
        fit([a, np.full((12, CLASSES), 7)], labels, ["runs/a", "runs/dead"])
    with pytest.raises(FusionError, match=r"member 1: .*NaN"):
        fit([a, np.where(a > 2, np.nan, a)], labels)


def test_parts_keep_performances_together(monkeypatch):
    """Views of one performance are never on both sides; one performance alone cannot be parted."""
    import train.fusion

    labels, scores = drawn(40, (1.0, 1.0))
    groups = [f"p{k // 2}" for k in range(40)]
    sizes = []
    real = train.fusion.fit
    monkeypatch.setattr(
        train.fusion, "fit", lambda s, y, names=(): (sizes.append([len(y)]), real(s, y, names))[1]
    )
    assert np.isfinite(cross_validated(scores, labels, groups)).all()
    assert sizes == [[32]] * 5  # four of the twenty performances, two views each, are left out at a time
    assert cross_validated(scores, labels, ["p"] * 40) is None


def test_confusion_counts_rows_by_label():
    found = confusion(np.array([0, 0, 1, 2, 2, 2]), np.array([0, 1, 1, 0, 0, 1]), 3)
    assert found.tolist() == [[1, 1, 0], [0, 1, 0], [2, 1, 0]] and found.dtype == np.int64
    assert mistaken(found) == [(1, 1), None, (0, 2)]
