"""Held-out validation data, chosen among the training clips and never among the test's."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from train.data.clip import UNKNOWN_SUBJECT, Clip, ClipSet
from train.data.errors import DataError


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """train and validation share no clip; note says how they were parted, for logs and reports."""

    train: tuple[Clip, ...]
    validation: tuple[Clip, ...]
    note: str


WAYS = ("auto", "subjects", "performances", "setups", "views", "none")
UNSEEN = {"subjects": "subjects", "views": "performances", "setups": "setups"}
"""What a test shows that training does not -> the way that holds out the like of it."""


def hold_out(
    clips: Sequence[Clip],
    how: str = "auto",
    subjects: Sequence[int] | None = None,
    fraction: float = 0.1,
    unseen: str = "",
) -> Split:
    """The validation part of the training clips, in the manner of the test.

    subjects        whole subjects (`hold_out_subjects`): for tests on people never seen
    performances    whole performances, all their views, evenly from each class: for tests that show known
                    people from another view, where an unseen person would say little
    setups          whole setups (places of cameras and stage): for tests in setups never seen
    views           the last camera's clips: known performances from a view never seen, as a cross-view test
                    shows them; it costs a whole view, so it is for choosing a recipe, not for a final run
    none            nothing: all clips train, and nothing is chosen by validation
    auto            as `unseen`, what the set says its test shows (ClipSet.unseen), demands; where it says
                    nothing: performances where clips share one (several views), else subjects

    Given subjects are held out whatever `how` says.
    """
    if how not in WAYS:
        raise DataError(f"validation by {how!r}; expected one of {', '.join(WAYS)}")
    if how == "auto":
        shared = len({clip.performance for clip in clips}) < len(clips)
        how = UNSEEN.get(unseen) or ("performances" if shared else "subjects")
    if subjects is None and how == "none":
        return Split(tuple(clips), (), f"validation: none, all {len(clips)} clips are trained on")
    if subjects is None and how == "performances":
        return _by_performance(clips, fraction)
    if subjects is None and how == "setups":
        return _by_setup(clips, fraction)
    if subjects is None and how == "views":
        return _by_view(clips)
    return hold_out_subjects(clips, subjects, fraction)


def record(split: Split, how: str, subjects: Sequence[int] | None, fraction: float) -> dict[str, Any]:
    """What a run keeps of its split, as JSON: how `hold_out` was asked, and which clips it held out."""
    return {**request(how, subjects, fraction), **_evidence(split.validation)}


def request(how: str, subjects: Sequence[int] | None, fraction: float) -> dict[str, Any]:
    """The part of a record that asks: what `held_again` needs at least."""
    return {"how": how, "subjects": None if subjects is None else list(subjects), "fraction": fraction}


def held_again(data: ClipSet, known: Mapping[str, Any]) -> Split:
    """The split of a training set that a run recorded; DataError where other clips would be held out now."""
    if not _asks(known):
        raise DataError.of(
            f"{data.name}: the record of validation clips",
            found=f"{dict(known)}",
            expected="how, subjects and fraction as training writes them",
            do="take an unedited checkpoint",
        )
    split = hold_out(data.clips, known["how"], known["subjects"], known["fraction"], data.unseen)
    found = _evidence(split.validation)
    if "sha256" in known and known["sha256"] != found["sha256"]:
        raise DataError.of(
            f"{data.name}: validation clips",
            found=f"{found['clips']} clips whose ids and labels have the sha256 {found['sha256'][:12]}",
            expected=f"the {known.get('clips')} that training held out, {str(known['sha256'])[:12]}",
            do="restore the data that the model was trained on",
        )
    return split


def _asks(known: Mapping[str, Any]) -> bool:
    """Whether a record has what `hold_out` takes, of the right types."""
    how, subjects, fraction = (known.get(key) for key in ("how", "subjects", "fraction"))
    numbers = subjects is None or (isinstance(subjects, list) and all(type(s) is int for s in subjects))
    return isinstance(how, str) and numbers and isinstance(fraction, float)


def _evidence(clips: Sequence[Clip]) -> dict[str, Any]:
    """Number and sha256 of the ids and labels of clips, in order."""
    text = json.dumps([(clip.id, clip.label) for clip in clips])
    return {"clips": len(clips), "sha256": hashlib.sha256(text.encode()).hexdigest()}


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


def _by_setup(clips: Sequence[Clip], fraction: float) -> Split:
    """The setups with the fewest clips first, until at least `fraction` of the clips is held out."""
    if not 0.0 < fraction < 1.0:
        raise DataError(f"validation fraction is {fraction}; expected a number between 0 and 1")
    setups = [clip.setup for clip in clips if clip.setup is not None]
    if len(setups) < len(clips) or len(set(setups)) < 2:
        raise DataError(
            f"validation split of {len(clips)} clips: {len(set(setups))} setups named; expected two or more, "
            "one for each clip; hold out subjects or performances instead"
        )
    held = _smallest(setups, fraction)
    validation = tuple(clip for clip in clips if clip.setup in held)
    train = tuple(clip for clip in clips if clip.setup not in held)
    names = ", ".join(map(str, held))
    return Split(
        train, validation, f"validation: training setups {names}, {len(validation)} of {len(clips)} clips"
    )


def _by_view(clips: Sequence[Clip]) -> Split:
    """The clips of the view with the highest number are the validation part, all others train."""
    views = sorted({clip.view for clip in clips if clip.view is not None})
    if len(views) < 2 or any(clip.view is None for clip in clips):
        raise DataError(
            f"validation split of {len(clips)} clips: {len(views)} views named; expected two or more, "
            "one for each clip; hold out subjects or performances instead"
        )
    validation = tuple(clip for clip in clips if clip.view == views[-1])
    train = tuple(clip for clip in clips if clip.view != views[-1])
    return Split(train, validation, f"validation: view {views[-1]}, {len(validation)} of {len(clips)} clips")


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
        split = _by_subject(clips, _smallest([clip.subject for clip in clips], fraction))
    for part, name in ((split.train, "training"), (split.validation, "validation")):
        if not part:
            raise DataError(
                f"validation split of {len(clips)} clips: the {name} part is empty ({split.note}); "
                "choose other subjects or load more clips"
            )
    return split


def _smallest(groups: Sequence[int], fraction: float) -> tuple[int, ...]:
    """Groups to hold out (groups[i] is that of clip i), fewest clips first, until the fraction is reached;
    never all of them."""
    count = Counter(groups)
    chosen: list[int] = []
    held = 0
    for group in sorted(count, key=lambda g: (count[g], g))[:-1]:
        if held >= fraction * len(groups):
            break
        chosen.append(group)
        held += count[group]
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
