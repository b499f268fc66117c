"""Names, official splits, the list of missing samples, and how validation is held out."""

import numpy as np
import pytest

from train.data.clip import Clip
from train.data.ntu_classes import TITLES, title
from train.data.ntu_name import FAMILIES, NTU60, NTU120, SUBJECTS_60, SUBJECTS_120, Name, parse, read_missing
from train.data.split import hold_out


def test_names():
    name = parse("S001C002P003R002A013")
    assert name == Name(setup=1, camera=2, performer=3, replication=2, action=13)
    assert (str(name), name.label) == ("S001C002P003R002A013", 12)
    for other in (
        "S001C002P003R002A13",
        "S001C002P003R002A0133",
        "s001c002p003r002a013",
        "",
        "S001C002P003R002A013.x",
    ):
        assert parse(other) is None


def test_what_belongs_to_which_set():
    assert NTU60.holds(Name(17, 3, 40, 2, 60)) and NTU120.holds(Name(32, 3, 106, 2, 120))
    for name in (
        Name(18, 1, 1, 1, 1),
        Name(1, 4, 1, 1, 1),
        Name(1, 1, 41, 1, 1),
        Name(1, 1, 1, 1, 61),
        Name(0, 1, 1, 1, 1),
    ):
        assert not NTU60.holds(name)
    assert not NTU120.holds(Name(33, 1, 1, 1, 1)) and not NTU120.holds(Name(1, 1, 107, 1, 1))


def test_the_official_performers():
    assert len(SUBJECTS_60) == 20 and sum(SUBJECTS_60) == 359
    assert len(SUBJECTS_120) == 53 and SUBJECTS_60 < SUBJECTS_120
    assert {p for p in SUBJECTS_120 if p <= 40} == SUBJECTS_60
    assert max(SUBJECTS_120) == 103 and {45, 59, 70, 89, 95, 100} < SUBJECTS_120
    assert not SUBJECTS_120 & {3, 41, 44, 48, 51, 60, 69, 71, 79, 87, 88, 90, 96, 99, 101, 106}


@pytest.mark.parametrize(
    ("family", "protocol", "name", "trains"),
    [
        (NTU60, "xsub", Name(1, 1, 38, 1, 1), True),
        (NTU60, "xsub", Name(1, 2, 3, 1, 1), False),
        (NTU60, "xview", Name(1, 1, 38, 1, 1), False),
        (NTU60, "xview", Name(1, 2, 3, 1, 1), True),
        (NTU60, "xview", Name(1, 3, 3, 1, 1), True),
        (NTU120, "xsub", Name(31, 1, 103, 1, 120), True),
        (NTU120, "xsub", Name(30, 1, 106, 1, 120), False),
        (NTU120, "xset", Name(30, 1, 106, 1, 120), True),
        (NTU120, "xset", Name(31, 1, 103, 1, 120), False),
    ],
)
def test_protocols(family, protocol, name, trains):
    assert family.protocol(protocol).trains(name) is trains


def test_an_unknown_protocol(refused):
    refused(lambda: NTU60.protocol("xset"), "ntu60", "'xset'", "xsub or xview")


def test_classes_have_codes_and_titles():
    assert NTU60.class_names[0] == "A001" and len(NTU60.class_names) == 60
    assert NTU120.class_names[-1] == "A120" and NTU120.class_names[:60] == NTU60.class_names
    assert len(TITLES) == len(set(TITLES)) == 120
    for label, text in ((0, "A001 drink water"), (42, "A043 fall"), (59, "A060 walk apart from each other")):
        assert title(label) == text
    assert title(60) == "A061 put on headphone" and title(119) == "A120 finger-guessing game"


def test_missing_list_with_the_sentences_of_the_official_file(tmp_path, refused):
    path = tmp_path / "missing.txt"
    head = "3 of the captured samples have missing skeleton data.\nPlease ignore these files.\n\n"
    path.write_text(
        head + "S001C002P005R002A008\r\nS001C002P006R001A008.skeleton\n# S009C002P006R001A008\n\n"
    )
    assert read_missing(path) == {Name(1, 2, 5, 2, 8), Name(1, 2, 6, 1, 8)}
    path.write_text("S001C002P005R002A008\nS001C002P005R00A008\n")
    refused(lambda: read_missing(path), "missing.txt:2", "'S001C002P005R00A008'")
    path.write_text("no names here\n")
    refused(lambda: read_missing(path), "no name")
    refused(lambda: read_missing(tmp_path / "absent.txt"), "absent.txt")
    path.write_bytes(b"\xff\xfe\x00")
    refused(lambda: read_missing(path), "no readable text")


def clips(family, protocol):
    """Training clips: 2 actions by 6 performers in 6 setups, 2 replications, 3 cameras."""
    rule = family.protocol(protocol)
    joints = np.ones((2, 1, 25, 3), np.float32)
    names = [
        Name(setup, camera, performer, replication, action)
        for setup in range(1, 7)
        for camera in (1, 2, 3)
        for performer in (1, 2, 3, 4, 5, 8)
        for replication in (1, 2)
        for action in (1, 2)
    ]
    return [
        Clip(str(n), joints, n.label, n.performer, n.camera, n.setup) for n in names if rule.trains(n)
    ], rule.unseen


def both(split, key):
    return {key(c) for c in split.train} & {key(c) for c in split.validation}


def test_validation_is_of_the_kind_of_the_test():
    """X-Sub holds out subjects, though three cameras film one act; X-View performances; X-Set setups."""
    found, unseen = clips(NTU60, "xsub")
    split = hold_out(found, unseen=unseen)
    assert unseen == "subjects" and not both(split, lambda c: c.subject) and both(split, lambda c: c.setup)

    found, unseen = clips(NTU60, "xview")
    split = hold_out(found, unseen=unseen)
    assert unseen == "views" and not both(split, lambda c: c.performance)
    assert both(split, lambda c: c.subject) and both(split, lambda c: c.view) == {2, 3}

    found, unseen = clips(NTU120, "xset")
    split = hold_out(found, unseen=unseen)
    assert unseen == "setups" and not both(split, lambda c: c.setup) and both(split, lambda c: c.subject)
    assert {c.setup for c in split.validation} == {2} and "setups 2" in split.note
    for part in (split.train, split.validation):
        assert len(part) > 0


def test_given_subjects_go_before_the_kind():
    found, unseen = clips(NTU120, "xset")
    assert {c.subject for c in hold_out(found, subjects=[4], unseen=unseen).validation} == {4}


def test_setups_need_names(refused):
    bare = [Clip(f"c{k}", np.ones((1, 1, 25, 3), np.float32), 0, 1) for k in range(4)]
    refused(lambda: hold_out(bare, "setups"), "0 setups", "subjects or performances")


def test_a_performance_is_a_name_without_its_camera():
    joints = np.ones((2, 1, 25, 3), np.float32)
    assert Clip("S001C002P003R002A013", joints, 0, 3, 2).performance == "S001P003R002A013"
    assert Clip("S001C002P003R002A013", joints, 0, 3).performance == "S001C002P003R002A013"
    assert Clip("a01_s01_e00_v02", joints, 0, 1, 2).performance == "a01_s01_e00"


def test_the_families_are_listed():
    assert set(FAMILIES) == {"ntu60", "ntu120"}
    assert (NTU60.missing, NTU120.missing) == (302, 535)
