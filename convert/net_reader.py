"""`.net` -> Program, with the meaning the network was trained with: slayer's. Needs neither Lava nor torch.

Dense, recurrent, convolution, pooling, their transposes, flatten, average, slayer's Affine, an input with
neuron; CUBA, RF, RF_IZ and sigma-delta neurons; delays and biases. Every dataset is used, or checked to say
nothing new, or refused with its layer: nothing of a file is ignored, where netx drops much without a word.
`net_layers` reads one layer, this file the chain and `net_chain` makes the program of it. docs/net.md says
what each block means and where netx computes something else; `cli.py lint` finds that in a file.
"""

from __future__ import annotations

from pathlib import Path

from convert.ir import ArtifactError, BasaltError, Program, Unsupported
from convert.net_chain import Stage, program
from convert.net_format import Layer, one_line, place, read_layers
from convert.net_layers import LayerReader


def read_net(path: Path) -> Program:
    """Read a `.net`. Unsupported names the layer it cannot express; ArtifactError: no or a broken file."""
    layers, rest = read_layers(path)
    if unknown := set(rest) - {"simulation"}:
        found = f"holds {', '.join(sorted(unknown))} beside its layers"
        raise Unsupported(path.name, found, "export the network again")
    simulation = rest.get("simulation", {})
    if not isinstance(simulation, dict):
        raise ArtifactError(f"{path}: 'simulation' is no group; export the network again")
    stages = stages_of(str(path), layers)
    meta = {f"net.simulation.{k}": str(v) for k, v in simulation.items()}
    try:
        return program(stages, meta)
    except Unsupported:
        raise
    except BasaltError as error:
        raise ArtifactError(f"{path}: {error}; export the network again") from error


def stages_of(path: str, layers: list[Layer]) -> list[Stage]:
    """The stages of layer groups in order; path is for messages."""
    reader = LayerReader(len(layers))
    for i, layer in enumerate(layers):
        name = place(i, layer)
        try:
            reader.add(i, name, layer)
        except KeyError as error:
            raise ArtifactError(f"{path}: {name}: no dataset {error}; export the network again") from error
        except Unsupported as error:
            raise Unsupported(error.node, one_line(error.reason), error.remedy) from error
        except (BasaltError, ValueError, IndexError, TypeError, AttributeError, ArithmeticError) as error:
            raise ArtifactError(f"{path}: {name}: {one_line(error)}; export the network again") from error
    if len(reader.stages) < 2 or reader.flat:
        raise ArtifactError(f"{path}: no layer of neurons comes last; export the network again")
    return reader.stages
