"""Held-out validation data, chosen among the training clips and never among the test's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from train.data.clip import UNKNOWN_SUBJECT, Clip
from train.data.errors import DataError


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """train and validation share no clip; note says how they were parted, for logs and reports."""

    train: tuple[Clip, ...]
    validation: tuple[Clip, ...]
    note: str


WAYS = ("auto", "subjects", "performances")


def hold_out(
    clips: Sequence[Clip], how: str = "auto", subjects: Sequence[int] | None = None, fraction: float = 0.1
) -> Split:
    """The validation part of the training clips, in the manner of the test.

    subjects        whole subjects (`hold_out_subjects`): for tests on people never seen
    performances    whole performances, all their views, evenly from each class: for tests that show known
                    people from another view, where an unseen person would say little
    auto            performances where clips share one (several views), else subjects
    """
    if how not in WAYS:
        raise DataError(f"validation by {how!r}; expected one of {', '.join(WAYS)}")
    shared = len({clip.performance for clip in clips}) < len(clips)
    if subjects is None and (how == "performances" or (how == "auto" and shared)):
        return _by_performance(clips, fraction)
    return hold_out_subjects(clips, subjects, fraction)


def _by_performance(clips: Sequence[Clip], fraction: float) -> Split:
    """Evenly spaced performances of each class, in the order of their names; none is in both parts."""
    if not 0.0 < fraction < 1.0:
        raise DataError(f"validation fraction is {fraction}; expected a number between 0 and 1")
    held: set[str] = set()
    for label in sorted({clip.label for clip in clips}):
        names = sorted({clip.performance for clip in clips if clip.label == label})
        count = min(max(round(fraction * len(names)), 1), len(names) - 1)
        held.update(names[(2 * k + 1) * len(names) // (2 * count)] for k in range(count))
    validation = tuple(clip for clip in clips if clip.performance in held)
    train = tuple(clip for clip in clips if clip.performance not in held)
    if not validation or not train:
        raise DataError(
            f"validation split of {len(clips)} clips: too few performances to part; load more clips"
        )
    note = (
        f"validation: {len(held)} performances of training subjects, {len(validation)} of {len(clips)} clips"
    )
    return Split(train, validation, note)


def hold_out_subjects(
    clips: Sequence[Clip], subjects: Sequence[int] | None = None, fraction: float = 0.1
) -> Split:
    """Part whole subjects off the training clips; the same clips give the same split.

    Cases:
    1. subjects given: exactly those.
    2. every clip names its subject: the subjects with the fewest clips first (the lower number on a
       tie), until at least `fraction` of the clips is held out; one subject always stays.
    3. some clip does not (subject -1): every k-th clip of each class, and the note says that persons
       may be in both parts.
    """
    if not 0.0 < fraction < 1.0:
        raise DataError(f"validation fraction is {fraction}; expected a number between 0 and 1")
    if subjects is not None:  # case 1
        split = _by_subject(clips, tuple(sorted(set(subjects))))
    elif any(clip.subject == UNKNOWN_SUBJECT for clip in clips):  # case 3
        split = _by_sample(clips, fraction)
    else:  # case 2
        split = _by_subject(clips, _smallest(clips, fraction))
    for part, name in ((split.train, "training"), (split.validation, "validation")):
        if not part:
            raise DataError(
                f"validation split of {len(clips)} clips: the {name} part is empty ({split.note}); "
                "choose other subjects or load more clips"
            )
    return split


def _smallest(clips: Sequence[Clip], fraction: float) -> tuple[int, ...]:
    """Subjects to hold out, fewest clips first, until the fraction is reached; never all of them."""
    count = Counter(clip.subject for clip in clips)
    chosen: list[int] = []
    held = 0
    for subject in sorted(count, key=lambda s: (count[s], s))[:-1]:
        if held >= fraction * len(clips):
            break
        chosen.append(subject)
        held += count[subject]
    return tuple(sorted(chosen))


def _by_subject(clips: Sequence[Clip], subjects: tuple[int, ...]) -> Split:
    """The clips of the subjects are the validation part; a subject that has none is an error."""
    known = {clip.subject for clip in clips}
    absent = [subject for subject in subjects if subject not in known]
    if absent:
        raise DataError(
            f"validation split: no clip of subject {', '.join(map(str, absent))}; "
            f"expected subjects among {', '.join(map(str, sorted(known)))}"
        )
    validation = tuple(clip for clip in clips if clip.subject in subjects)
    train = tuple(clip for clip in clips if clip.subject not in subjects)
    names = ", ".join(map(str, subjects)) or "none"
    note = f"validation: training subjects {names}, {len(validation)} of {len(clips)} clips"
    unseen = {clip.label for clip in validation} - {clip.label for clip in train}
    if unseen and train:
        note += f"; classes {sorted(unseen)} are left without training clips"
    return Split(train, validation, note)


def _by_sample(clips: Sequence[Clip], fraction: float) -> Split:
    """Evenly spaced clips of each class in file order; a class of one clip stays in training."""
    held: set[int] = set()
    for label in sorted({clip.label for clip in clips}):
        places = [place for place, clip in enumerate(clips) if clip.label == label]
        count = min(max(round(fraction * len(places)), 1), len(places) - 1)
        held.update(places[(2 * k + 1) * len(places) // (2 * count)] for k in range(count))
    note = (
        f"validation: {len(held)} of {len(clips)} clips, evenly from each class; "
        "the format names no subjects, so that a person may be in both parts"
    )
    train = tuple(clip for place, clip in enumerate(clips) if place not in held)
    return Split(train, tuple(clips[place] for place in sorted(held)), note)
