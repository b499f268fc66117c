"""Validation by whole subjects, and by whole performances."""

import json

import pytest

from train.data.clip import ClipSet
from train.data.split import held_again, hold_out, hold_out_subjects, record, request


@pytest.fixture
def clips(clip):
    """Subjects 1, 2, 3, 4 with 6, 2, 10, 3 clips, labels in turn."""
    people = [1] * 6 + [2] * 2 + [3] * 10 + [4] * 3
    return [clip(f"c{k}", frames=1, subject=subject, label=k % 2) for k, subject in enumerate(people)]


@pytest.mark.parametrize(
    ("fraction", "subjects"), [(0.05, {2}), (0.1, {2, 4}), (0.3, {1, 2, 4}), (0.99, {1, 2, 4})]
)
def test_smallest_subjects_first_until_the_fraction(clips, fraction, subjects):
    split = hold_out_subjects(clips, fraction=fraction)
    assert {c.subject for c in split.validation} == subjects
    assert {c.subject for c in split.train} == {1, 2, 3, 4} - subjects
    assert len(split.train) + len(split.validation) == len(clips)
    assert ", ".join(map(str, sorted(subjects))) in split.note


def test_a_given_list_overrides_and_order_does_not_matter(clips):
    split = hold_out_subjects(clips, subjects=[3, 1])
    assert {c.subject for c in split.validation} == {1, 3}
    backwards = hold_out_subjects(clips[::-1], subjects=[1, 3])
    assert {c.id for c in backwards.validation} == {c.id for c in split.validation}


def test_without_subjects_each_class_gives_its_share(clip):
    clips = [clip(f"c{k}", frames=1, subject=-1, label=k // 20) for k in range(60)]
    clips.append(clip("alone", frames=1, subject=-1, label=3))
    split = hold_out_subjects(clips, fraction=0.1)
    labels = [c.label for c in split.validation]
    assert labels == [0, 0, 1, 1, 2, 2]
    assert clips[-1] in split.train
    assert not {c.id for c in split.train} & {c.id for c in split.validation}


def test_nothing_held_out(clips):
    """All clips train, in their order; named subjects are held out all the same."""
    split = hold_out(clips, "none")
    assert split.train == tuple(clips) and split.validation == ()
    assert "none, all 21 clips" in split.note
    assert {c.subject for c in hold_out(clips, "none", [2]).validation} == {2}


def test_a_class_that_training_loses_is_said(clip):
    clips = [clip("a", subject=1, label=0), clip("b", subject=2, label=1), clip("d", subject=2)]
    assert "classes [0]" not in hold_out_subjects(clips, subjects=[1]).note
    assert "classes [1]" in hold_out_subjects(clips, subjects=[2]).note


def test_bad_splits(clips, clip, refused):
    refused(lambda: hold_out_subjects(clips, subjects=[7]), "subject 7", "1, 2, 3, 4")
    refused(lambda: hold_out_subjects(clips, subjects=[]), "validation part is empty")
    refused(lambda: hold_out_subjects(clips, subjects=[1, 2, 3, 4]), "training part is empty")
    refused(lambda: hold_out_subjects([clip()]), "validation part is empty")
    refused(lambda: hold_out_subjects([clip(subject=-1)]), "validation part is empty")
    refused(lambda: hold_out_subjects([]), "empty")
    refused(lambda: hold_out_subjects(clips, fraction=1.5), "1.5")


def test_performances_are_held_out_whole_and_evenly(clip):
    """Two views of each performance stay together; every class and nearly every subject is in both parts."""
    clips = [
        clip(
            f"a{label:02d}_s{subject:02d}_e{take:02d}_v{view:02d}", 1, label=label, subject=subject, view=view
        )
        for label in (1, 2, 3)
        for subject in range(1, 6)
        for take in range(4)
        for view in (1, 2)
    ]
    split = hold_out(clips, fraction=0.1)
    held = {c.performance for c in split.validation}
    assert held.isdisjoint(c.performance for c in split.train)
    assert len(split.validation) == 2 * len(held) == 2 * 3 * 2  # two of twenty performances of each class
    assert {c.label for c in split.validation} == {1, 2, 3}
    assert {c.subject for c in split.train} == set(range(1, 6))
    assert hold_out(clips, fraction=0.1).validation == split.validation


def test_auto_follows_the_views(clip, refused):
    """Without several views of a performance, whole subjects are held out."""
    clips = [clip(f"c{i}", 1, subject=1 + i % 4) for i in range(12)]
    assert {c.subject for c in hold_out(clips).validation}.isdisjoint(
        {c.subject for c in hold_out(clips).train}
    )
    refused(lambda: hold_out(clips, how="coin"), "coin")


def test_a_view_is_held_out_whole(clip, refused):
    """The last view: known performances from another side. Clips that name no view cannot be parted so."""
    clips = [clip(f"a01_s0{s}_e00_v0{v}", 1, subject=s, view=v) for s in (1, 2, 3) for v in (1, 2, 3)]
    split = hold_out(clips, "views")
    assert {c.view for c in split.validation} == {3} and {c.view for c in split.train} == {1, 2}
    assert {c.performance for c in split.validation} == {c.performance for c in split.train}
    assert "view 3, 3 of 9 clips" in split.note
    refused(lambda: hold_out([clip("c", subject=1)], "views"), "0 views", "subjects or performances")


@pytest.mark.parametrize(
    ("how", "subjects", "fraction"), [("auto", None, 0.1), ("auto", (1, 3), 0.1), ("performances", None, 0.3)]
)
def test_a_record_finds_the_same_clips_again(clips, how, subjects, fraction):
    """Through JSON, as checkpoints and artifacts carry it; and a bare request, as older checkpoints have."""
    data = ClipSet("made-up", "kinect20", ("a", "b"), tuple(clips))
    split = hold_out(clips, how, subjects, fraction)
    kept = json.loads(json.dumps(record(split, how, subjects, fraction)))
    assert kept["clips"] == len(split.validation) > 0
    for known in (kept, request(how, kept["subjects"], fraction)):
        assert held_again(data, known).validation == split.validation


def test_the_way_of_the_set_is_kept(clip):
    """What the set says of its test decides again: subjects, though clips share performances."""
    clips = tuple(clip(f"x_s{s}_v0{v}", 1, subject=s, view=v) for s in (1, 2, 3) for v in (1, 2))
    data = ClipSet("made-up", "kinect20", ("a",), clips, unseen="subjects")
    split = hold_out(clips, unseen="subjects")
    assert {c.subject for c in split.validation} == {1}
    assert held_again(data, record(split, "auto", None, 0.1)).validation == split.validation


def test_clips_that_changed_are_refused(clips, clip, refused):
    """Another label or id among the held-out clips; one more clip in training is none of its business."""
    kept = record(hold_out(clips, fraction=0.1), "auto", None, 0.1)
    whole = tuple(clips)
    held = [place for place, c in enumerate(whole) if c.subject in (2, 4)]

    def again(changed):
        return held_again(ClipSet("made-up", "kinect20", ("a", "b"), changed), kept)

    for odd in (
        clip("other", frames=1, subject=2, label=whole[held[0]].label),
        clip(whole[held[0]].id, frames=1, subject=2, label=1 - whole[held[0]].label),
    ):
        changed = tuple(odd if place == held[0] else c for place, c in enumerate(whole))
        refused(lambda c=changed: again(c), "made-up: validation clips", "the 5 that training", "restore")
    assert again((*whole, clip("one more", frames=1, subject=3))).validation == again(whole).validation


@pytest.mark.parametrize(
    "change", [{"how": None}, {"subjects": "1"}, {"subjects": [1.5]}, {"fraction": "x"}, {"how": "coin"}]
)
def test_a_record_that_is_none_is_refused(clips, refused, change):
    data = ClipSet("made-up", "kinect20", ("a", "b"), tuple(clips))
    refused(lambda: held_again(data, {**request("auto", None, 0.1), **change}), "validation")
