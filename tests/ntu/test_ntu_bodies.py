"""Bodies to at most two persons: each rule alone, on bodies made by hand."""

import dataclasses

import numpy as np

from train.data.ntu_bodies import JUMP, persons
from train.data.ntu_file import Recording


def of(frames, *bodies):
    return persons(Recording(frames, tuple(bodies)))


def test_one_body_stays_as_it_is(body):
    """Short, wide and still: nobody else could be meant."""
    odd = body("a", range(3, 8), wide=True, motion=0.0)
    got = of(10, odd)
    assert (got.count, got.dropped, got.joined) == (1, (), ())
    np.testing.assert_array_equal(got.joints[3:8, 0], odd.joints)
    assert not got.joints[:3].any() and not got.joints[8:].any() and not got.joints[:, 1].any()


def test_nobody():
    got = of(4)
    assert (got.count, got.joints.shape, got.joints.any()) == (0, (4, 2, 25, 3), False)


def test_the_one_who_moves_more_comes_first(body):
    still, busy = body("a", range(30), motion=0.05), body("b", range(30), at=1.2, motion=0.4)
    got = of(30, still, busy)
    np.testing.assert_array_equal(got.joints[:, 0], busy.joints)
    np.testing.assert_array_equal(got.joints[:, 1], still.joints)
    assert got.count == 2


def test_of_three_the_two_who_move_most(body):
    bodies = [
        body(name, range(30), at=at, motion=m)
        for name, at, m in (("a", 0, 0.2), ("b", 1, 0.1), ("c", 2, 0.3))
    ]
    got = of(30, *bodies)
    np.testing.assert_array_equal(got.joints[:, 0], bodies[2].joints)
    np.testing.assert_array_equal(got.joints[:, 1], bodies[0].joints)
    assert got.dropped == ("body b: 30 frames, moves less than two others",)


def test_short_bodies_are_noise_beside_others(body):
    long, short = body("a", range(40)), body("b", range(11), at=1.5, motion=2.0)
    got = of(40, long, short)
    assert (got.count, got.dropped) == (1, ("body b: 11 frames, too short",))
    assert of(40, long, body("b", range(12), at=1.5)).count == 2
    assert of(40, body("a", range(5)), short).count == 2  # where all are short, all stay


def test_a_wide_body_is_furniture_beside_others(body):
    got = of(40, body("a", range(40)), body("b", range(40), at=1.5, wide=True))
    assert (got.count, got.dropped) == (1, ("body b: wider than high in 100 % of 40 frames",))
    assert of(40, *(body(name, range(40), at=at, wide=True) for name, at in (("a", 0), ("b", 2)))).count == 2


def test_someone_who_falls_stays(body):
    """Upright for 40 % of the frames, lying for the rest: wide in 60 %, less than MOSTLY."""
    up, down = body("a", range(16)), body("a", range(16, 40), wide=True)
    falls = dataclasses.replace(
        up,
        frames=np.arange(40),
        joints=np.concatenate([up.joints, down.joints]),
        states=np.concatenate([up.states, down.states]),
    )
    assert of(40, falls, body("b", range(40), at=1.5)).count == 2


def test_a_switch_of_ids_is_mended(body):
    """Lost in frames 15 to 17, found again a hand's breadth away under another id."""
    first, second = body("a", range(15)), body("b", range(18, 40), at=0.1)
    got = of(40, first, second)
    assert got.count == 1
    np.testing.assert_array_equal(got.joints[:15, 0], first.joints)
    np.testing.assert_array_equal(got.joints[18:, 0], second.joints)
    assert not got.joints[15:18].any() and not got.joints[:, 1].any()
    assert got.joined == ("body a: goes on as b in frame 18, 0.10 m away",)


def test_a_piece_that_is_short_belongs_to_its_person(body):
    got = of(40, body("a", range(32)), body("b", range(35, 40), at=0.1))
    assert (got.count, got.dropped) == (1, ())
    assert got.joints[35:, 0].any()


def test_someone_elsewhere_or_at_the_same_time_is_another(body):
    far = of(40, body("a", range(15)), body("b", range(18, 40), at=JUMP + 0.1))
    assert (far.count, far.joined) == (2, ())
    together = of(40, body("a", range(20)), body("b", range(19, 40), at=0.1))
    assert (together.count, together.joined) == (2, ())


def test_two_who_switch_at_once_keep_their_places(body):
    """Both are lost in the same frame; the nearest person is continued, whatever the order of the bodies."""
    a, b = body("a", range(20)), body("b", range(20), at=0.4, motion=0.5)
    for later in ((0.39, 0.02), (0.02, 0.39)):
        c, d = (body(name, range(21, 40), at=at) for name, at in zip("cd", later, strict=True))
        got = of(40, a, b, c, d)
        assert got.count == 2
        first = c if later[0] > 0.3 else d
        np.testing.assert_array_equal(got.joints[:20, 0], b.joints)
        np.testing.assert_array_equal(got.joints[21:, 0], first.joints)


def test_two_who_exchange_their_ids_stay_themselves(body):
    """Both go on, each under the other's id, for a while or for good; a gap between changes nothing."""
    a, b = body("a", range(40)), body("b", range(40), at=0.8, motion=0.5)

    def of_ids(*spans):
        """The same people, their ids exchanged within these spans of frames."""
        x, y = a.joints.copy(), b.joints.copy()
        for span in spans:
            x[span], y[span] = b.joints[span], a.joints[span]
        return [dataclasses.replace(a, joints=x), dataclasses.replace(b, joints=y)]

    for spans in ([slice(20, 40)], [slice(10, 21)], [slice(3, 9), slice(30, 40)]):
        got = of(40, *of_ids(*spans))
        np.testing.assert_array_equal(got.joints[:, 0], b.joints)
        np.testing.assert_array_equal(got.joints[:, 1], a.joints)
        changes = {edge for span in spans for edge in (span.start, span.stop)} - {40}
        assert sorted(got.joined) == sorted(f"body a: exchanges its id with b in frame {n}" for n in changes)
    gap = [
        dataclasses.replace(
            one, frames=np.delete(one.frames, range(17, 20)), joints=np.delete(one.joints, range(17, 20), 0),
            states=np.delete(one.states, range(17, 20), 0),
        )
        for one in of_ids(slice(17, 40))
    ]  # fmt: skip
    np.testing.assert_array_equal(of(40, *gap).joints[20:, 0], b.joints[20:])


def test_two_who_walk_past_each_other_are_no_exchange(body):
    """Faster than anybody: 0.15 m a frame each, through one place."""
    a, b = body("a", range(40)), body("b", range(40))
    way = np.float32(0.15) * (np.arange(40, dtype=np.float32) - 20)
    a.joints[..., 0] += way[:, None]
    b.joints[..., 0] -= way[:, None]
    got = of(40, a, b)
    assert (got.count, got.joined) == (2, ())


def test_a_lost_joint_is_filled(body):
    torn = body("a", range(20))
    whole = torn.joints.copy()
    torn.joints[5, 21] = 0.0
    got = of(20, torn)
    np.testing.assert_allclose(
        got.joints[5, 0, 21], (whole[4, 21] + whole[6, 21]) / 2, rtol=1e-6
    )  # float32 mean
    torn.joints[7] = 0.0  # all joints lost: not there
    assert not of(20, torn).joints[7].any()
