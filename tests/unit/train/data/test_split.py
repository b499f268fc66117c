"""Validation by whole subjects."""

import pytest

from train.data.split import hold_out_subjects


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
