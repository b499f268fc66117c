"""Graphs and programs as files: all comes back, nothing foreign comes in, nothing half-written stays."""

from __future__ import annotations

import json
import os
import pickle
import zipfile

import numpy as np
import pytest

from benchmarks.random_programs import MODELS, random_case
from convert.ir import (
    ArtifactError,
    ConvWeights,
    DenseWeights,
    SparseWeights,
    load_graph,
    load_program,
    save_graph,
    save_program,
    serial,
    text,
)
from convert.ir.files import whole
from convert.passes.lower import lower


def same(a, b):
    """Equal in type, and for arrays in dtype, shape and every value."""
    if isinstance(a, np.ndarray):
        assert isinstance(b, np.ndarray)
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        np.testing.assert_array_equal(a, b)
    else:
        assert type(a) is type(b)
        assert a == b


def same_fields(a, b):
    assert type(a) is type(b)
    left, right = (x.fields() if hasattr(x, "fields") else vars(x) for x in (a, b))
    assert left.keys() == right.keys()
    for key in left:
        same(left[key], right[key])


def same_graph(a, b):
    assert list(a.nodes) == list(b.nodes)
    for name in a.nodes:
        same_fields(a.nodes[name], b.nodes[name])
    assert (a.edges, a.outputs, a.stage, a.dt_s) == (b.edges, b.outputs, b.stage, b.dt_s)
    assert dict(a.meta) == dict(b.meta)
    assert dict(a.shapes) == dict(b.shapes)


def test_a_traced_graph_comes_back(traced_case, tmp_path):
    save_graph(tmp_path / "g.npz", traced_case.graph)
    same_graph(traced_case.graph, load_graph(tmp_path / "g.npz"))


def test_an_integer_graph_comes_back(integer_case, tmp_path):
    save_graph(tmp_path / "g.npz", integer_case.graph)
    got = load_graph(tmp_path / "g.npz")
    same_graph(integer_case.graph, got)
    assert text(got) == text(integer_case.graph)


def test_a_program_comes_back(integer_case, tmp_path):
    comes_back(lower(integer_case.graph), tmp_path)


def test_programs_of_every_neuron_come_back(tmp_path):
    """With what no integer graph has: ports, convolutions that wrap, decays one a neuron."""
    programs = [random_case(seed, MODELS[seed % len(MODELS)]).program for seed in range(2 * len(MODELS))]
    projections = [p for program in programs for p in program.projections]
    assert {p.port for p in projections} == {"a", "real", "imag"}
    assert any(getattr(p.weights, "wrap", False) for p in projections)
    for program in programs:
        comes_back(program, tmp_path)


def comes_back(program, tmp_path):
    save_program(tmp_path / "p.npz", program)
    got = load_program(tmp_path / "p.npz")
    assert list(got.populations) == list(program.populations)
    for name, population in program.populations.items():
        other = got.populations[name]
        assert (population.name, population.shape, population.latency) == (
            other.name,
            other.shape,
            other.latency,
        )
        same_fields(population.model, other.model)
    assert program.projections
    assert len(got.projections) == len(program.projections)
    for a, b in zip(program.projections, got.projections, strict=True):
        assert all(
            getattr(a, k) == getattr(b, k) for k in ("name", "src", "dst", "exp", "delay", "bits", "port")
        )
        same_fields(a.weights, b.weights)
    assert (got.outputs, dict(got.meta)) == (program.outputs, dict(program.meta))


def test_the_corpus_holds_every_kind_of_weights(graph_cases, integer_of):
    """Otherwise the round trip above would prove less than it says."""
    names = [*graph_cases, "int-delay", "int-graph-conv"]
    kinds = {type(p.weights) for n in names for p in lower(integer_of(n).graph).projections}
    assert kinds == {DenseWeights, SparseWeights, ConvWeights}


def test_files_of_version_1_are_read(stored, tmp_path, integer_of):
    """They have no ports and no wrap: every projection leads into port a and sums without bound."""
    want = load_graph(stored)
    edit(stored, lambda body: body.update(version=1))
    same_graph(want, load_graph(stored))

    def older(body):
        body["version"] = 1
        for p in body["projections"]:
            del p["port"]
            p["weights"].pop("wrap", None)

    program = lower(integer_of("conv").graph)
    save_program(tmp_path / "p.npz", program)
    edit(tmp_path / "p.npz", older)
    got = load_program(tmp_path / "p.npz").projections
    assert any(isinstance(p.weights, ConvWeights) for p in got)
    for a, b in zip(program.projections, got, strict=True):
        assert b.port == "a"
        same_fields(a.weights, b.weights)


def test_the_same_content_gives_the_same_bytes(integer_case, tmp_path):
    graph = integer_case.graph
    for name in ("a", "b"):
        save_graph(tmp_path / f"{name}.npz", graph)
        save_program(tmp_path / f"{name}p.npz", lower(graph))
    save_graph(tmp_path / "c.npz", load_graph(tmp_path / "a.npz"))
    read = {path.stem: path.read_bytes() for path in tmp_path.iterdir()}
    assert read["a"] == read["b"] == read["c"]
    assert read["ap"] == read["bp"]


@pytest.fixture
def stored(tmp_path, graph_cases):
    path = tmp_path / "graph.npz"
    save_graph(path, graph_cases["conv"].graph)
    return path


def rewrite(path, change):
    """Store the file anew with other members: change(name -> array) in place."""
    with np.load(path) as file:
        members = dict(file)
    change(members)
    np.savez(path, **members)


def edit(path, change):
    """Store the file anew with another description."""

    def both(members):
        body = json.loads(members["graph.json"].tobytes())
        change(body)
        members["graph.json"] = np.frombuffer(json.dumps(body).encode(), np.uint8)

    rewrite(path, both)


def refused(path, *words, load=load_graph):
    with pytest.raises(ArtifactError) as caught:
        load(path)
    message = str(caught.value)
    assert caught.value.exit_code == 3
    assert str(path) in message
    assert all(word in message for word in words), message


def test_a_missing_file(tmp_path):
    refused(tmp_path / "none.npz", "no such file")


def test_a_file_cut_anywhere(stored):
    """Every tenth of the file, the empty file and all but its last byte."""
    body = stored.read_bytes()
    for length in [*range(0, len(body), len(body) // 10 + 1), len(body) - 1]:
        stored.write_bytes(body[:length])
        refused(stored)


def test_a_damaged_byte_is_seen_or_harmless(stored):
    """A flipped byte either is refused or changes nothing that is read: arrays carry a checksum."""
    body, want = stored.read_bytes(), load_graph(stored)
    refusals = 0
    for at in range(0, len(body), 97):
        stored.write_bytes(body[:at] + bytes([body[at] ^ 0x10]) + body[at + 1 :])
        try:
            same_graph(want, load_graph(stored))
        except ArtifactError:
            refusals += 1
    assert refusals > len(body) // 97 // 2


def test_foreign_files(stored, tmp_path):
    (tmp_path / "text.npz").write_text("hello")
    refused(tmp_path / "text.npz")
    np.savez(tmp_path / "other.npz", weights=np.ones(3))
    refused(tmp_path / "other.npz", "graph.json")
    np.save(tmp_path / "one.npy", np.ones(3))
    refused(tmp_path / "one.npy")
    with zipfile.ZipFile(tmp_path / "zip.npz", "w") as file:
        file.writestr("readme", "hello")
    refused(tmp_path / "zip.npz")
    refused(tmp_path, "no such file")  # a folder
    refused(stored, "basalt-graph", load=load_program)


def test_pickle_is_never_executed(stored, tmp_path):
    """A file whose array is a pickle that would make a file when it is read: refused, and not executed."""
    proof = tmp_path / "executed"

    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(proof),)

    rewrite(stored, lambda members: members.update({"conv/weight": np.array([Bomb()], object)}))
    refused(stored)
    with zipfile.ZipFile(stored, "a") as file:
        file.writestr("bomb.pkl", pickle.dumps(Bomb()))
    refused(stored)
    stored.write_bytes(pickle.dumps(Bomb()))
    refused(stored)
    assert not proof.exists()


EDITS = {
    "version": lambda b: b.update(version=3),
    "format": lambda b: b.update(format="nir"),
    "node type": lambda b: b["nodes"]["conv"].update(type="Recurrent"),
    "field unknown": lambda b: b["nodes"]["conv"].update(speed=3),
    "field missing": lambda b: b["nodes"]["lif1"].pop("dv"),
    "array missing": lambda b: b["nodes"]["conv"].update(weight={"array": "ghost"}),
    "array is a number": lambda b: b["nodes"]["conv"].update(weight=3),
    "edge to nowhere": lambda b: b["edges"].append(["conv", "ghost"]),
    "edge of one": lambda b: b["edges"].append(["conv"]),
    "no nodes": lambda b: b.update(nodes={}),
    "nodes a list": lambda b: b.update(nodes=[]),
    "no outputs": lambda b: b.update(outputs=[]),
    "outputs missing": lambda b: b.pop("outputs"),
    "stage": lambda b: b.update(stage="integer"),
    "decay": lambda b: b["nodes"]["lif1"].update(dv=7.0),
    "decay a text": lambda b: b["nodes"]["lif1"].update(dv="fast"),
    "stride zero": lambda b: b["nodes"]["conv"].update(stride=[0, 1]),
    "groups zero": lambda b: b["nodes"]["conv"].update(groups=0),
    "body a list": None,
}


@pytest.mark.parametrize("kind", list(EDITS))
def test_an_edited_description_is_refused(kind, stored):
    if EDITS[kind] is None:
        rewrite(stored, lambda m: m.update({"graph.json": np.frombuffer(b"[1, 2]", np.uint8)}))
    else:
        edit(stored, EDITS[kind])
    refused(stored)


def test_an_array_of_nan_is_refused(stored):
    rewrite(stored, lambda m: m.update({"conv/weight": np.full_like(m["conv/weight"], np.nan)}))
    refused(stored, "conv.weight", "NaN")


def test_an_edited_program_is_refused(tmp_path, integer_of):
    path = tmp_path / "p.npz"
    edits = {
        "latency": lambda b: b["populations"]["lif1"].update(latency=0),
        "delay": lambda b: b["projections"][0].update(delay=-9),
        "end": lambda b: b["projections"][0].update(src="ghost"),
        "weights": lambda b: b["projections"][0]["weights"].update(type="Holographic"),
        "shape": lambda b: b["populations"]["lif1"].update(shape=[3]),
        "output": lambda b: b.update(outputs=["ghost"]),
    }
    for change in edits.values():
        save_program(path, lower(integer_of("dense").graph))
        edit(path, change)
        refused(path, load=load_program)


def test_a_write_that_fails_leaves_nothing(tmp_path, graph_cases, monkeypatch):
    """An exception in the middle of writing: no file, no draft."""

    def half(file, **content):
        file.write(b"half a file")
        raise OSError("disk full")

    monkeypatch.setattr(serial.np, "savez_compressed", half)
    with pytest.raises(OSError, match="disk full"):
        save_graph(tmp_path / "g.npz", graph_cases["dense"].graph)
    assert list(tmp_path.iterdir()) == []


def test_a_write_that_fails_keeps_the_old_file(stored, monkeypatch):
    before = stored.read_bytes()
    with pytest.raises(RuntimeError, match="stop"), whole(stored) as draft:
        draft.write_bytes(b"half")
        raise RuntimeError("stop")
    assert stored.read_bytes() == before
    assert [p.name for p in stored.parent.iterdir()] == [stored.name]
