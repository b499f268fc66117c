"""energy-report --convention, --switch, --allow-uncounted: what they do, and what they refuse."""

import json

import pytest

ARGS = ("--cost-table", "horowitz45-fp32", "--limit", "3", "--page-samples", "0")


@pytest.mark.parametrize("bad, words", [
    (("--convention", "paper"), ("paper-spikformer", "paper-sdt")),
    (("--switch", "first-layer"), ("not SWITCH=VALUE", "first-layer, ")),
    (("--switch", "first-layers=once"), ("'first-layers' is unknown", "first-layer, ")),
    (("--switch", "first-layer=twice"), ("first-layer=twice", "known: steps, once")),
    (("--switch", "head=ignored", "--switch", "head=counted"), ("head is set twice",)),
])  # fmt: skip
def test_what_is_no_convention_is_a_usage_error(run, tmp_path, bad, words):
    got = run("energy-report", tmp_path, *ARGS, "--out", tmp_path / "e", *bad)
    assert got.code == 2 and len(got.error_lines) == 1, got.err
    assert all(word in got.err for word in words), got.err
    assert not (tmp_path / "e").exists()


def test_the_first_convention_is_the_headline(run, lava_artifact, tmp_path):
    named = ("--convention", "paper-sdt", "--convention", "exact", "--convention", "paper-sdt")
    got = run(
        "energy-report", lava_artifact, *ARGS, "--out", tmp_path / "e", *named, "--switch", "neurons=counted"
    )
    assert got.code == 0, got.err
    summary = json.loads((tmp_path / "e" / "summary.json").read_text())
    names = ["paper-sdt+neurons=counted", "exact"]
    assert [c["name"] for c in summary["conventions"]] == list(summary["energy"]) == names
    assert summary["energy"][names[0]]["neuron_pj"] == summary["energy"]["exact"]["neuron_pj"] > 0
    assert summary["spread"]["convention"] == names[0] and len(summary["spread"]["variants"]) > 10
    lines = [line for line in got.out.splitlines() if " per sample (" in line]
    assert [line.split(":")[0] for line in lines] == names
    assert "over conventions, and paper-sdt+neurons=counted with one switch changed: " in got.out
    assert summary["energy_incomplete"] is None and "INCOMPLETE" not in got.out
