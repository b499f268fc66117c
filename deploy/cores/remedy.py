"""What to change when a limit is passed: one line per limit."""

from __future__ import annotations

from collections.abc import Container

RELAY = "LoihiSigmaDelta"  # the neuron that `convert --adjacency factor` needs
REMEDIES = {
    "neurons": "use fewer channels, or a chip with more neurons a core",
    "synapse_bits": (
        "give it fewer synapses (convert --adjacency {forms}, fewer channels) "
        "or smaller ones (convert --bits)"
    ),
    "axons_in": "let fewer neurons reach it: convert --adjacency prune:0.1, a smaller kernel",
    "axons_out": "let it reach fewer cores: convert --adjacency {forms}, or fewer channels behind it",
    "synapse_formats": "use one weight exponent and one delay for more of its branches",
    "thresholds": "share thresholds within the layer",
    "neuron_configs": "share decays within the layer",
    "delay_slots": "shorten its delays: a smaller kernel over steps",
    "chips": "allow more --chips, or give it fewer synapses (convert --adjacency {forms})",
}


def remedy(limit: str, figures: Container[str]) -> str:
    """What to do about a limit on a chip with these figures (`Chip.figures`)."""
    forms = "prune:0.1 or factor" if f"models.{RELAY}" in figures else "prune:0.1"
    return REMEDIES[limit].format(forms=forms)
