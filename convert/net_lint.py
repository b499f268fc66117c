"""A strict linter for `.net` files: everything netx ignores, truncates, clips or gets wrong, and what to do.

netx reads by name, drops what it does not know and asks no questions. Each check below says what was found,
what lava-dl 0.6.0's netx on lava-nc 0.10.0 does with it, and the fix. One file a family of checks:
`net_lint_layers` (types, order, shapes), `net_lint_weights` (weights, biases, delays), `net_lint_neurons`.
The measure of "wrong" is slayer, which trained the network: tests/net compares both on files of lava-dl.
"""

from __future__ import annotations

from pathlib import Path

from convert.net_finding import Finding, Report
from convert.net_format import Layer, place, read_groups
from convert.net_lint_layers import Before, lint_layer
from convert.net_lint_neurons import lint_neuron
from convert.net_lint_weights import lint_bias, lint_delay, lint_weights

MADE = ("dense", "dense_rec", "conv")  # what netx makes layers of neurons from
BROKEN = (KeyError, ValueError, TypeError, IndexError, AttributeError, ArithmeticError)


def lint(path: Path) -> list[Finding]:
    """Findings in the order of the file; ArtifactError if it is no readable HDF5 with a group `layer`."""
    layers, rest = read_groups(path)
    report = Report()
    _container(report, layers, rest)
    numbered = sorted(int(k) for k in layers if k.isdecimal())
    groups = [layers[str(i)] for i in numbered if isinstance(layers.get(str(i)), dict)]
    lint_layers(report, groups)
    return report.findings


def lint_layers(report: Report, layers: list[Layer]) -> None:
    """Findings about layers that come one after another."""
    before = Before()
    for i, layer in enumerate(layers):
        name = place(i, layer)
        try:
            lint_layer(report, name, i, layer, before, last=i == len(layers) - 1)
            if layer.get("type") in MADE or (layer.get("type") == "input" and "neuron" in layer):
                lint_weights(report, name, layer)
                lint_bias(report, name, layer)
                lint_delay(report, name, layer)
                lint_neuron(report, name, layer, last=i == len(layers) - 1)
            before.pass_on(layer)
        except BROKEN as error:
            said = f"no dataset {error}" if isinstance(error, KeyError) else str(error)
            report.error(name, f"cannot be understood: {said}", "fails", "export the network again")
            before.lost()


def _container(report: Report, layers: Layer, rest: Layer) -> None:
    for key in sorted(rest):
        if key == "simulation":
            report.note(key, "a group beside the layers", "ignores it", "pass its values to your run")
        else:
            report.warning(key, "is beside the layers", "ignores it", "remove it")
    expected = {str(i) for i in range(len(layers))}
    if gone := sorted(expected - set(layers)):
        found = f"{len(layers)} groups named {', '.join(sorted(layers))}; {', '.join(gone)} missing"
        report.error(
            "layer", found, f"asks for 0..{len(layers) - 1} and fails", "number the layers from 0 on"
        )
    for key in sorted(layers):
        if not isinstance(layers[key], dict):
            report.error(f"layer/{key}", "is a dataset, no group", "fails", "export the network again")


def refused(findings: list[Finding]) -> bool:
    """Whether a finding says that netx fails or computes something else."""
    return any(f.severity == "error" for f in findings)
