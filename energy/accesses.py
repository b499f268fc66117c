"""Memory accesses and address computations of a line: Lemaire 2022, arXiv:2210.13107.

theta_in, theta_out: spikes over all T steps at the input and output of a layer, S stride, C H W channels,
height and width (i in, o out, k kernel), N neurons. A layer and its neurons are two lines here; what belongs
to the neurons of the printed equations is counted at theirs, so that neurons fed by several layers pay once.

    of spikes        conv                                fc                 at the neurons
    operations MAC                                                          T N  for each leak
               ACC   theta_in ceil(Hk/S) ceil(Wk/S) Co   theta_in No        theta_out  (resets)
                     + T Co Ho Wo where a bias is        + T No  the same   + T N where a bias is
    read inputs      theta_in                            theta_in
    read parameters  theta_in Co Hk Wk + bias            theta_in No + bias T N where a bias is
    potentials       theta_in Co Hk Wk                   theta_in No        T N for each memory
      (read, and as often written)
    write outputs                                                           theta_out
    addresses  MAC   2 theta_in
               ACC   theta_in Co Hk Wk                   theta_in No

    of real values, every step   conv                             fc
    operations MAC               Co Ho Wo Ci Hk Wk                Ni No
               ACC               Co Ho Wo where a bias is         No where a bias is
    read inputs                  Ci Co Ho Wo Hk Wk                Ni
    read parameters              Ci Hk Wk Co Ho Wo + bias         Ni No + bias
    write outputs                Co Ho Wo                         No
    addresses  ACC               Ci Hi Wi + Co Ho Wo + Co Hk Wk   Ni + No

Erratum: Eq. 2 of the paper prints theta_in Ni No for fc and no reset; theta_in No and theta_out are meant.
Ours: a bias costs only where there is one; channels of a group alone are reached; spikes that carry values
multiply (MAC instead of ACC); of `events` every operation reads a parameter (a second operand), reads and
writes a potential (a sum) and computes an address, and on the CPU, which skips no zero, it reads an input; a
first layer of real values is computed every step, as above, and its neurons pay beside it; so are integers of
a network without spikes (`Layer.whole`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from energy.layer import Layer
from energy.line import Counts, Line
from energy.operand import INTEGER, REAL

ADDED = ("mac", "ac", "pool_adds", "scale_macs")  # operations of `events`


WORDS = {  # field of a report's layer -> field of Accesses
    "inputs": "inputs", "parameters": "parameters", "potentials": "potentials", "outputs": "outputs",
    "address_macs": "address_mac", "address_adds": "address_acc",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Accesses:
    """int64 [N] each; potentials are read and written that often. dense: inputs and outputs are whole tensors
    in memory, not queues of spikes."""

    mac: np.ndarray
    acc: np.ndarray
    inputs: np.ndarray
    parameters: np.ndarray
    potentials: np.ndarray
    outputs: np.ndarray
    address_mac: np.ndarray
    address_acc: np.ndarray
    dense: bool = False


def accesses(counts: Counts, line: Line, layer: Layer) -> Accesses:
    """Accesses of one line over the whole run."""
    if layer.form == "neurons":
        return _neurons(counts, line, layer)
    real = layer.whole or (line.classes is not None and bool((line.classes == REAL).all()))
    if layer.form == "events":
        done = sum((counts.of(line, f) for f in ADDED), np.zeros(counts.samples, np.int64))
        return _events(counts, line, done, 0)
    if real:
        return _dense(counts, line, layer)
    rows, cols = layer.kernel
    reached = -(-rows // layer.stride[0]) * -(-cols // layer.stride[1]) * layer.fan
    spikes = counts.of(line, "nnz_in")
    found = _events(counts, line, spikes * layer.fan * rows * cols, 2 if layer.form == "conv" else 0)
    return _split(found, spikes * reached, line, counts.of(line, "bias_adds"))


def _events(counts: Counts, line: Line, each: np.ndarray, address_macs: int) -> Accesses:
    """each: operations, int64 [N]; every one reads a parameter and a potential, and writes it."""
    spikes = each if line.place == "cpu" else counts.of(line, "nnz_in")
    bias = counts.of(line, "bias_adds")
    none = np.zeros_like(spikes)
    flat = Accesses(none, none, spikes, each + bias, each, none, address_macs * spikes, each)
    return _split(flat, each, line, bias)


def _split(found: Accesses, each: np.ndarray, line: Line, bias: np.ndarray) -> Accesses:
    """The same with its operations: multiplied where a spike carries a value."""
    graded = np.zeros(len(each), bool) if line.classes is None else line.classes >= INTEGER
    parts = {**vars(found), "mac": np.where(graded, each, 0), "acc": np.where(graded, 0, each) + bias}
    return Accesses(**parts)


def _dense(counts: Counts, line: Line, layer: Layer) -> Accesses:
    macs, bias = counts.of(line, "dense_mac"), counts.of(line, "bias_adds")
    steps = macs // layer.macs
    none = np.zeros_like(macs)
    conv = layer.form == "conv"
    kernel = layer.channels_out * layer.kernel[0] * layer.kernel[1] if conv else 0
    return Accesses(
        mac=macs,
        acc=bias,
        inputs=macs if conv else steps * layer.inputs,
        parameters=macs + bias,
        potentials=none,
        outputs=steps * layer.outputs,
        address_mac=none,
        address_acc=steps * (layer.inputs + layer.outputs + kernel),
        dense=True,
    )


def _neurons(counts: Counts, line: Line, layer: Layer) -> Accesses:
    updates, spikes = counts.of(line, "neuron_steps"), counts.of(line, "spikes_out")
    none, bias = np.zeros_like(updates), updates * layer.biased
    return Accesses(
        mac=counts.of(line, "neuron_multiplies"),
        acc=spikes + bias,
        inputs=none,
        parameters=bias,
        potentials=updates * layer.states,
        outputs=spikes,
        address_mac=none,
        address_acc=none,
    )
