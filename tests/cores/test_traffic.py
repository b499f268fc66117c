"""Messages and places by hand. Sums of few small whole numbers: exact in float64."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from convert.ir import ConvWeights
from deploy.cores.chip import chip
from deploy.cores.drawing import svg
from deploy.cores.partition import partition
from deploy.cores.placement import grid, place
from deploy.cores.report import report
from deploy.cores.traffic import Activity, Traffic, traffic, uniform


@pytest.fixture
def two_layers(chain, tiny):
    """in (1) -> p1 (4) -> p2 (6), 2 neurons a core: cores 0..2 hold p2, 3 and 4 hold p1."""
    program = chain(np.ones((4, 1), int), np.ones((6, 4), int))
    return partition(program, tiny(neurons=2))


def test_a_spike_is_one_message_a_core_it_reaches(two_layers):
    """p1 spikes 1, 2, 3, 4 times: core 3 sends 3 messages to each of 3 cores, core 4 sends 7. The input
    spikes 5 times, to two cores."""
    spikes = {"in": np.array([5.0]), "p1": np.arange(1.0, 5.0), "p2": np.ones(6)}
    got = traffic(two_layers, Activity(spikes, "by hand", 1))
    want = np.zeros((6, 6))
    want[3, :3], want[4, :3], want[5, 3:5] = 3, 7, 5
    assert np.array_equal(got.matrix, want)
    assert np.array_equal(got.sent["p1"][3], want[3])


def test_messages_within_a_core_and_to_the_host(chain, tiny):
    """Both populations on one core: 4 neurons, 8 spikes in all, messages to the core itself. With p2 computed
    by the host the same 8 spikes leave the chip."""
    program = chain(np.ones((4, 1), int), np.ones((6, 4), int))
    activity = uniform(program, 0.5, 4)
    inside = traffic(partition(program, tiny(neurons=10)), activity)
    assert np.array_equal(inside.matrix, [[8, 0], [2, 0]])
    hosted = traffic(partition(program, tiny(neurons=10), ["p2"]), activity)
    assert np.array_equal(hosted.matrix, [[0, 8], [2, 0]])


def test_a_shared_list_is_one_message_a_spike(chain):
    """A convolution held once: 20 inputs, one message each spike, whatever the fan-out."""
    w = ConvWeights(np.array([[[[1, 2, 3]]]]), (1, 1, 20), (1, 1, 18), (1, 1), (0, 0), (1, 1), 1)
    program = chain(w, shapes=[(1, 1, 20), (1, 1, 18)])
    made = partition(program, chip("loihi1"))
    assert made.cores[0].blocks()[0].format.encoding == "shared"
    assert traffic(made, uniform(program, 1.0, 3)).matrix[1, 0] == 60


def test_slots_fill_routers_row_by_row(tiny):
    """2 x 2 routers of 2 cores, to and fro; the second chip lies to the right."""
    small = tiny(cores_per_chip=8, **{"mesh.width": 2, "mesh.height": 2, "mesh.cores_per_router": 2})
    number, x, y = grid(small, 2)
    assert number.tolist() == [0] * 8 + [1] * 8
    assert x.tolist() == [0, 0, 1, 1, 1, 1, 0, 0, 2, 2, 3, 3, 3, 3, 2, 2]
    assert y.tolist() == [0, 0, 0, 0, 1, 1, 1, 1] * 2


def test_hops_in_order_by_hand(tiny):
    """One core a router in a row of 4: core 0 sends 10 to core 3, 3 hops away: 30; the outside at x = 0 sends
    1 to core 2: 2 hops."""
    row = tiny(cores_per_chip=4, **{"mesh.width": 4, "mesh.height": 1, "mesh.cores_per_router": 1})
    matrix = np.zeros((5, 5))
    matrix[0, 3], matrix[4, 2] = 10, 1
    placed = place(row, Traffic(matrix, {}), moves=0)
    assert (placed.hops_before, placed.hops) == (32, 32)
    better = place(row, Traffic(matrix, {}), seed=1)
    assert better.hops == 10  # the pair side by side, core 2 at the corner
    assert abs(int(better.x[0]) - int(better.x[3])) == 1
    assert better.x[2] == 0


def test_the_search_never_ends_worse_and_counts_right(tiny):
    """Random traffic of 30 cores on 2 chips: hops as told are hops as summed over all pairs."""
    small = tiny(cores_per_chip=16, **{"mesh.width": 4, "mesh.height": 2, "mesh.cores_per_router": 2})
    draw = np.random.default_rng(3)
    matrix = np.where(draw.random((31, 31)) < 0.2, draw.integers(1, 50, (31, 31)), 0).astype(float)
    placed = place(small, Traffic(matrix, {}), seed=5)
    x, y = np.append(placed.x + 4 * placed.chip, 0), np.append(placed.y, 0)
    far = np.abs(x[:, None] - x) + np.abs(y[:, None] - y)
    assert placed.hops == (matrix * far).sum()
    assert placed.hops < 0.8 * placed.hops_before
    assert len(set(placed.slot.tolist())) == 30
    again = place(small, Traffic(matrix, {}), seed=5)
    assert np.array_equal(again.slot, placed.slot)


def test_the_report_adds_up(two_layers):
    activity = uniform(two_layers.program, 0.25, 8)
    messages = traffic(two_layers, activity)
    placed = place(two_layers.chip, messages)
    body = json.loads(json.dumps(report(two_layers, placed, messages, activity, [], 0)))
    assert (body["format"], body["version"]) == ("basalt-map", 1)
    assert body["totals"]["neurons"] == 10
    assert body["totals"]["synapses"] == 4 + 24
    assert body["bottleneck"]["limit"] == "neurons"
    assert body["bottleneck"]["cores_needed_alone"]["neurons"] == 5
    moved = body["traffic"]
    assert moved["messages"] == messages.matrix.sum() == sum(moved["kinds"].values()) > 0
    assert moved["hops"] == moved["hops_x"] + moved["hops_y"]
    assert sum(p["messages"] for p in moved["populations"].values()) == moved["messages"]
    drawn = svg(body, messages)
    squares = [e for e in ET.fromstring(drawn).iter() if e.tag.endswith("rect")]
    routers = [e for e in squares if e.get("fill") == "none"]
    mesh = body["chip"]["figures"]
    assert (
        len(routers) == body["totals"]["chips"] * mesh["mesh.width"]["value"] * mesh["mesh.height"]["value"]
    )
    colours = [e.get("fill") for e in squares if e not in routers]
    assert len(colours) == len(body["cores"]) + len(body["populations"])
    assert all(re.fullmatch("#[0-9a-f]{6}", colour) for colour in colours)
