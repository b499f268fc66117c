"""Tracks: crossings, occlusions, entries, exits, noise; what is reported, and that nothing is left to
chance.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from convert.ir import BadInput
from deploy.pose.association import close_calls, matched
from deploy.pose.evaluation.pairing import paired
from deploy.pose.evaluation.posetrack import figures
from deploy.pose.joints import POSETRACK18, sigmas
from deploy.pose.motion import begun, displacement, moved
from deploy.pose.people import Frame, Person, Video
from deploy.pose.posetrack import Poses
from deploy.pose.tracking import Rules, numbers, track

SIGMAS = sigmas(POSETRACK18)
EARS = (3, 4)
SHAPE = np.random.default_rng(9).uniform(0, 1, (17, 2)) * [40, 120]


def person(at, swing=0.0, score=0.9, lost=(), noise=None, who=None):
    """A person at a place; `swing` moves the arms, noise is a generator."""
    points = SHAPE + np.asarray(at, float)
    points[[7, 8, 9, 10], 0] += 8 * np.sin(swing)
    points += 0 if noise is None else noise.normal(0, 1.5, points.shape)
    there = np.ones(17, bool)
    there[[*EARS, *lost]] = False
    points = np.where(there[:, None], points, 0)
    box, head = np.array([*at, 40.0, 120.0]), np.array([*at, 20.0, 20.0])
    return Person(points, there.astype(np.int8), np.full(17, 0.9), score, box, head, id=who)


def scene(paths, frames, seed=0, hidden=lambda person, t: False):
    """(truth, detections) of people on paths(t) -> place or None; detections jitter, are shuffled, have no
    ids.
    """
    draw = np.random.default_rng(seed)
    truth, found = [], []
    for t in range(frames):
        places = {k: path(t) for k, path in enumerate(paths) if path(t) is not None}
        truth.append(tuple(replace(person(at, t / 3 + k), track_id=k) for k, at in places.items()))
        seen = [k for k in places if not hidden(k, t)]
        draw.shuffle(seen)
        found.append(tuple(person(places[k], t / 3 + k, noise=draw, who=k) for k in seen))
    return video(truth), video(found)


def video(frames, first=0, step=1):
    ids = range(first, first + step * len(frames), step)
    listed = [Frame(n, tuple(f), fields={"frame_id": n}) for n, f in zip(ids, frames, strict=True)]
    return Video("v", POSETRACK18, tuple(listed))


def judge(truth, found):
    return figures(paired(Poses((truth,), {}), Poses((found,), {})))


def one_track_each(found):
    """Whether each person (the annotation's id, which the tracker does not look at) has one track, a
    different one.
    """
    tracks = {}
    for frame in found.frames:
        for p in frame.people:
            tracks.setdefault(p.id, set()).add(p.track_id)
    return all(len(ids) == 1 for ids in tracks.values()) and len(set.union(*tracks.values())) == len(tracks)


def left_to_right(speed, start=0.0, height=100.0):
    return lambda t: (start + speed * t, height)


CROSSING = (left_to_right(6), left_to_right(-6, 360, 108))


@pytest.mark.parametrize("likeness", ["oks", "iou", "both"])
def test_people_who_cross_keep_their_identities(likeness):
    truth, found = scene(CROSSING, 60)
    made = track(found, Rules(likeness=likeness), SIGMAS)
    assert made.n_tracks == 2 and one_track_each(made.video)
    figures_ = judge(truth, made.video)
    assert figures_.total_clear.switches == 0 and figures_.mota == 100


@pytest.mark.parametrize("likeness", ["oks", "iou", "both"])
def test_hidden_while_crossing_is_found_again(likeness):
    """The second person is behind the first for seven frames: the velocity carries the track through."""
    _, found = scene(CROSSING, 60, hidden=lambda k, t: k == 1 and 27 <= t <= 33)
    made = track(found, Rules(likeness=likeness), SIGMAS)
    assert made.n_tracks == 2 and one_track_each(made.video)
    assert [e.kind for e in made.events] == ["birth", "birth", "found again"]
    assert "unseen for 7 frames" in made.events[-1].detail


def test_without_velocity_the_hidden_one_is_lost():
    """The same scene with --motion last: a third track begins. What propagation is for."""
    _, found = scene(CROSSING, 60, hidden=lambda k, t: k == 1 and 27 <= t <= 33)
    made = track(found, Rules(motion="last"), SIGMAS)
    assert made.n_tracks == 3
    assert sum(e.kind == "death" for e in made.events) == 1


def test_who_stands_still_behind_another_is_found_again():
    paths = (left_to_right(6), lambda t: (180, 104))
    _, found = scene(paths, 60, hidden=lambda k, t: k == 1 and 25 <= t <= 35)
    made = track(found, Rules(), SIGMAS)
    assert made.n_tracks == 2 and one_track_each(made.video)


def test_entries_and_exits():
    """One leaves at 20, one enters at 15 elsewhere, one comes at 50 where the first had left: a new
    person.
    """
    paths = (
        lambda t: (10 + 5 * t, 50) if t < 20 else None,
        lambda t: (500 - 4 * t, 300) if t >= 15 else None,
        lambda t: (110 - 5 * (t - 50), 50) if t >= 50 else None,
    )
    _, found = scene(paths, 70)
    made = track(found, Rules(max_age=15), SIGMAS)
    assert made.n_tracks == 3 and one_track_each(made.video)
    births = [(e.image_id, e.tracks) for e in made.events if e.kind == "birth"]
    assert births == [(0, (0,)), (15, (1,)), (50, (2,))]
    died = [(e.image_id, e.tracks) for e in made.events if e.kind == "death"]
    assert died == [(36, (0,))]  # unseen in 20 .. 34, 15 frames, it could still be found in 35


def test_a_track_outlives_max_age_frames_and_no_more():
    for unseen, tracks in ((5, 1), (6, 2)):
        there = [True] * 10 + [False] * unseen + [True] * 10
        found = video([(person((50, 50)),) if t else () for t in there])
        assert track(found, Rules(max_age=5), SIGMAS).n_tracks == tracks


def test_short_tracks_are_taken_out():
    draw = np.random.default_rng(1)
    frames = [[person((10 + 2 * t, 50))] for t in range(30)]
    for t in (4, 11, 12, 20):
        frames[t].append(person(tuple(draw.uniform(200, 900, 2))))
    made = track(video(frames), Rules(min_hits=3), SIGMAS)
    assert made.n_tracks == 1 and made.dropped == {"poses of tracks with fewer than 3": 4}
    assert track(video(frames), Rules(min_hits=1), SIGMAS).n_tracks == 5
    assert {p.track_id for f in made.video.frames for p in f.people} == {0}


def test_a_single_frame_keeps_its_people():
    made = track(video([(person((0, 0)), person((200, 0)))]), Rules(min_hits=3), SIGMAS)
    assert [p.track_id for p in made.video.frames[0].people] == [0, 1]


def test_a_low_score_continues_a_track_and_begins_none():
    frames = [
        (person((10 + 2 * t, 50), score=0.9 if t < 5 else 0.1), person((400, 50), score=0.1))
        for t in range(10)
    ]
    made = track(video(frames), Rules(birth=0.3), SIGMAS)
    assert made.n_tracks == 1 and all(len(f.people) == 1 for f in made.video.frames)
    assert made.dropped == {"poses that continue no track and score too low to begin one": 10}


def test_without_a_score_of_the_person_the_joints_decide():
    frames = [(replace(person((10, 50)), score=None, scores=np.full(17, s)),) for s in (0.25,) * 5]
    assert track(video(frames), Rules(birth=0.3), SIGMAS).n_tracks == 0
    assert track(video(frames), Rules(birth=0.25), SIGMAS).n_tracks == 1
    unscored = [(replace(f[0], scores=None),) for f in frames]
    assert track(video(unscored), Rules(birth=0.9), SIGMAS).n_tracks == 1


def test_thresholds_drop_joints_and_people():
    scores = np.full(17, 0.9)
    scores[9] = 0.1
    frames = [(replace(person((10, 50)), scores=scores), person((400, 50), score=0.05)) for _ in range(5)]
    made = track(video(frames), Rules(joint_threshold=0.2, score_threshold=0.1), SIGMAS)
    one = made.video.frames[0].people[0]
    assert not one.there[9] and one.there[10] and np.array_equal(one.keypoints[9], [0, 0])
    assert made.dropped == {"joints below the joint threshold": 5, "persons below the score threshold": 5}
    all_gone = track(video(frames), Rules(joint_threshold=0.95), SIGMAS)
    assert all_gone.n_tracks == 0 and all_gone.dropped["persons without a joint"] == 10


def test_nobody_in_any_frame():
    made = track(video([(), (), ()]), Rules(), SIGMAS)
    assert made.n_tracks == 0 and len(made.video.frames) == 3 and made.events == ()


def test_the_gate_forbids_jumps():
    """Someone vanishes and someone appears far away: not the same person, however little is asked of
    likeness.
    """
    frames = [(person((10, 50)),)] * 5 + [(person((400, 50)),)] * 5
    assert track(video(frames), Rules(least=0.0, gate=0.75), SIGMAS).n_tracks == 2
    assert track(video(frames), Rules(least=0.0, gate=9.0), SIGMAS).n_tracks == 1


def test_frames_that_are_skipped_are_time():
    """Numbers 0, 4, 8, ... are one step each; a hole in them is as many steps as it is."""
    assert numbers(video([()] * 4, first=100, step=4)) == [0, 1, 2, 3]
    holes = Video("v", POSETRACK18, tuple(Frame(n, fields={"frame_id": n}) for n in (10, 20, 50)))
    assert numbers(holes) == [0, 1, 4]
    plain = Video("v", POSETRACK18, tuple(Frame(n) for n in (3, 1, 2)))
    assert numbers(plain) == [0, 1, 2]
    jumps = [Frame(n, (person((6 * n, 0)),), fields={"frame_id": n}) for n in (*range(10), *range(18, 28))]
    assert track(Video("v", POSETRACK18, tuple(jumps)), Rules(), SIGMAS).n_tracks == 1


def test_the_same_file_gives_the_same_tracks_and_order_within_a_frame_only_names():
    three = (*CROSSING, left_to_right(3, 40, 104))
    truth, found = scene(three, 60, hidden=lambda k, t: (7 * t + 3 * k) % 11 == 0)
    one, two = track(found, Rules(), SIGMAS), track(found, Rules(), SIGMAS)
    assert one.events == two.events
    assert [[p.track_id for p in f.people] for f in one.video.frames] == [
        [p.track_id for p in f.people] for f in two.video.frames
    ]
    mirrored = replace(found, frames=tuple(replace(f, people=f.people[::-1]) for f in found.frames))
    other = track(mirrored, Rules(), SIGMAS)
    a, b = judge(truth, one.video), judge(truth, other.video)
    assert a.total_clear == replace(b.total_clear, distance=a.total_clear.distance)


def test_close_calls_are_reported():
    """Two who stand at one place could be exchanged, and nothing in their poses says otherwise."""
    _, found = scene((left_to_right(0, 100), left_to_right(0, 101)), 10)
    made = track(found, Rules(margin=0.2), SIGMAS)
    calls = [e for e in made.events if e.kind == "close call"]
    assert calls and all(set(e.tracks) == {0, 1} and "better by" in e.detail for e in calls)
    _, apart = scene((left_to_right(0, 100), left_to_right(0, 400)), 10)
    assert not [e for e in track(apart, Rules(margin=0.2), SIGMAS).events if e.kind == "close call"]


def test_a_crowd_of_walkers_is_followed():
    """Eight people on lines that cross, each unseen one frame in nine: every joint is tracked, no id is
    swapped.
    """
    draw = np.random.default_rng(4)
    starts, speeds = draw.uniform(0, 900, (8, 2)), draw.uniform(-5, 5, (8, 2))
    paths = [lambda t, k=k: tuple(starts[k] + speeds[k] * t) for k in range(8)]
    truth, found = scene(paths, 50, hidden=lambda k, t: (t + 5 * k) % 9 == 0)
    made = track(found, Rules(), SIGMAS)
    total = judge(truth, made.video).total_clear
    assert total.switches == 0 and total.false_positives == 0
    assert total.misses == 15 * sum((t + 5 * k) % 9 == 0 for t in range(50) for k in range(8))


def test_motion_by_hand():
    """10 pixels in 2 frames are 5 a frame; 3 frames on, 15 further. Later velocities are smoothed by a
    half.
    """
    motion = begun(person((0, 0)), 0).after(person((10, 0)), 2)
    assert motion.velocity.tolist() == [5, 0]
    assert np.allclose(motion.expected(5, True).box, [25, 0, 40, 120])
    assert motion.expected(5, False) is motion.person
    assert motion.after(person((11, 0)), 3).velocity.tolist() == [3, 0]
    here = person((0, 0), lost=(9,))
    there = moved(here, np.array([7.0, -2.0]))
    assert displacement(here, there).tolist() == [7, -2] and np.array_equal(there.keypoints[9], [0, 0])


def test_the_greatest_sum_of_likeness_is_taken():
    alike = np.array([[0.9, 0.8], [0.8, 0.1]])
    assert matched(alike, alike > 0) == [(0, 1), (1, 0)]
    assert matched(alike, alike > 0.5) == [(0, 1), (1, 0)]
    assert matched(alike, alike > 0.85) == [(0, 0)]
    assert close_calls(alike, alike > 0, [(0, 1), (1, 0)], 0.7) == [(0, 1, pytest.approx(0.6))]


def test_rules_that_are_none_are_refused():
    with pytest.raises(BadInput, match="expected one of oks, iou, both"):
        Rules(likeness="cosine")
