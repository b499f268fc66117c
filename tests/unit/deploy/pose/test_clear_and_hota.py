"""CLEAR MOT and HOTA: identities, hand-sized cases, and the counts of motmetrics and TrackEval."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from deploy.pose.evaluation.hota import ALPHAS, Seen, hota
from deploy.pose.evaluation.mota import Clear, Step, clear, nearest
from deploy.pose.nms import iou

GATE = 0.5


def walk(seed, frames=40, people=5, noise=4.0, lost=0.15, wrong=0.2, swaps=3):
    """Boxes of people who walk, and of a tracker that jitters, loses, invents and swaps: per frame
    (truth ids, truth boxes, found ids, found boxes)."""
    draw = np.random.default_rng(seed)
    start, speed = draw.uniform(0, 200, (people, 2)), draw.normal(0, 3, (people, 2))
    name = np.arange(people) + 7
    made = []
    for t in range(frames):
        if t and t % (frames // (swaps + 1)) == 0:
            a, b = draw.choice(people, 2, replace=False)
            name[[a, b]] = name[[b, a]]
        here = draw.random(people) > 0.1
        boxes = np.concatenate([start + t * speed, np.full((people, 2), 40.0)], axis=1)
        seen = draw.random(people) > lost
        found = boxes + np.concatenate([draw.normal(0, noise, (people, 2)), np.zeros((people, 2))], axis=1)
        extra = int(draw.random() < wrong)
        invented = np.concatenate([draw.uniform(0, 200, (extra, 2)), np.full((extra, 2), 40.0)], axis=1)
        ids = np.concatenate([name[seen], 100 + np.arange(extra)])
        made.append((np.arange(people)[here], boxes[here], ids, np.concatenate([found[seen], invented])))
    return made


def steps(sequence, gate=GATE):
    for truth, boxes, found, other in sequence:
        away = 1 - iou(boxes, other)
        yield Step(truth, found, np.where(away <= gate, away, np.nan))


def seen(sequence):
    return [Seen(t, f, iou(b, o)) for t, b, f, o in sequence]


def sequence_of(pairs):
    """Steps of ids alone, a distance of 0 where a pair is allowed: [(truth ids, found ids, allowed
    pairs)].
    """
    for truth, found, allowed in pairs:
        away = np.full((len(truth), len(found)), np.nan)
        for g, p in allowed:
            away[truth.index(g), found.index(p)] = 0.0
        yield Step(np.array(truth, int), np.array(found, int), away)


def straight(frames, ids):
    """One person per id of truth, found exactly, under the ids given per frame."""
    people = len(ids[0])
    here = np.concatenate(
        [np.arange(people)[:, None] * 100.0 + np.zeros((1, 2)), np.full((people, 2), 50.0)], 1
    )
    return [(np.arange(people), here, np.array(ids[t]), here) for t in range(frames)]


@pytest.mark.parametrize("seed", range(6))
def test_counts_are_those_of_motmetrics(seed):
    mm = pytest.importorskip("motmetrics", reason="motmetrics is not installed")
    made = list(steps(walk(seed)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        acc = mm.MOTAccumulator(auto_id=True)
        for step in made:
            acc.update(step.truth, step.found, step.distance)
        names = ["num_misses", "num_switches", "num_false_positives", "num_objects", "num_detections"]
        want = mm.metrics.create().compute(acc, metrics=[*names, "mota", "motp"], return_dataframe=False)
    ours = clear(made)
    assert (ours.misses, ours.switches, ours.false_positives, ours.objects, ours.matches) == tuple(
        int(want[n]) for n in names
    )
    assert ours.switches > 0 and ours.misses > 0 and ours.false_positives > 0  # a case that says something
    assert ours.mota == pytest.approx(100 * want["mota"], abs=1e-9)  # float64 sums in another order
    assert ours.motp == pytest.approx(100 * (1 - want["motp"]), abs=1e-9)


@pytest.fixture(scope="module")
def trackeval():
    return pytest.importorskip(
        "trackeval", reason="trackeval is not installed (pip install --no-deps trackeval)"
    )


def as_trackeval(sequence):
    """Ids counted from 0, as TrackEval wants them."""
    truths, found = (sorted({i for frame in sequence for i in frame[k].tolist()}) for k in (0, 2))
    return {
        "num_timesteps": len(sequence),
        "num_gt_ids": len(truths), "num_tracker_ids": len(found),
        "num_gt_dets": sum(len(f[0]) for f in sequence), "num_tracker_dets": sum(len(f[2]) for f in sequence),
        "gt_ids": [np.array([truths.index(i) for i in f[0]], int) for f in sequence],
        "tracker_ids": [np.array([found.index(i) for i in f[2]], int) for f in sequence],
        "similarity_scores": [iou(f[1], f[3]) for f in sequence],
    }  # fmt: skip


@pytest.mark.parametrize("seed", range(6))
def test_hota_is_that_of_trackeval(trackeval, seed):
    """Every threshold: counts exactly, the rest to float64 rounding."""
    made = walk(seed)
    want = trackeval.metrics.HOTA().eval_sequence(as_trackeval(made))
    ours = hota(seen(made))
    for name, counts in (("HOTA_TP", ours.tp), ("HOTA_FN", ours.fn), ("HOTA_FP", ours.fp)):
        assert np.array_equal(counts, want[name].astype(np.int64)), name
    assert 0 < ours.hota < 100
    for name, value in (
        ("HOTA", ours.hota),
        ("DetA", ours.det_a),
        ("AssA", ours.ass_a),
        ("LocA", ours.loc_a),
    ):
        assert value == pytest.approx(100 * want[name].mean(), abs=1e-9), name


def test_hota_of_sequences_together_is_that_of_trackeval(trackeval):
    made = [walk(seed) for seed in (1, 2, 3)]
    metric = trackeval.metrics.HOTA()
    want = metric.combine_sequences(
        {str(k): metric.eval_sequence(as_trackeval(m)) for k, m in enumerate(made)}
    )
    ours = hota(seen(made[0])) + hota(seen(made[1])) + hota(seen(made[2]))
    assert ours.hota == pytest.approx(100 * want["HOTA"].mean(), abs=1e-9)
    assert ours.ass_a == pytest.approx(100 * want["AssA"].mean(), abs=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_clear_is_that_of_trackeval(trackeval, seed):
    """Without lost frames: after a gap TrackEval matches anew where motmetrics (and we) hold on to the
    track.
    """
    made = walk(seed, lost=0.0, noise=3.0)
    made = [(np.arange(5), b, f, o) for _, b, f, o in made if len(b) == 5]
    want = trackeval.metrics.CLEAR({"PRINT_CONFIG": False, "THRESHOLD": GATE}).eval_sequence(
        as_trackeval(made)
    )
    ours = clear(steps(made))
    found = (ours.matches, ours.misses, ours.false_positives, ours.switches)
    assert found == tuple(int(want[n]) for n in ("CLR_TP", "CLR_FN", "CLR_FP", "IDSW"))
    assert ours.switches > 0
    assert ours.mota == pytest.approx(100 * want["MOTA"], abs=1e-9)


def test_a_perfect_prediction_is_100_whatever_its_ids_are():
    made = straight(10, [[5, 9, 3]] * 10)
    ours, alike = clear(steps(made)), hota(seen(made))
    assert (ours.mota, ours.motp, ours.precision, ours.recall) == (100, 100, 100, 100)
    assert (alike.hota, alike.det_a, alike.ass_a, alike.loc_a) == (100, 100, 100, 100)


@pytest.mark.parametrize("k", [1, 2, 5])
def test_k_switches_cost_exactly_k(k):
    """One person whose track id changes k times: k of the counts, nothing else."""
    ids = [[t * (k + 1) // 12] for t in range(12)]
    assert len({i[0] for i in ids}) == k + 1
    ours = clear(steps(straight(12, ids)))
    assert (ours.switches, ours.misses, ours.false_positives) == (k, 0, 0)
    assert ours.mota == pytest.approx(100 * (1 - k / 12), abs=1e-12)


def test_two_swapped_people_are_two_switches():
    ids = [[0, 1]] * 5 + [[1, 0]] * 5
    ours = clear(steps(straight(10, ids)))
    assert (ours.switches, ours.objects, ours.misses) == (2, 20, 0)


def test_a_swap_halves_association_and_leaves_detection():
    """By hand: each match of 5 frames belongs to a pair seen 5 times together of 10 + 10 - 5: AssA = 1/3."""
    alike = hota(seen(straight(10, [[0, 1]] * 5 + [[1, 0]] * 5)))
    assert alike.det_a == 100
    assert alike.ass_a == pytest.approx(100 / 3, abs=1e-9)
    assert alike.hota == pytest.approx(100 * np.sqrt(1 / 3), abs=1e-9)


def test_a_frame_without_truth_gives_false_positives_only():
    """And for that frame alone, not for the whole video: PoseTrack21's rule is not copied."""
    made = straight(10, [[0]] * 10)
    none = np.zeros(0, int), np.zeros((0, 4))
    made[4] = (*none, *made[4][2:])
    ours, alike = clear(steps(made)), hota(seen(made))
    assert (ours.false_positives, ours.misses, ours.switches, ours.objects) == (1, 0, 0, 9)
    assert np.array_equal(alike.fp, np.ones(len(ALPHAS), int)) and not alike.fn.any()


def test_a_frame_without_prediction_gives_misses_only():
    made = straight(10, [[0, 1]] * 10)
    made[4] = (*made[4][:2], np.zeros(0, int), np.zeros((0, 4)))
    ours, alike = clear(steps(made)), hota(seen(made))
    assert (ours.misses, ours.false_positives, ours.switches) == (2, 0, 0)
    assert np.array_equal(alike.fn, np.full(len(ALPHAS), 2)) and not alike.fp.any()


def test_a_track_kept_is_preferred_to_a_nearer_one():
    """The object keeps its track although another prediction is nearer: no switch, the other is false."""
    near = Step(np.array([0]), np.array([4, 5]), np.array([[0.0, np.nan]]))
    then = Step(np.array([0]), np.array([4, 5]), np.array([[0.4, 0.1]]))
    ours = clear([near, then])
    assert (ours.switches, ours.false_positives, ours.matches) == (0, 2, 2)
    assert ours.distance == pytest.approx(0.4)


def test_a_switch_counts_after_a_gap_too():
    ours = clear(sequence_of([([0], [1], [(0, 1)]), ([0], [], []), ([0], [2], [(0, 2)])]))
    assert (ours.switches, ours.misses, ours.matches) == (1, 1, 2)


def test_as_many_matches_as_there_can_be():
    """The nearest pair first would leave one object without: (0, 0) at 0 against (0, 1) and (1, 0)."""
    away = np.array([[0.0, 0.4], [0.4, np.nan]])
    assert nearest(away) == [(0, 1), (1, 0)]
    assert nearest(np.full((2, 3), np.nan)) == []
    assert nearest(np.zeros((0, 3))) == []


def test_counts_add_up_and_nothing_is_nothing():
    both = Clear(1, 2, 3, 4, 5, 0.5) + Clear(1, 1, 1, 1, 1, 1.0)
    assert both == Clear(2, 3, 4, 5, 6, 1.5)
    assert np.isnan(Clear().mota) and np.isnan(Clear().motp)
    assert np.isnan(hota([]).hota)


def test_hota_at_a_similarity_of_exactly_a_threshold_counts():
    ones = np.array([0])
    for k, alpha in enumerate(ALPHAS):
        alike = hota([Seen(ones, ones, np.array([[alpha]]))])
        assert alike.tp.sum() == k + 1, alpha


def test_order_within_a_frame_changes_nothing():
    made = walk(3)
    draw = np.random.default_rng(0)
    mixed = []
    for truth, boxes, found, other in made:
        g, p = draw.permutation(len(truth)), draw.permutation(len(found))
        mixed.append((truth[g], boxes[g], found[p], other[p]))
    one, two = clear(steps(made)), clear(steps(mixed))
    assert (one.misses, one.switches, one.false_positives) == (two.misses, two.switches, two.false_positives)
    assert hota(seen(made)).hota == pytest.approx(hota(seen(mixed)).hota, abs=1e-9)
