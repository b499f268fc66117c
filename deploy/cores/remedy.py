"""What to change when a limit is passed: one line per limit."""

from __future__ import annotations

from collections.abc import Container

from convert.ir import Program

RELAY = "LoihiSigmaDelta"  # the neuron that `convert --adjacency factor` needs
REMEDIES = {
    "neurons": "use fewer channels, or a chip with more neurons a core",
    "synapse_bits": ("give it fewer synapses ({either}fewer channels) or smaller ones (convert --bits)"),
    "axons_in": "let fewer neurons reach it: {prune}a smaller kernel",
    "axons_out": "let it reach fewer cores: {either}fewer channels behind it",
    "synapse_formats": "use one weight exponent and one delay for more of its branches",
    "thresholds": "share thresholds within the layer",
    "neuron_configs": "share decays within the layer",
    "delay_slots": "shorten its delays: a smaller kernel over steps",
    "chips": "allow more --chips, or give it fewer synapses ({either}fewer channels)",
}


def remedy(limit: str, figures: Container[str], adjacency: bool = True) -> str:
    """What to do about a limit on a chip with these figures (`Chip.figures`).

    adjacency: whether the model may still hold one to prune or factor.
    """
    if not adjacency:
        return REMEDIES[limit].format(either="", prune="")
    forms = "prune:0.1 or factor" if f"models.{RELAY}" in figures else "prune:0.1"
    return REMEDIES[limit].format(
        either=f"convert --adjacency {forms}, ", prune="convert --adjacency prune:0.1, "
    )


def adjacency_left(program: Program) -> bool:
    """Whether `convert --adjacency` may still change the program: neither one that it factored, which has its
    relays, nor a sigma-delta network, which has no such setting; both have this neuron, and no other does."""
    return not any(type(p.model).__name__ == RELAY for p in program.populations.values())
