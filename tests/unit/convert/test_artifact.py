"""The artifact: a folder that is whole, unchanged and ours, or refused in one line."""

from __future__ import annotations

import json

import pytest

from convert.artifact import MANIFEST, SEAL, _seal, is_artifact, new_artifact, open_artifact, sha256
from convert.ir import ArtifactError, BadInput, save_graph, save_program, text
from convert.passes.lower import lower


@pytest.fixture
def make(tmp_path, graph_cases, integer_of):
    """Write an artifact of a small net at a path; kind 'lava' holds its program."""

    def write(path=tmp_path / "net", kind="lava", name="dense", **about):
        with new_artifact(path, kind, {"model": name, **about}) as draft:
            save_graph(draft / "float.npz", graph_cases[name].graph)
            save_graph(draft / "integer.npz", integer_of(name).graph)
            if kind == "lava":
                save_program(draft / "program.npz", lower(integer_of(name).graph))
        return path

    return write


def refused(path, *words):
    with pytest.raises(ArtifactError) as caught:
        open_artifact(path)
    message = str(caught.value)
    assert caught.value.exit_code == 3
    assert "\n" not in message
    assert all(word in message for word in (str(path), *words)), message


def test_what_was_written_is_read(make, graph_cases, integer_of):
    artifact = open_artifact(make(data={"name": "synthetic"}))
    assert artifact.kind == "lava"
    assert artifact.about["data"] == {"name": "synthetic"}
    assert artifact.about["model"] == "dense"
    assert text(artifact.graph("float")) == text(graph_cases["dense"].graph)
    assert text(artifact.graph("integer")) == text(integer_of("dense").graph)
    assert list(artifact.program().populations) == ["input", "lif1", "lif2", "out"]
    assert artifact.host() is None and artifact.outputs() == ("out",)


def test_the_manifest_lists_every_file_with_its_checksum(make):
    path = make()
    about = json.loads((path / MANIFEST).read_text())
    assert set(about["files"]) == {f.name for f in path.iterdir()} - {MANIFEST} == {
        "float.npz", "integer.npz", "program.npz"
    }  # fmt: skip
    assert about["files"] == {name: sha256(path / name) for name in about["files"]}
    assert (about["format"], about["kind"]) == ("basalt-artifact", "lava")


def test_a_host_part_is_read_and_guarded_like_the_rest(tmp_path, graph_cases):
    path = tmp_path / "net"
    with new_artifact(path, "lava", {"model": "dense"}) as draft:
        save_graph(draft / "float.npz", graph_cases["dense"].graph)
        save_graph(draft / "host.npz", graph_cases["cuba"].graph)
    artifact = open_artifact(path)
    assert text(artifact.host()) == text(graph_cases["cuba"].graph) and artifact.outputs() == ("out",)
    save_graph(path / "host.npz", graph_cases["conv"].graph)
    refused(path, "host.npz", "changed")


def test_an_artifact_of_version_1_is_read(make):
    """The version rose with `host.npz`: a reader that does not know it must refuse, not leave it out."""
    path = make()
    about = json.loads((path / MANIFEST).read_text())
    assert about.pop(SEAL) and about["version"] == 2
    about["version"] = 1
    (path / MANIFEST).write_text(json.dumps({**about, SEAL: _seal(about)}))
    assert open_artifact(path).host() is None


def test_the_program_of_an_onnx_artifact_is_lowered_anew(make, tmp_path):
    artifact = open_artifact(make(tmp_path / "onnx", "onnx"))
    assert "program.npz" not in artifact.about["files"]
    assert list(artifact.program().populations) == ["input", "lif1", "lif2", "out"]
    with pytest.raises(ArtifactError, match=r"holds no network.net; it has float.npz"):
        artifact.file("network.net")


def test_one_model_has_one_fingerprint(make, tmp_path):
    prints = [
        open_artifact(make(tmp_path / n, name=k)).fingerprint
        for n, k in (("a", "dense"), ("b", "dense"), ("c", "cuba"))
    ]
    assert prints[0] == prints[1] != prints[2]


def test_an_edited_file_is_refused(make):
    path = make()
    body = bytearray((path / "integer.npz").read_bytes())
    body[len(body) // 2] ^= 1
    (path / "integer.npz").write_bytes(body)
    refused(path, "integer.npz", "was changed after conversion")


def test_a_missing_file_is_refused(make):
    path = make()
    (path / "program.npz").unlink()
    refused(path, "program.npz", "missing")


def test_a_link_in_the_place_of_a_file_is_refused(make, tmp_path):
    path = make()
    (path / "float.npz").rename(tmp_path / "elsewhere.npz")
    (path / "float.npz").symlink_to(tmp_path / "elsewhere.npz")
    refused(path, "float.npz")


def test_folders_that_are_none_are_refused(tmp_path):
    refused(tmp_path / "ghost", "no such folder")
    refused(tmp_path, "not an artifact")
    (tmp_path / "file").write_text("hello")
    refused(tmp_path / "file", "not an artifact")


@pytest.mark.parametrize(
    "body",
    ["", "{", "[]", "3", "{}", '{"kind": "lava"}', '{"kind": "lava", "files": 3}',
     '{"format": "other", "version": 1, "kind": "lava", "files": {}}',
     '{"format": "basalt-artifact", "version": 3, "kind": "lava", "files": {}}',
     '{"format": "basalt-artifact", "version": 1, "kind": "tpu", "files": {}}'],
)  # fmt: skip
def test_a_manifest_that_is_none_is_refused(make, body):
    path = make()
    (path / MANIFEST).write_text(body)
    refused(path, MANIFEST)


@pytest.mark.parametrize("name", ["../outside.npz", "sub/../../outside.npz"])
def test_a_manifest_that_points_outside_is_refused(make, tmp_path, name):
    """A file beside the folder is no part of it, whatever its checksum."""
    path = make()
    (tmp_path / "outside.npz").write_bytes((path / "float.npz").read_bytes())
    about = json.loads((path / MANIFEST).read_text())
    about["files"][name] = sha256(tmp_path / "outside.npz")
    (path / MANIFEST).write_text(json.dumps(about))
    refused(path)


def test_an_exception_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError, match="stop"), new_artifact(tmp_path / "net", "onnx", {}) as draft:
        (draft / "float.npz").write_bytes(b"half")
        raise RuntimeError("stop")
    assert list(tmp_path.iterdir()) == []


def test_an_exception_keeps_the_old_artifact(make):
    path = make()
    before = open_artifact(path).fingerprint
    with pytest.raises(RuntimeError, match="stop"), new_artifact(path, "lava", {}) as draft:
        (draft / "float.npz").write_bytes(b"half")
        raise RuntimeError("stop")
    assert open_artifact(path).fingerprint == before
    assert [p.name for p in path.parent.iterdir()] == ["net"]


def test_an_artifact_is_replaced_whole(make, tmp_path):
    """Nothing of the old one stays: the file only it had is gone."""
    path = make()
    first = open_artifact(path).fingerprint
    make(path, "onnx", "cuba")
    artifact = open_artifact(path)
    assert artifact.kind == "onnx"
    assert artifact.fingerprint != first
    assert not (path / "program.npz").exists()
    assert [p.name for p in tmp_path.iterdir()] == ["net"]


def test_anything_else_is_not_overwritten(tmp_path):
    """A folder with other files, and a file: refused before the draft is made, and untouched."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "letter").write_text("dear")
    (tmp_path / "file").write_text("hello")
    for name in ("folder", "file"):
        with (
            pytest.raises(BadInput, match="exists and is not an artifact"),
            new_artifact(tmp_path / name, "onnx", {}),
        ):
            pytest.fail("the draft was opened")
    assert (tmp_path / "folder" / "letter").read_text() == "dear"
    assert (tmp_path / "file").read_text() == "hello"
    assert len(list(tmp_path.iterdir())) == 2


def test_an_empty_folder_may_be_filled(make, tmp_path):
    (tmp_path / "empty").mkdir()
    assert is_artifact(make(tmp_path / "empty"))
