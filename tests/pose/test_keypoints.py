"""Keypoint sets: what follows from the names is what the formats say."""

from __future__ import annotations

import pytest

from deploy.pose.evaluation import pairing
from deploy.pose.joints import SETS, plain, sigmas
from train.pose import pck
from train.pose.data.keypoints import COCO, KEYPOINT_SETS, LSPET, MPII, keypoint_set, shared


@pytest.mark.parametrize("name", sorted(KEYPOINT_SETS))
def test_a_mirror_exchanges_left_and_right_alone(name):
    found = keypoint_set(name)
    for k, other in enumerate(found.flipped):
        assert found.flipped[other] == k
        assert found.joints[other].replace("left", "right") == found.joints[k].replace("left", "right")
        assert (other == k) == (not found.joints[k].startswith(("left", "right")))
    assert len(found.flip_pairs) >= 6


@pytest.mark.parametrize("name", sorted(KEYPOINT_SETS))
def test_deploy_knows_the_same_joints_and_sigmas(name):
    """Both sides hold a list, as neither may import the other: joints, order and sigmas are the same."""
    ours, theirs = keypoint_set(name), SETS[name].joints
    assert [plain(joint) for joint in ours.joints] == [plain(joint) for joint in theirs]
    assert list(ours.sigmas) == list(sigmas(theirs))


def test_deploy_measures_in_the_same_heads():
    assert pairing.HEAD == pck.HEAD == 0.6  # PCKh's: of the diagonal of the head box


def test_cocos_order_and_skeleton():
    assert COCO.flip_pairs == ((1, 2), (3, 4), (5, 6), (7, 8), (9, 10), (11, 12), (13, 14), (15, 16))
    assert {(15, 13), (13, 11), (5, 7), (7, 9)} <= set(COCO.skeleton)
    assert COCO.upper == tuple(range(11))


def test_lspet_and_mpii_are_right_side_first():
    assert LSPET.flip_pairs == ((3, 2), (4, 1), (5, 0), (9, 8), (10, 7), (11, 6))
    assert MPII.counted == tuple(k for k in range(16) if k not in (6, 7))


def test_joints_of_two_sets_meet_by_name():
    pairs = dict(shared(COCO, LSPET))
    assert pairs[COCO.index("left knee")] == 4 and len(pairs) == 12


def test_an_unknown_set_or_joint_is_named():
    with pytest.raises(ValueError, match=r"unknown keypoint set 'x'.*lspet"):
        keypoint_set("x")
    with pytest.raises(ValueError, match="lspet: has no joint 'nose'"):
        LSPET.index("nose")
