"""What a fine-tuned run (`train --qat`) holds for whoever converts it: its integer graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from convert.ir import BadInput, Graph, unpacked

if TYPE_CHECKING:
    from train.checkpoint import Checkpoint

OPTIONS = ("bits", "input_bits", "adjacency")


class Tuned:
    """The integer graph of a checkpoint, and how it was quantised."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.checkpoint = checkpoint
        self.about: Mapping[str, Any] = checkpoint.about["qat"]

    def options(self, ctx: click.Context) -> tuple[int, int, str]:
        """Bits, input bits and form of adjacencies: the run's, which the command line must not contradict."""
        for name in OPTIONS:
            said = ctx.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT
            if said and ctx.params[name] != self.about[name]:
                option = f"--{name.replace('_', '-')}"
                raise click.UsageError(
                    f"{option} {ctx.params[name]}: the run was fine-tuned with {option} {self.about[name]}; "
                    "leave it out, or fine-tune the parent anew"
                )
        bits, input_bits, adjacency = (self.about[name] for name in OPTIONS)
        return bits, input_bits, adjacency

    def graph(self, chip: Graph) -> Graph:
        """The integer graph, bit for bit what was trained. chip: the part of the float graph it is of."""
        path = self.checkpoint.path
        arrays = {k: x.numpy() for k, x in self.checkpoint.under("integer").items()}
        graph = unpacked(self.checkpoint.about["integer"], arrays, str(path))
        if graph.neurons() != chip.neurons():
            raise BadInput(
                f"{path}: its integer graph has other neurons than its parent; fine-tune the parent anew"
            )
        return graph

    @property
    def layers(self) -> list[dict[str, Any]]:
        """How each layer was quantised; scales, thresholds and exponents are not trained."""
        return list(self.checkpoint.about["integer"]["layers"])

    def manifest(self) -> dict[str, Any]:
        """What an artifact says of its fine-tuning."""
        metrics = self.checkpoint.about.get("metrics", {})
        return {
            "parent": self.about["parent"],
            "epoch": self.checkpoint.about["epoch"],
            "accuracy_val": metrics.get("accuracy_val"),
            "distil": self.about["distil"],
        }


def tuned(checkpoint: Checkpoint) -> Tuned | None:
    """The integer graph of a fine-tuned run; None for any other."""
    return Tuned(checkpoint) if "qat" in checkpoint.about else None
