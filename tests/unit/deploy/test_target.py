"""What the contract of targets says for all of them."""

from __future__ import annotations

from deploy.target import told


def test_reasons_of_one_why_are_told_once():
    alike = [f"{name}: has no `carry`: bits are lost" for name in ("a", "b", "c")]
    assert told(alike) == "a and 2 more: has no `carry`: bits are lost"
    assert told(alike[:2]) == "a and 1 more: has no `carry`: bits are lost"
    # one of the others' whys holds this one, and stands before it
    assert told(["a: no delay here", "it runs programs", "b: no delay"]) == (
        "a: no delay here; it runs programs; b: no delay"
    )
    assert told([]) == ""
