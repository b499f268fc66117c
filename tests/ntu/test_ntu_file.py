"""The `.skeleton` parser: exact on files written by hand, and precise about everything that is wrong."""

import numpy as np
import pytest

from train.data.ntu_file import read
from train.data.ntu_name import NTU60
from train.data.ntu_synthetic import recording, text, write_folder

ID = "72057594037931101"  # a float64 holds 72057594037931104 for it
BODY = f"{ID} 0 1 1 1 1 0 0.02764709 0.05745083 2"


def joint(number, state=2):
    """A line whose x, y, z are told apart: number, number + 0.25, -number."""
    return f"{number} {number + 0.25} -{number} 277.1 190.5 1035.2 519.8 -0.23 -0.02 0.97 0.003 {state}"


def lines(frames=1):
    """A file of one body, a list of lines without ends."""
    one = ["1", BODY, "25", *(joint(n, n % 3) for n in range(25))]
    return [str(frames), *one * frames]


def content(rows, end="\n"):
    return (end.join(rows) + end).encode()


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_file_by_hand(end):
    got = read(content(lines(2), end), "x")
    assert got.frames == 2
    (body,) = got.bodies
    assert body.id == ID
    assert body.frames.tolist() == [0, 1]
    number = np.arange(25, dtype=np.float32)
    np.testing.assert_array_equal(body.joints[1], np.stack([number, number + 0.25, -number], -1))
    np.testing.assert_array_equal(body.states, np.tile(np.arange(25) % 3, (2, 1)))
    assert (body.joints.dtype, body.states.dtype, body.frames.dtype) == (np.float32, np.uint8, np.int64)


def test_bodies_come_and_go():
    """Three frames: two bodies, nobody, the second alone; ids that a float64 would take for one."""
    other = BODY.replace(ID, ID[:-1] + "2")
    points = [joint(n) for n in range(25)]
    rows = ["3", "2", BODY, "25", *points, other, "25", *points, "0", "1", other, "25", *points, ""]
    got = read(content(rows), "x")
    assert float(ID) == float(ID[:-1] + "2")
    assert [(b.id, b.frames.tolist()) for b in got.bodies] == [(ID, [0]), (ID[:-1] + "2", [0, 2])]


def test_files_without_anybody():
    assert read(b"0\n", "x").bodies == ()
    assert read(b"2\r\n0\r\n0\r\n", "x").frames == 2
    assert read(b"1\n0", "x").frames == 1  # the last line has no end


def test_spaces_and_what_is_not_read():
    """Fields may be apart by any blanks; Kinect writes infinity where a joint maps onto no pixel."""
    rows = lines()
    rows[4] = "  " + rows[4].replace(" ", "\t", 3) + "  "
    rows[5] = joint(1).replace("277.1", "-Infinity").replace("0.97", "-1.#IND")
    np.testing.assert_array_equal(read(content(rows), "x").bodies[0].joints[0, :2, 0], [0, 1])


def test_numbers_are_rounded_once():
    rows = lines()
    rows[4] = joint(0).replace("0 0.25 -0", "0.1 1e-3 -2.50000001", 1)
    np.testing.assert_array_equal(
        read(content(rows), "x").bodies[0].joints[0, 0], np.float32([0.1, 1e-3, -2.5])
    )


def changed(place, old, new):
    rows = lines(2)
    assert old in rows[place]
    rows[place] = rows[place].replace(old, new, 1)
    return rows


@pytest.mark.parametrize(
    ("rows", "line", "words"),
    [
        ([], 1, ["the end of the file", "number of frames"]),
        ([""], 1, ["''", "number of frames"]),
        (["-1"], 1, ["'-1'", "number of frames"]),
        (["1.0", "0"], 1, ["'1.0'"]),
        (["1", "7"], 2, ["'7'", "0 to 6"]),
        (["1", "x"], 2, ["'x'", "number of bodies"]),
        (["3", "0", "0"], 4, ["the end of the file", "number of bodies"]),
        (["99999999999", "0"], 1, ["number of frames"]),
        (lines()[:2], 3, ["the end of the file", "10 fields"]),
        (lines()[:3], 4, ["the end of the file", "number of joints"]),
        (lines()[:13], 14, ["the end of the file", "joint 10"]),
        (lines(3)[:-4], 82, ["the end of the file", "joint 22"]),
        (changed(2, " 2", ""), 3, ["9 fields", "10 fields"]),
        (changed(2, ID, "x1"), 3, ["'x1'"]),
        (changed(2, ID, "-5"), 3, ["'-5'"]),
        (changed(3, "25", "20"), 4, ["'20' joints", "25"]),
        (changed(10, " 519.8", ""), 11, ["11 fields", "12 fields"]),
        (changed(10, " 519.8", " 519.8 1"), 11, ["13 fields"]),
        (changed(12, "8 8.25", "nan 8.25"), 13, ["x = 'nan'", "finite"]),
        (changed(12, "8.25", "inf"), 13, ["y = 'inf'", "finite"]),
        (changed(12, "8.25", "1e39"), 13, ["y = '1e39'", "finite"]),  # beyond float32
        (changed(12, "-8", "-8,5"), 13, ["z = '-8,5'"]),
        (changed(12, "8.25", "8_0"), 13, ["y = '8_0'"]),
        (changed(12, "8.25", "8\0"), 13, ["y = "]),
        ([*lines(2)[:-1], joint(4, 3)], 57, ["tracking state '3'"]),
        ([*lines(), "0"], 30, ["'0' after the last frame"]),
        ([*lines(), "", "", "x"], 32, ["'x' after the last frame"]),
        (["2", *lines()[1:], *lines()[1:28], "\xff" * 9], 57, ["1 fields"]),
    ],
)
def test_what_is_wrong_is_named_with_its_line(rows, line, words, refused):
    refused(
        lambda: read(content(rows) if rows else b"", "S.skeleton"), f"S.skeleton:{line}:", "found", *words
    )


def test_a_short_line_beside_a_long_one_is_no_whole(refused):
    """The number of fields is right in the sum and wrong in two lines."""
    rows = lines()
    rows[5], rows[6] = rows[5] + " 1", rows[6].rpartition(" ")[0]
    refused(lambda: read(content(rows), "x"), "x:6:", "13 fields")


def test_a_body_twice_in_a_frame(refused):
    rows = ["1", "2", *lines()[2:], *lines()[2:]]
    refused(lambda: read(content(rows), "x"), "x:30:", f"body {ID} twice in frame 0")


@pytest.mark.parametrize("number", range(6))
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_the_writer_is_the_inverse(body, number, end):
    people = [body(name, range(30), at).joints for name, at in (("a", 0.0), ("b", 1.0))]
    there = recording(people, number)
    back = read(text(there, end), "x")
    assert back.frames == there.frames
    # in the file, bodies stand in the order in which they appear
    by_id = {b.id: b for b in back.bodies}
    assert len(by_id) == len(there.bodies) >= 2
    for one in there.bodies:
        for field in ("frames", "joints", "states"):
            np.testing.assert_array_equal(getattr(by_id[one.id], field), getattr(one, field))


def test_made_up_folders_are_the_same_every_time(tmp_path, refused):
    first = write_folder(NTU60, tmp_path / "a", 12, seed=3)
    again = write_folder(NTU60, tmp_path / "b", 12, seed=3)
    assert [p.name for p in first] == [p.name for p in again]
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in again]
    assert first[0].read_bytes() != write_folder(NTU60, tmp_path / "c", 1, seed=4)[0].read_bytes()
    refused(lambda: write_folder(NTU60, tmp_path / "a", 1), "empty folder")
    refused(lambda: write_folder(NTU60, tmp_path / "d", 0), "0 made-up")
