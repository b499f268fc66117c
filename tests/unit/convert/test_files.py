"""Files and folders appear whole or not at all, and so do the folders they were to lie in."""

import pytest

from convert.ir.files import whole, whole_folder


@pytest.mark.parametrize("kind", [whole, whole_folder])
def test_what_failed_leaves_no_folder(kind, tmp_path):
    with pytest.raises(RuntimeError, match="half-way"), kind(tmp_path / "a" / "b" / "result.json"):
        assert any((tmp_path / "a" / "b").iterdir()), "the draft lies beside the result"
        raise RuntimeError("half-way")
    assert not any(tmp_path.iterdir())


def test_folders_of_others_stay(tmp_path):
    """One that was there before, and one that something else was written to meanwhile."""
    (tmp_path / "mine").mkdir()
    with pytest.raises(RuntimeError), whole(tmp_path / "mine" / "result.json"):
        raise RuntimeError
    with pytest.raises(RuntimeError), whole(tmp_path / "new" / "result.json"):
        (tmp_path / "new" / "other.json").write_text("{}")
        raise RuntimeError
    assert [str(p.relative_to(tmp_path)) for p in sorted(tmp_path.rglob("*"))] == [
        "mine", "new", "new/other.json"
    ]  # fmt: skip


def test_what_ends_well_is_there_alone(tmp_path):
    with whole(tmp_path / "a" / "result.json") as draft:
        draft.write_text("{}")
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["result.json"]
