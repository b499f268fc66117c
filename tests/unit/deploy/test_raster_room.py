"""Memory of rasters: filled slice by slice, lent again when its arrays are gone and not before."""

from __future__ import annotations

import numpy as np

from deploy.raster_room import Memory, RasterRoom

SAMPLES = 5


def filled(memory, first=0):
    """Rooms of two arrays from slices of 2, 2 and 1 samples; what they must hold."""
    draw = np.random.default_rng(first)
    want = {"a": draw.integers(0, 2, (3, SAMPLES, 7), np.uint8), "b": draw.normal(size=(2, SAMPLES))}
    room = RasterRoom(memory, SAMPLES)
    for start in (0, 2, 4):
        room.put(start, {name: values[:, start : start + 2].copy() for name, values in want.items()})
    return room.arrays, want


def address(values):
    return values.__array_interface__["data"][0]


def test_slices_become_whole_arrays():
    found, want = filled(Memory())
    assert found.keys() == want.keys()
    for name, values in want.items():
        assert found[name].dtype == values.dtype and found[name].tolist() == values.tolist()


def test_a_slice_of_all_samples_is_not_copied():
    room, values = RasterRoom(Memory(), SAMPLES), np.zeros((3, SAMPLES))
    room.put(0, {"a": values})
    assert room.arrays["a"] is values


def test_nothing_asked_for_is_nothing():
    room = RasterRoom(Memory(), SAMPLES)
    room.put(0, {})
    room.put(2, {})
    assert room.arrays == {}


def test_memory_comes_again_only_when_no_view_is_left():
    memory = Memory()
    found, want = filled(memory)
    at, view = address(found["a"]), found["a"].transpose(2, 0, 1)[1:]
    del found
    other, _ = filled(memory, first=1)
    assert address(other["a"]) != at, "still held by a view"
    assert view.tolist() == want["a"].transpose(2, 0, 1)[1:].tolist()
    del view, other
    again, later = filled(memory, first=2)
    assert again["a"].tolist() == later["a"].tolist()
    kept = address(again["a"])
    del again
    assert address(filled(memory, first=3)[0]["a"]) == kept


def test_a_larger_batch_gets_larger_memory():
    memory = Memory()
    assert len(memory.lend(10)) == 10 and len(memory.lend(1000)) == 1000 and len(memory.lend(10)) == 10
