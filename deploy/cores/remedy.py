"""What to change when a limit is passed: one line per limit."""

from __future__ import annotations

REMEDIES = {
    "neurons": "use fewer channels, or a chip with more neurons a core",
    "synapse_bits": (
        "give it fewer synapses (convert --adjacency prune:0.1 or factor, fewer channels) or "
        "smaller ones (convert --bits)"
    ),
    "axons_in": "let fewer neurons reach it: convert --adjacency prune:0.1, a smaller kernel",
    "axons_out": "let it reach fewer cores: convert --adjacency factor, or fewer channels behind it",
    "synapse_formats": "use one weight exponent and one delay for more of its branches",
    "thresholds": "share thresholds within the layer",
    "neuron_configs": "share decays within the layer",
    "delay_slots": "shorten its delays: a smaller kernel over steps",
    "encoding": "use fewer bits or smaller layers",
    "chips": "allow more --chips, or give it fewer synapses (convert --adjacency prune:0.1 or factor)",
}


def remedy(limit: str) -> str:
    """What to do about a limit."""
    return REMEDIES[limit]
