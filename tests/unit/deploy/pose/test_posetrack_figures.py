"""PoseTrack's mAP, MOTA and HOTA together: identities, thresholds, poseval's departures, bad input."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from convert.ir import BadInput
from deploy.pose.evaluation.pairing import paired
from deploy.pose.evaluation.posetrack import body, figures
from deploy.pose.evaluation.precision import assigned, precision
from deploy.pose.posetrack import read_poses

JOINTS = 15


def judge(truth, found, joint_threshold=0.0, **more):
    return figures(paired(read_poses(truth), read_poses(found), joint_threshold), **more)


def walkers(frames=8, people=2, ids=None, by=0.0, score=0.9):
    """Truth-like frames of people who walk apart; ids(t, person) -> track."""
    ids = ids or (lambda t, p: p)
    return [
        [((100 + 150 * p + 3 * t + by, 60.0), {"track": ids(t, p), "score": score}) for p in range(people)]
        for t in range(frames)
    ]


def test_a_perfect_prediction_is_100(poses):
    made = judge(poses(walkers(), "gt.json"), poses(walkers(ids=lambda t, p: 9 - p), "found.json"))
    assert (made.precision.mean, made.mota, made.total_clear.motp, made.total_hota.hota) == (
        100,
        100,
        100,
        100,
    )
    assert made.total_clear.objects == 8 * 2 * JOINTS and made.n_frames == 8


def test_the_ears_are_not_judged(poses):
    made = judge(poses(walkers(), "gt.json"), poses(walkers(), "found.json"))
    assert len(made.joints) == JOINTS and not {"left_ear", "right_ear"} & set(made.joints)


@pytest.mark.parametrize("k", [1, 3])
def test_k_switches_of_a_person_cost_k_counts_of_every_joint(poses, k):
    changes = {2 * s + 1 for s in range(k)}
    track = np.cumsum([t in changes for t in range(8)])
    made = judge(
        poses(walkers(people=1), "gt.json"),
        poses(walkers(people=1, ids=lambda t, _: int(track[t])), "f.json"),
    )
    total = made.total_clear
    assert (total.switches, total.misses, total.false_positives) == (k * JOINTS, 0, 0)
    assert made.precision.mean == 100  # mAP knows no identities


def test_the_threshold_is_half_a_head(poses, head_size):
    """Just within 0.5 head sizes all is right, just beyond all is wrong: misses and false positives."""
    truth = poses(walkers(people=1), "gt.json")
    within = judge(truth, poses(walkers(people=1, by=0.499 * head_size), "a.json"))
    beyond = judge(truth, poses(walkers(people=1, by=0.501 * head_size), "b.json"))
    assert within.precision.mean == 100 and within.mota == 100
    assert within.total_clear.motp == pytest.approx(100 * (1 - 0.499), abs=1e-6)
    assert beyond.precision.mean == 0 and beyond.mota == -100
    assert judge(truth, poses(walkers(people=1, by=0.6 * head_size), "c.json"), threshold=0.7).mota == 100


def test_a_labelled_frame_without_people_gives_false_positives_only(poses):
    frames = walkers()
    empty = [frame if t != 3 else [] for t, frame in enumerate(frames)]
    made = judge(poses(empty, "gt.json"), poses(frames, "found.json"))
    total = made.total_clear
    assert (total.false_positives, total.misses, total.switches) == (2 * JOINTS, 0, 0)
    assert total.objects == 7 * 2 * JOINTS
    assert np.array_equal(made.total_hota.fp, np.full(19, 2 * JOINTS))
    assert made.precision.mean < 100


def test_frames_that_are_not_labelled_are_not_judged(poses):
    frames = walkers()
    truth = poses([f if t % 4 == 0 else [] for t, f in enumerate(frames)], "gt.json",
                  images={t: {"is_labeled": False} for t in range(8) if t % 4})  # fmt: skip
    made = judge(truth, poses(frames, "found.json"))
    assert made.n_frames == 2 and made.mota == 100 and made.precision.mean == 100


def test_totals_are_of_summed_counts(poses):
    """The left wrist is lost in every prediction: one joint at 0, all others at 100."""
    lost = [[(at, {**more, "lost": (9,)}) for at, more in frame] for frame in walkers()]
    made = judge(poses(walkers(), "gt.json"), poses(lost, "found.json"))
    wrist = made.joints.index("left_wrist")
    assert made.clear[wrist].mota == 0 and made.precision.ap[wrist] == 0
    assert made.mota == pytest.approx(100 * 14 / 15, abs=1e-9)
    assert made.precision.mean == pytest.approx(100 * 14 / 15, abs=1e-9)


def test_a_joint_that_is_annotated_nowhere_has_no_figures(poses):
    lost = [[(at, {**more, "lost": (9,)}) for at, more in frame] for frame in walkers()]
    made = judge(poses(lost, "gt.json"), poses(lost, "found.json"))
    wrist = made.joints.index("left_wrist")
    assert np.isnan(made.precision.ap[wrist]) and np.isnan(made.clear[wrist].mota)
    assert made.precision.mean == 100 and made.mota == 100
    assert body(made)["joints"]["left_wrist"]["AP"] is None


def test_dropping_joints_trades_precision_for_false_positives(poses):
    """Half of the predictions are vague and wrong: without them MOTA rises, and recall cannot."""
    good, bad = walkers(people=1), walkers(people=1, by=300.0, score=0.2, ids=lambda t, p: 5)
    truth = poses(good, "gt.json")
    found = poses([a + b for a, b in zip(good, bad, strict=True)], "found.json")
    all_of_them, sure = judge(truth, found), judge(truth, found, joint_threshold=0.5)
    assert all_of_them.mota == 0 and sure.mota == 100
    assert all_of_them.precision.mean == sure.precision.mean == 100  # the wrong ones come last


def test_ap_by_hand(poses):
    """Three people, three poses: right at 0.9, wrong at 0.8, right at 0.7, so the points of the curve are
    (recall, precision) (1/3, 1), (1/3, 1/2), (2/3, 2/3); made monotone AP = 1/3 * 1 + 1/3 * 2/3 = 5/9."""
    truth = poses([[((100 + 150 * p, 60.0), {"track": p}) for p in range(3)]], "gt.json")
    places = (100, 1000, 250)
    found = poses(
        [
            [
                ((x, 60.0), {"track": k, "score": s})
                for k, (x, s) in enumerate(zip(places, (0.9, 0.8, 0.7), strict=True))
            ]
        ],
        "found.json",
    )
    made = judge(truth, found)
    assert made.precision.ap == pytest.approx(np.full(JOINTS, 100 * 5 / 9), abs=1e-9)
    assert made.precision.recall == pytest.approx(np.full(JOINTS, 100 * 2 / 3), abs=1e-9)
    assert made.precision.precision == pytest.approx(np.full(JOINTS, 100 * 2 / 3), abs=1e-9)


def test_two_poses_on_one_person_one_is_wrong(poses):
    """The better one has the person, the other is all false, though each of its joints is near."""
    truth = poses([[((100, 60.0), {"track": 0})]], "gt.json")
    twice = [
        ((100, 60.0), {"track": 0, "score": 0.5}),
        ((101, 60.0), {"track": 1, "score": 0.9, "lost": (9,)}),
    ]
    data = paired(read_poses(truth), read_poses(poses([twice], "found.json")))
    assert assigned(data.pairs[0]) == {0: 0}
    made = precision(data.pairs, JOINTS)
    assert made.ap[0] == pytest.approx(50)  # the false one scores higher
    assert made.ap[data.joints.index("left_wrist")] == 100  # it has no wrist to be false with


def test_joints_in_ignore_regions_are_neither_missed_nor_false(poses):
    square = {"ignore_regions_x": [[90, 160, 160, 90]], "ignore_regions_y": [[50, 50, 210, 210]]}
    frames = walkers(frames=1)
    truth = poses(frames, "gt.json", images={0: square})
    only_the_other = poses([[frames[0][1]]], "found.json")
    made = judge(truth, only_the_other)
    assert made.mota == 100 and made.total_clear.objects == JOINTS
    assert judge(truth, poses(frames, "all.json")).total_clear.false_positives == 0


# --- poseval -----------------------------------------------------------------------------------------------


def noisy(seed, frames=12):
    draw = np.random.default_rng(seed)
    made = []
    for frame in walkers(frames, 3, ids=lambda t, p: (p + t // 5) % 3):
        some = [
            (
                (at[0] + draw.normal(0, 4), at[1] + draw.normal(0, 4)),
                {**more, "lost": tuple(draw.choice(17, 2))},
            )
            for at, more in frame
            if draw.random() > 0.15
        ]
        made.append(some or frame[:1])
    return made


def test_poseval_compat_drops_the_last_frame_as_motmetrics_counts_it(poses):
    """Joint by joint: motmetrics over all frames but the last gives our counts; the total is the mean of
    joints.
    """
    mm = pytest.importorskip("motmetrics", reason="motmetrics is not installed")
    data = paired(read_poses(poses(walkers(12, 3), "gt.json")), read_poses(poses(noisy(4), "found.json")))
    made, plain = figures(data, poseval_compat=True), figures(data)
    motas = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for k in range(JOINTS):
            acc = mm.MOTAccumulator(auto_id=True)
            for pair in data.pairs[:-1]:
                g, p = pair.truth_there[:, k], pair.found_there[:, k]
                away = pair.distance[p][:, g, k].T
                acc.update(pair.truth_ids[g], pair.found_ids[p], np.where(away <= 0.5, away, np.nan))
            names = ["num_misses", "num_switches", "num_false_positives", "num_objects", "mota"]
            want = mm.metrics.create().compute(acc, metrics=names, return_dataframe=False)
            ours = made.clear[k]
            found = (ours.misses, ours.switches, ours.false_positives, ours.objects)
            assert found == tuple(int(want[n]) for n in names[:4])
            motas.append(100 * want["mota"])
    assert made.mota == pytest.approx(np.mean(motas), abs=1e-9)
    assert made.total_clear.switches > 0
    assert made.total_clear.objects == plain.total_clear.objects - 3 * JOINTS
    assert np.array_equal(made.precision.ap, plain.precision.ap)  # mAP keeps its last frame


def test_poseval_compat_leaves_frames_without_people_out(poses):
    frames = walkers()
    empty = [frame if t != 3 else [] for t, frame in enumerate(frames)]
    made = judge(poses(empty, "gt.json"), poses(frames, "found.json"), poseval_compat=True)
    assert made.total_clear.false_positives == 0 and made.precision.mean == 100 and made.n_frames == 7
    assert not made.total_hota.fp.any() and made.total_hota.hota == 100  # of everything: of HOTA too


def test_poseval_compat_counts_a_frame_without_predictions_by_its_placeholder(poses):
    """Two people missed are one miss and one false positive of each joint."""
    frames = walkers()
    found = [frame if t != 3 else [] for t, frame in enumerate(frames)]
    total = judge(poses(frames, "gt.json"), poses(found, "found.json"), poseval_compat=True).total_clear
    assert (total.misses, total.false_positives, total.switches) == (JOINTS, JOINTS, 0)
    plain = judge(poses(frames, "gt2.json"), poses(found, "found2.json")).total_clear
    assert (plain.misses, plain.false_positives) == (2 * JOINTS, 0)


# --- what cannot be judged ---------------------------------------------------------------------------------


def test_image_ids_counted_anew_are_refused(poses):
    truth, found = poses(walkers(), "gt.json"), poses(walkers(), "found.json", first=1)
    with pytest.raises(BadInput, match=r"8 of 8 predicted images are not in.*never counted anew"):
        judge(truth, found)


def test_without_track_ids_there_is_map_alone(poses):
    alone = [[(at, {"score": 0.9}) for at, _ in frame] for frame in walkers()]
    made = judge(poses(walkers(), "gt.json"), poses(alone, "found.json"))
    assert made.precision.mean == 100 and made.clear is None and body(made)["MOTA"] is None


def test_an_annotated_person_without_head_box_is_refused(poses):
    frames = [[(at, {**more, "head": False}) for at, more in frame] for frame in walkers()]
    with pytest.raises(BadInput, match="has no bbox_head"):
        judge(poses(frames, "gt.json"), poses(walkers(), "found.json"))


def test_missing_frames_and_people_are_misses(poses):
    found = [[] for _ in range(8)]
    found[0] = walkers()[0]
    made = judge(poses(walkers(), "gt.json"), poses(found, "found.json"))
    assert made.total_clear.misses == 7 * 2 * JOINTS
    nobody = judge(poses(walkers(), "gt2.json"), poses([[] for _ in range(8)], "none.json"))
    assert nobody.mota == 0 and nobody.precision.mean == 0 and nobody.total_hota.hota == 0


def test_predictions_of_no_visible_joint_are_refused(poses, pose_body, tmp_path):
    import json

    made = pose_body(walkers())
    for one in made["annotations"]:
        one["keypoints"][2::3] = [0] * 17
    path = tmp_path / "zero.json"
    path.write_text(json.dumps(made))
    with pytest.raises(BadInput, match="no joint of any prediction has a visibility above 0"):
        judge(poses(walkers(), "gt.json"), path)


def test_predictions_of_other_joints_are_refused(poses, pose_body, tmp_path):
    import json

    made = pose_body(walkers())
    made["categories"][0]["keypoints"][1] = "left_eye"
    path = tmp_path / "coco.json"
    path.write_text(json.dumps(made))
    with pytest.raises(BadInput, match="no joint head_bottom"):
        judge(poses(walkers(), "gt.json"), path)


@pytest.mark.data
def test_the_posetrack18_sample_is_100_against_itself(data_root, unpacked):
    """mmpose's own test of poseval gives 100 for every group of joints."""
    folder = unpacked(data_root("mmpose-tests/mmpose-tests.tar.gz"), "mmpose-tests/posetrack18/annotations/")
    truth = folder / "mmpose-tests" / "posetrack18" / "annotations"
    made = judge(truth / "test_posetrack18_val.json", truth / "val")
    assert (made.precision.ap == 100).all() and made.mota == 100 and made.total_hota.hota == 100
    assert made.total_clear.objects == 181 and made.n_frames == 3
    assert not judge(truth / "val", truth / "val", poseval_compat=True).total_clear.objects  # one frame each
