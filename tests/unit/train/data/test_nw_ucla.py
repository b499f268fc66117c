"""NW-UCLA: the format and its quirks on small files, the real set where it is present."""

import json
import tarfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from train.data import nw_ucla
from train.data.errors import DataError
from train.data.normalise import affine
from train.skeletons import layout

REAL = Path(__file__).parents[4].parent / "shared" / "data" / "nw-ucla" / "all_sqe.tar.gz"


def test_the_label_comes_from_the_file_and_subject_and_view_from_its_name(ucla):
    clips = nw_ucla.load(ucla, "all").clips
    assert [(c.id, c.label, c.subject, c.view) for c in clips] == [
        ("a01_s01_e00_v01", 0, 1, 1),
        ("a02_s09_e04_v03", 1, 9, 3),
        ("a08_s02_e00_v01", 6, 2, 1),
        ("a11_s10_e00_v03", 8, 10, 3),
        ("a12_s03_e01_v02", 9, 3, 2),
    ]


def test_labels_are_mended_where_it_is_asked_for(ucla, sequence):
    """Two of a subject in view 2 change places; the same subject's other view and classes do not."""
    names = {"a05_s04_e00_v02": 5, "a06_s04_e00_v02": 6, "a05_s04_e00_v01": 5, "a08_s04_e00_v02": 7}
    names |= {"a08_s05_e00_v02": 7, "a09_s05_e00_v02": 8, "a05_s05_e00_v02": 5, "a09_s05_e00_v03": 8}
    for name, label in names.items():
        (ucla / f"{name}.json").write_bytes(sequence(name, label))
    for load in (nw_ucla.load, nw_ucla.listed):
        published = {c.id: c.label for c in load(ucla, "all").clips}
        mended = {c.id: c.label for c in load(ucla, "all", labels="mended").clips}
        moved = {name: label for name, label in mended.items() if label != published[name]}
        assert moved == {
            "a05_s04_e00_v02": 5, "a06_s04_e00_v02": 4, "a08_s05_e00_v02": 7, "a09_s05_e00_v02": 6
        }  # fmt: skip
        assert load(ucla, "test", labels="mended").clips and "a09_s05_e00_v03" not in moved
    with pytest.raises(DataError, match="labels='new'; choose one of published, mended"):
        nw_ucla.load(ucla, "all", labels="new")


def test_cross_view_split(ucla):
    train, test = nw_ucla.load(ucla, "train"), nw_ucla.load(ucla, "test")
    assert {c.view for c in train.clips} == {1, 2}
    assert {c.view for c in test.clips} == {3}
    assert len(train.clips) + len(test.clips) == 5
    assert len(train.class_names) == 10
    assert train.layout == "kinect20"


def test_values_and_a_single_frame(ucla, walker):
    clips = {c.id: c for c in nw_ucla.load(ucla, "all").clips}
    np.testing.assert_array_equal(clips["a01_s01_e00_v01"].joints[0], walker(4))
    assert clips["a02_s09_e04_v03"].joints.shape == (1, 1, 20, 3)


def test_archive_equals_folder(ucla, packed, tmp_path):
    members = [(f"all_sqe/{p.name}", p.read_bytes()) for p in sorted(ucla.iterdir(), reverse=True)]
    extra = [("all_sqe/readme.txt", b"x"), ("all_sqe/._a01_s01_e00_v01.json", b"\x00")]
    path = packed(members + extra)
    for root in (path, tmp_path):  # the archive, and the folder that holds it
        folder, archive = nw_ucla.load(ucla, "all"), nw_ucla.load(root, "all")
        assert [c.id for c in archive.clips] == [c.id for c in folder.clips]
        for left, right in zip(folder.clips, archive.clips, strict=True):
            np.testing.assert_array_equal(left.joints, right.joints)
        backwards = {clip.id: clip.read().joints for clip in reversed(nw_ucla.listed(root, "all").clips)}
        assert all(backwards[clip.id].tobytes() == clip.joints.tobytes() for clip in folder.clips)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["all_sqe.tar.gz", "ucla"]


def test_the_folder_above_the_sequences_is_found(ucla):
    ucla.rename(ucla.parent / "all_sqe")
    assert len(nw_ucla.load(ucla.parent, "all").clips) == 5


def test_lost_joints_are_filled_from_their_neighbours(ucla, walker):
    joints = walker(4)
    joints[1, 7] = 0.0
    name = "a01_s01_e00_v01"
    (ucla / f"{name}.json").write_text(json.dumps({"skeletons": joints.tolist(), "label": 1}))
    got = nw_ucla.load(ucla, "train").clips[0].joints[0]
    np.testing.assert_allclose(got[1, 7], (joints[0, 7] + joints[2, 7]) / 2, atol=1e-6)
    np.testing.assert_array_equal(got[0], joints[0])


def test_what_is_dropped_is_said(ucla, sequence):
    (ucla / "a_stray.json").write_text("{}")
    empty = [[[0.0] * 3] * 20] * 2
    (ucla / "a03_s01_e00_v01.json").write_bytes(sequence("a03_s01_e00_v01", 3, skeletons=empty))
    loaded = nw_ucla.load(ucla, "all")
    assert len(loaded.clips) == 5
    assert any(line.startswith("a_stray.json: ") for line in loaded.dropped)
    assert any(line.startswith("a03_s01_e00_v01: no frame") for line in loaded.dropped)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"skeletons": [[[float("nan"), 0, 0]] * 20]}, ["NaN"]),
        ({"skeletons": [[[float("inf"), 0, 0]] * 20]}, ["Infinity"]),
        ({"skeletons": [[[0, float("-inf"), 0]] * 20]}, ["-Infinity"]),
        ({"skeletons": [[[1, 2, 3]] * 20, [[1, 2, 3]] * 19]}, ["19 joints in frame 1", "20"]),
        ({"skeletons": [[[1, 2, 3]] * 25]}, ["25 joints"]),
        ({"skeletons": [[[1, 2]] * 20]}, ["three numbers"]),
        ({"skeletons": [[[1, 2, 3]] * 19 + [[1, 2]]]}, ["three numbers"]),
        ({"skeletons": [[[1, 2, "x"]] * 20]}, ["three numbers"]),
        ({"skeletons": []}, ["no frames"]),
        ({"label": 0}, ["unknown class", "label 0", "1..10"]),
        ({"label": 11}, ["unknown class", "label 11"]),
        ({"label": "7"}, ["unknown class"]),
        ({"label": None}, ["unknown class"]),
        ({"file_name": "a01_s01_e00_v02"}, ["file_name 'a01_s01_e00_v02'"]),
    ],
)
def test_bad_sequence(ucla, sequence, refused, changes, words):
    name = "a01_s01_e00_v01"
    (ucla / f"{name}.json").write_bytes(sequence(name, **changes))
    refused(lambda: nw_ucla.load(ucla, "train"), name, ucla.name, *words)


@pytest.mark.parametrize("text", [b"", b"[1, 2]", b'{"label": 1}', b"\xff\xfe", b"[" * 100_000])
def test_not_a_sequence(ucla, refused, text):
    (ucla / "a01_s01_e00_v01.json").write_bytes(text)
    refused(lambda: nw_ucla.load(ucla, "train"), "a01_s01_e00_v01.json")


def test_number_beyond_float32(ucla, refused):
    text = b'{"label": 1, "skeletons": [[' + b",".join([b"[1e999,0,0]"] * 20) + b"]]}"
    (ucla / "a01_s01_e00_v01.json").write_bytes(text)
    refused(lambda: nw_ucla.load(ucla, "train"), "a01_s01_e00_v01", "infinity")


def test_truncated_json(ucla, refused):
    path = ucla / "a01_s01_e00_v01.json"
    path.write_bytes(path.read_bytes()[:-50])
    refused(lambda: nw_ucla.load(ucla, "train"), path.name, "broken JSON", "again")


def test_missing_path(tmp_path, refused):
    refused(lambda: nw_ucla.load(tmp_path / "absent", "train"), "absent", "nothing", "--data")
    refused(lambda: nw_ucla.load(None, "train"), "no path")


def test_folder_without_sequences(tmp_path, refused):
    (tmp_path / "readme.txt").write_text("x")
    refused(lambda: nw_ucla.load(tmp_path, "train"), tmp_path.name, "no sequence")


def test_archive_without_sequences(packed, refused):
    path = packed([("readme.txt", b"x")])
    refused(lambda: nw_ucla.load(path, "test"), path.name, "no sequence")


def test_empty_split(ucla, refused):
    for path in ucla.glob("*_v03.json"):
        path.unlink()
    refused(lambda: nw_ucla.load(ucla, "test"), ucla.name, "no sequence of split 'test'")


def test_unknown_split(ucla, refused):
    refused(lambda: nw_ucla.load(ucla, "val"), "val", "train, test, all")


@pytest.mark.parametrize("share", [0.02, 0.5, 0.9, 0.999])
def test_truncated_archive(ucla, packed, refused, share):
    path = packed([(p.name, p.read_bytes()) for p in sorted(ucla.iterdir())])
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    refused(lambda: nw_ucla.load(path, "train"), path.name, "broken archive", "again")


def test_not_an_archive(tmp_path, refused):
    path = tmp_path / "all_sqe.tar.gz"
    path.write_text("not an archive")
    refused(lambda: nw_ucla.load(path, "train"), path.name, "broken archive")


def test_the_same_sequence_twice(packed, sequence, refused):
    text = sequence("a01_s01_e00_v01")
    path = packed([("x/a01_s01_e00_v01.json", text), ("y/a01_s01_e00_v01.json", text)])
    refused(lambda: nw_ucla.load(path, "train"), path.name, "a01_s01_e00_v01 twice")


def test_a_hostile_member_name_is_only_a_name(packed, sequence, tmp_path):
    path = packed([("../../a01_s01_e00_v01.json", sequence("a01_s01_e00_v01"))])
    assert len(nw_ucla.load(path, "train").clips) == 1
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    assert tarfile.is_tarfile(path)


@pytest.fixture(scope="module")
def real():
    if not REAL.is_file():
        pytest.skip(f"real data absent: {'/'.join(REAL.parts[-4:])} beside the repository")
    return nw_ucla.load(REAL, "all")


@pytest.mark.data
def test_real_counts(real):
    clips = real.clips
    frames = [c.joints.shape[1] for c in clips]
    assert len(clips) == 1484
    assert real.dropped == ()
    assert Counter(c.view for c in clips) == {1: 516, 2: 504, 3: 464}  # 1020 train, 464 test
    assert (min(frames), max(frames), sum(frames)) == (1, 201, 58_534)
    per_class = Counter(c.label for c in clips)
    assert [per_class[k] for k in range(10)] == [150, 152, 141, 173, 148, 149, 142, 142, 145, 142]
    per_subject = Counter(c.subject for c in clips)
    expected = [160, 154, 159, 162, 119, 138, 147, 158, 139, 148]
    assert [per_subject[s] for s in range(1, 11)] == expected


@pytest.mark.data
def test_real_single_frames_and_no_lost_joint(real):
    single = sorted(c.id for c in real.clips if c.joints.shape[1] == 1)
    assert single == ["a02_s09_e04_v02", "a02_s09_e04_v03"]
    assert all(c.joints.any(axis=3).all() for c in real.clips)


SIT, STAND, DONNING, DOFFING = 4, 5, 6, 7


@pytest.mark.data
def test_real_labels_of_view_2_that_contradict_view_1(real):
    """What docs/datasets.md says of the published labels: measured here, and given out as they are."""
    rise = {}
    for clip in real.clips:
        if clip.view != 3 and clip.label in (SIT, STAND):
            rise.setdefault((clip.label, clip.subject, clip.view), []).append(_rise(clip.joints[0]))
    median = {key: float(np.median(values)) for key, values in rise.items()}
    odd = median.pop((SIT, 4, 2)), median.pop((STAND, 4, 2))
    assert odd[0] > 0.3 > 0.05 > odd[1]
    assert max(v for (label, *_), v in median.items() if label == SIT) < 0.05
    assert min(v for (label, *_), v in median.items() if label == STAND) > 0.05
    nearest = {}
    for subject, labels in ((4, (SIT, STAND)), (5, (DONNING, DOFFING))):
        of = [c for c in real.clips if c.subject == subject]
        known = [(_shape(c), c.label) for c in of if c.view == 1]
        for clip in of:
            if clip.view == 2 and clip.label in labels:
                found = min(known, key=lambda pair: _apart(_shape(clip), pair[0]))[1]
                nearest.setdefault((subject, clip.label), []).append(found)
    assert nearest[4, SIT] == [STAND] * 6 and nearest[4, STAND] == [SIT] * 5
    assert (nearest[5, DONNING].count(DOFFING), len(nearest[5, DONNING])) == (5, 7)
    assert (nearest[5, DOFFING].count(DONNING), len(nearest[5, DOFFING])) == (4, 6)
    known = {c.id: c.label for c in real.clips}
    moved = Counter((c.subject, c.view) for c in nw_ucla.listed(REAL, "all", labels="mended").clips
                    if c.label != known.get(c.id, c.label))  # fmt: skip
    assert moved == {(4, 2): 11, (5, 2): 13} and nw_ucla.MENDED == {
        (4, 2): (SIT, STAND),
        (5, 2): (DONNING, DOFFING),
    }


def _rise(joints):
    """[m] joints [F, V, 3] -> how far the head rises over ankles and feet, first quarter to last."""
    height = joints[:, 3, 1] - joints[:, [14, 15, 18, 19], 1].mean(axis=1)
    quarter = max(1, len(height) // 4)
    return height[-quarter:].mean() - height[:quarter].mean()


def _shape(clip):
    """[32, V, 3] frames evenly over the clip, in body's units."""
    map_ = affine("body", clip.joints[0], layout(nw_ucla.LAYOUT))
    joints = clip.joints[0].astype(float) @ map_.matrix.T + map_.shift
    return joints[np.linspace(0, len(joints) - 1, 32).astype(int)]


def _apart(a, b):
    """Squared distance of two shapes, turned about the vertical as far as brings them nearest."""
    real = (a[..., 0] * b[..., 0] + a[..., 2] * b[..., 2]).sum()
    imaginary = (a[..., 0] * b[..., 2] - a[..., 2] * b[..., 0]).sum()
    return (a**2).sum() + (b**2).sum() - 2 * (np.hypot(real, imaginary) + (a[..., 1] * b[..., 1]).sum())
