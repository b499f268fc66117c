"""Comparisons: ratios to the first in shared conventions; what is not of one kind is refused, or said."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from convert.ir import LIF, Affine, BadInput, Graph, Input
from energy.compare import compared, printed
from energy.conventions import NAMED
from energy.costs import cost_table
from energy.counts import counter
from energy.entry import entry
from energy.line import Options
from energy.priced import Terms
from energy.report import Report

PEER = {
    "format": "basalt-peer", "version": 1, "name": "Spikformer-8-512", "source": "arXiv 2209.15425, table 2",
    "convention": "paper-spikformer", "cost_table": "horowitz45-fp32", "energy_pj": 1.1577e10,
    "dataset": "imagenet", "accuracy": 0.7338,
}  # fmt: skip


def write(out, rate, table="horowitz45-fp32", conventions=("exact", "paper-spikformer"), options=None):
    nodes = {"x": Input((3,), "binary"), "fc": Affine(np.ones((2, 3))), "lif": LIF(0.5)}
    graph = Graph(nodes, (("x", "fc"), ("fc", "lif")), ("lif",), "folded")
    draw = np.random.default_rng(7)
    data = {n: (draw.random((6, 5, k)) < rate).astype(np.uint8) for n, k in (("x", 3), ("lif", 2))}
    terms = Terms(tuple(NAMED[name] for name in conventions))
    with Report(out, cost_table(table), {"dataset": "walks"}, terms) as report:
        report.add(counter(graph, options or Options()).count(data), list("abcde"), [0] * 5, [0, 0, 0, 1, 1])
    return out


def peer(path, **changes):
    path.write_text(json.dumps({**PEER, **changes}))
    return path


@pytest.fixture
def pair(tmp_path):
    return [entry(write(tmp_path / "teacher", 0.9)), entry(write(tmp_path / "student", 0.3))]


def test_ratios_are_to_the_first(pair):
    result = compared(pair)
    teacher, student = result["entries"]
    assert result["base"] == "teacher" and result["conventions"] == ["exact", "paper-spikformer"]
    for name in result["conventions"]:
        assert teacher["energy"][name]["ratio"] == 1.0
        want = pair[1].pj[name] / pair[0].pj[name]
        assert student["energy"][name]["ratio"] == want != 1.0
    assert student["energy"]["exact"]["parts"]["compute"] == pytest.approx(0.9 * student["means"]["ac"])
    assert (teacher["accuracy"], result["warnings"]) == (0.6, [])
    heads, rows = printed(result)
    assert len(heads) == len(rows[0]) and rows[0][0] == "teacher" and rows[0][3] == "1"


def test_a_chosen_convention_leads(pair):
    assert compared(pair, "paper-spikformer")["conventions"] == ["paper-spikformer", "exact"]
    with pytest.raises(BadInput, match="not all hold the convention 'paper-sdt'; shared: exact"):
        compared(pair, "paper-sdt")


def test_only_shared_conventions_are_compared(tmp_path, pair):
    third = entry(write(tmp_path / "third", 0.5, conventions=("paper-spikformer",)))
    assert compared([*pair, third])["conventions"] == ["paper-spikformer"]
    other = entry(write(tmp_path / "other", 0.5, conventions=("paper-sdt",)))
    with pytest.raises(BadInput, match="no convention is shared: teacher holds exact, paper-spikformer; oth"):
        compared([pair[0], other])


def test_a_convention_of_one_name_that_counts_otherwise_is_not_shared(tmp_path, pair):
    path = write(tmp_path / "older", 0.9) / "summary.json"
    body = json.loads(path.read_text())
    for convention in body["conventions"]:
        convention["switches"]["padding"] = "guessed"
    path.write_text(json.dumps(body))
    with pytest.raises(BadInput, match="exact of older differs in padding"):
        compared([pair[0], entry(tmp_path / "older")])


def test_other_prices_are_refused_or_said(tmp_path, pair):
    cheap = entry(write(tmp_path / "cheap", 0.9, "horowitz45-int8"))
    with pytest.raises(BadInput, match="teacher is priced by horowitz45-fp32, cheap by horowitz45-int8"):
        compared([pair[0], cheap])
    assert "horowitz45-int8" in compared([pair[0], cheap], mixed=True)["warnings"][0]


def test_a_table_of_the_same_name_with_other_prices_is_another(tmp_path, pair):
    path = write(tmp_path / "edited", 0.9) / "summary.json"
    body = json.loads(path.read_text())
    body["cost_table"]["sha256"] = "0" * 64
    path.write_text(json.dumps(body))
    with pytest.raises(BadInput, match="edited is priced by another horowitz45-fp32"):
        compared([pair[0], entry(tmp_path / "edited")])


def test_other_options_of_counting_are_refused_or_said(tmp_path, pair):
    other = entry(write(tmp_path / "other", 0.9, options=Options(fold_pool=False)))
    with pytest.raises(BadInput, match="fold_pool is True in teacher, False in other"):
        compared([pair[0], other])
    assert compared([pair[0], other], mixed=True)["warnings"]


def test_published_numbers_of_a_peer(tmp_path, pair):
    result = compared([pair[0], entry(peer(tmp_path / "peer.json"))])
    assert result["conventions"] == ["paper-spikformer"]
    one = result["entries"][1]
    assert one["energy"]["paper-spikformer"]["pj"] == 1.1577e10 and one["means"]["mac"] is None
    assert any("dataset: walks in teacher, imagenet" in w for w in result["warnings"])
    assert any("published figures, arXiv 2209.15425" in w for w in result["warnings"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "x"}, "not a basalt-peer file of version 1"),
        ({"energy_pj": -1}, "energy_pj is -1, expected picojoules above 0"),
        ({"energy_pj": True}, "energy_pj is True"),
        ({"source": " "}, "source must be text"),
        ({"accuracy": 73.4}, "accuracy is 73.4, expected 0 to 1"),
        ({"mac": "many"}, "mac must be a number"),
        ({"energy_mj": 11.5}, "unknown key 'energy_mj'"),
    ],
)
def test_a_faulty_peer_is_refused(tmp_path, change, message):
    with pytest.raises(BadInput, match=message):
        entry(peer(tmp_path / "peer.json", **change))


def test_what_is_no_report_is_refused(tmp_path, pair):
    with pytest.raises(BadInput, match=r"summary\.json: not readable .* write one with"):
        entry(tmp_path)
    broken = tmp_path / "broken"
    shutil.copytree(tmp_path / "teacher", broken)
    (broken / "summary.json").write_text('{"schema_version": 1}')
    with pytest.raises(BadInput, match="schema version 1, expected 2; write it again"):
        entry(broken)
    (broken / "summary.json").write_text('{"schema_version": 2}')
    with pytest.raises(BadInput, match=r"its summary\.json is damaged"):
        entry(broken)
    with pytest.raises(BadInput, match="found 1 report, expected two"):
        compared(pair[:1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s["energy"]["exact"].update(total_pj="a"), "damaged .*'a' is no number from 0 up"),
        (lambda s: s["energy"]["exact"].update(total_pj=-1.0), "damaged .*-1.0 is no number from 0 up"),
        (lambda s: s["energy"]["exact"].update(total_pj=10**400), "damaged .*000 is no number from 0 up"),
        (lambda s: s["energy"]["exact"].update(total_pj=float("nan")), "not readable .*holds NaN"),
        (lambda s: s["energy"]["exact"].update(compute_pj="a"), "damaged .*'a' is no number"),
        (lambda s: s["energy"]["exact"].update(ci95_pj=[1.0]), "damaged .*IndexError"),
        (lambda s: s["energy"]["exact"].update(per_correct_pj=[]), "damaged"),
        (lambda s: s.update(energy=[1]), "damaged"),
        (lambda s: s.update(accuracy="most"), "damaged .*'most'"),
        (lambda s: s.update(n_samples="a"), "damaged"),
        (lambda s: s.update(options=[]), "damaged"),
        (lambda s: s.update(latency_s={"median": True}), "damaged .*True"),
        (lambda s: s["means"].update(mac=None), "damaged .*None is no number"),
        (lambda s: s["cost_table"].update(name=3), "damaged .*3 is no text"),
        (lambda s: s["conventions"][0].update(switches="a"), "damaged"),
    ],
)
def test_a_damaged_summary_is_refused(tmp_path, change, message):
    path = write(tmp_path / "damaged", 0.9) / "summary.json"
    summary = json.loads(path.read_text())
    change(summary)
    path.write_text(json.dumps(summary))
    with pytest.raises(BadInput, match=message):
        entry(path.parent)


def test_json_that_python_cannot_hold_is_refused(tmp_path):
    for text in ("[" * 100_000, '{"n": ' + "1" * 5000 + "}"):
        (tmp_path / "summary.json").write_text(text)
        with pytest.raises(BadInput, match="not readable"):
            entry(tmp_path)


def test_two_of_one_name_are_told_apart_by_their_path(tmp_path, pair):
    again = entry(write(tmp_path / "again" / "teacher", 0.5))
    result = compared([pair[0], again])
    names = [e["name"] for e in result["entries"]]
    assert names == [str(tmp_path / "teacher"), str(tmp_path / "again" / "teacher")]
    assert result["base"] == names[0]


def test_the_folder_one_stands_in_has_a_name(tmp_path, pair, monkeypatch):
    monkeypatch.chdir(tmp_path / "teacher")
    assert entry(Path(".")).name == "teacher"
