"""The benchmark that says where 8 bits lose what they lose."""

from __future__ import annotations

import json

from benchmarks import pose_int8


def test_kernels_roundings_and_layers_are_told_apart(sdnn_run, tmp_path, capsys):
    told = tmp_path / "told.json"
    pose_int8.main(
        [str(sdnn_run), "--calibrate", "16", "--people", "4", "--layers", "3", "--json", str(told)]
    )
    told = json.loads(told.read_text())
    for head in ("heatmap", "offset"):
        meant, run = (told["arms"][arm][head]["off"] for arm in ("meant", "run"))
        # whole sums differ from floats where a value lies on the edge between two steps, and there alone
        assert 0 < meant < 1 and abs(run - meant) < 0.2 * meant
        assert told["spread"][head] > 0 and told["rounded_picture"]["maps"][head] > 0
    assert len(told["layers"]) > 20 and all(error > 0 for _, error in told["layers"])
    shown = capsys.readouterr().out
    assert "| meant |" in shown and f"of {len(told['layers'])}  " in shown
