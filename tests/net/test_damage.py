"""Any dataset of a good file gone, or of another type or size: one line and a code, never a traceback."""

from __future__ import annotations

import shutil

import h5py
import numpy as np
import pytest

from convert.ir import BasaltError
from convert.net_lint import lint, refused
from convert.net_reader import read_net

DAMAGE = {
    "gone": None, "text": "x", "number": np.float64(2.5), "empty": np.zeros(0), "wide": np.ones((2, 3, 4)),
    "nan": np.full(3, np.nan), "huge": np.array([1e30]), "group": dict, "negative": np.array([-7, -7]),
}  # fmt: skip


def paths(path):
    found = []
    with h5py.File(path) as file:
        file.visit(found.append)
    return [p for p in found if p != "layer"]


CASES = [("flatten", how) for how in DAMAGE] + [
    ("rf", "group"),
    ("input_affine", "wide"),
    ("sdnn_output", "gone"),
]


@pytest.mark.parametrize("name, how", CASES)
def test_a_damaged_file_never_crashes(name, how, exported, tmp_path):
    refusals = 0
    for place in paths(exported(name)[0]):
        shutil.copy(exported(name)[0], tmp_path / "a.net")
        with h5py.File(tmp_path / "a.net", "r+") as file:
            del file[place]
            if DAMAGE[how] is dict:
                file.create_group(place)
            elif DAMAGE[how] is not None:
                file[place] = DAMAGE[how]
        try:
            read_net(tmp_path / "a.net")
        except BasaltError as error:
            refusals += 1
            assert error.exit_code in (3, 4) and "\n" not in str(error), place
        try:
            refused(lint(tmp_path / "a.net"))
        except BasaltError as error:
            assert error.exit_code == 3, place
    assert refusals > 5, "vacuous case"
