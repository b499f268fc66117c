"""The three forms of an adjacency side by side: synapses by formula, cores by the mapper."""

from __future__ import annotations

import numpy as np

from convert.ir import LIF, Graph, GraphConv, Input
from deploy.cores.adjacency import forms
from deploy.cores.chip import chip

K, OUT, INTO, V = 3, 8, 4, 5


def net(adjacency):
    draw = np.random.default_rng(0)
    conv = GraphConv(draw.normal(size=(K, OUT, INTO)), adjacency)
    nodes = {"in": Input((INTO, V), "binary"), "mix": conv, "spike": LIF(dv=0.5, threshold=1.0)}
    return Graph(nodes, (("in", "mix"), ("mix", "spike")), ("spike",), "folded")


def test_synapses_of_each_form():
    """Learned but nearly diagonal: the diagonal carries 99 % of |A|, pruning keeps V pairs of V V."""
    adjacency = np.full((K, V, V), 1e-4)
    adjacency[:, range(V), range(V)] = 1.0
    dense, pruned, factored = forms(net(adjacency), chip("loihi2"))
    assert (dense["node"], dense["form"], dense["synapses"]) == ("mix", "dense", OUT * V * INTO * V)
    assert (pruned["eps"], pruned["synapses"]) == (1.0, OUT * INTO * V)
    assert factored["synapses"] == K * INTO * V * V + K * OUT * INTO * V
    assert all(f["cores"] == 1 and f["refused"] is None for f in (dense, pruned, factored))
    assert 0 < pruned["bits"] < dense["bits"]


def test_bits_of_the_dense_form():
    """20 sources, 40 targets on one core: 40 x 8 + 10 = 330 bits, 6 words, each."""
    dense = forms(net(np.ones((K, V, V))), chip("loihi2"))[0]
    assert dense["bits"] == INTO * V * 6 * 64


def test_relays_need_graded_messages():
    """Loihi 1 carries spikes: the factored form is refused there, the others are not."""
    dense, pruned, factored = forms(net(np.ones((K, V, V))), chip("loihi1"))
    assert dense["cores"] == pruned["cores"] == 1
    assert factored["cores"] is None
    assert "LoihiSigmaDelta" in factored["refused"]
