"""Functions of each value alone that are not linear: what a network of real values has in place of neurons.

A spiking graph has none between its layers; the networks it is compared with do. No chip of spikes holds one:
an activation gives real values (`convert.passes.partition` leaves it to the CPU), and a linear region ends at
it.
"""

from __future__ import annotations

from convert.ir.node import Activation, node


@node
class Relu(Activation):
    """y = max(x, 0), value by value."""
