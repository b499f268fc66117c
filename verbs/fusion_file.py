"""The file of a fusion: who its members are, their frozen weights and scales, and what was found with them.

format, version    "basalt-fusion", 1
members            one each: path, model, stream, target, form, checkpoint and fingerprint, weight, scale
gain               of the fused scores: softmax(gain * score) are probabilities
dataset, classes   what they were trained on
fitted_on          the clips the weights were fitted on, or the file they came from
splits             validation, test: samples, labels; accuracy, confusion and predictions of every member, of
                   equal and of fitted weights
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from convert.ir import BadInput
from train.fusion import Fusion
from verbs.members import Member

FORMAT, VERSION = "basalt-fusion", 1


def described(members: Sequence[Member], fusion: Fusion) -> dict[str, Any]:
    """The frozen part of the file."""
    of = zip(members, fusion.weights, fusion.scales, strict=True)
    about = members[0].about
    return {
        "format": FORMAT,
        "version": VERSION,
        "members": [{**m.as_json(), "weight": weight, "scale": scale} for m, weight, scale in of],
        "gain": fusion.gain,
        "dataset": about["dataset"],
        "classes": list(about["classes"]),
    }


def frozen(path: Path, members: Sequence[Member]) -> Fusion:
    """The fusion of a file, in the order of these members; BadInput unless it is of exactly their models.

    A model is known by its checkpoint: weights fitted on runs serve the artifacts converted from them. A run
    that was refit or fine-tuned from one of them, or began with its weights, takes its place: it may have
    been trained on the clips that the weights were fitted on.
    """
    body = _read(path)
    known = {entry["checkpoint"]: entry for entry in body["members"]}
    found: dict[str, Path] = {}
    for member in members:
        name = next((digest for digest in member.lineage if digest in known), None)
        if name is None:
            raise BadInput(
                f"{member.path}: has no weight in {path}; name its members, or fit without --weights"
            )
        if name in found:
            raise BadInput(
                f"{member.path}: has the weight of {found[name]} in {path}, one run being before both; leave "
                "one of them out"
            )
        found[name] = member.path
    if len(known) != len(members):
        left = next(entry["path"] for key, entry in known.items() if key not in found)
        raise BadInput(f"{path}: has a weight for {left} too; name all its members, or fit without --weights")
    chosen = [known[name] for name in found]
    weights = tuple(float(e["weight"]) for e in chosen)
    return Fusion(weights, tuple(float(e["scale"]) for e in chosen), float(body["gain"]))


def _read(path: Path) -> dict[str, Any]:
    """The file, checked: weights of sum 1, none negative; scales and gain finite, scales above 0."""
    try:
        body = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise BadInput(f"{path}: no such file; make one with `cli.py fuse`") from error
    except (OSError, ValueError) as error:
        raise BadInput(f"{path}: not readable as JSON; fit the weights again") from error
    if not isinstance(body, dict) or body.get("format") != FORMAT or body.get("version") != VERSION:
        raise BadInput(f"{path}: is no {FORMAT} file of version {VERSION}; make one with `cli.py fuse`")
    entries = body.get("members")
    sound = isinstance(entries, list) and all(_is_entry(entry) for entry in entries)
    if not sound or abs(sum(e["weight"] for e in entries) - 1.0) > 1e-9 or not _number(body.get("gain")):
        raise BadInput(
            f"{path}: its weights, scales or gain are not what a fit writes (weights of sum 1, none "
            "negative; scales above 0); fit the weights again"
        )
    return body


def _is_entry(entry: Any) -> bool:
    if not isinstance(entry, dict) or not all(isinstance(entry.get(k), str) for k in ("path", "checkpoint")):
        return False
    return _number(entry.get("weight")) and _number(entry.get("scale")) and entry["scale"] > 0


def _number(value: Any) -> bool:
    """Finite and not negative."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < float("inf")
