"""The group of verbs: loads a verb when it is asked for, turns user errors into one line and a code."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module

import click

HELP = """Basalt: spiking networks from PyTorch to neuromorphic targets, with the same spikes everywhere.

\b
  prepare        raw NTU RGB+D files, for train --data        -> FILE
  draw-people    pictures, videos of synthetic people         -> images and annotations
  train          a model of skeletons, or of poses in images  -> RUN
  evaluate       accuracy of RUN, class by class or joint by joint
  fuse           one decision from several RUNs or ARTIFACTs  -> FILE
  convert        RUN to ONNX or Lava; of poses ONNX or sdnn   -> ARTIFACT
  simulate       ARTIFACT on a target, over a data set
  verify         that all targets give the same spikes
  energy-report  synaptic operations and joules of each sample
  compare        several energy reports, side by side
  cost-tables    what energy-report can price operations by
  map            ARTIFACT on the cores of a chip              -> map.json
  boxes, track, evaluate-poses   candidate boxes, identities over frames, scores of both
  pipeline       a video to poses, tracks, actions and joules -> DIR
  lint, run-net  a .net file of lava-dl: what netx gets wrong in it; run it without lava-dl
  inspect        what a RUN, an ARTIFACT or a .net file holds
  datasets, targets              what there is, where to point at it, and what of it works here

\b
Start here:
  python cli.py train --dataset synthetic --out runs/demo --epochs 8
  python cli.py convert runs/demo --to lava --out out/demo/lava
  python cli.py simulate out/demo/lava --target loihi-sim --split test
  python cli.py energy-report out/demo/lava --cost-table horowitz45-fp32 --out out/energy

\b
Exit codes: 0 done, 2 usage, 3 bad input, 4 unsupported by the target, 5 verification failed,
6 the Lava worker failed, 7 another process of a training ended, 130 interrupted.
"""


class Verbs(click.Group):
    """A group whose verbs are imported only when used, so that `--help` needs neither torch nor onnx."""

    def __init__(self, verbs: Mapping[str, str]) -> None:
        super().__init__("cli.py", help=HELP)
        self.verbs = dict(verbs)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.verbs)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.verbs:
            return None
        module, name = self.verbs[cmd_name].split(":")
        return getattr(import_module(module), name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The help text lists the verbs already; do not import them all to list them twice."""

    @staticmethod
    def run(group: Verbs, args: Sequence[str] | None = None) -> int:
        """The exit code of a run; an error with an `exit_code` is printed as one line on stderr."""
        try:
            group.main(args=args, standalone_mode=False)
            return 0
        except click.exceptions.Exit as stop:
            return stop.exit_code
        except click.Abort:
            return fail("interrupted", 130)
        except click.ClickException as error:
            error.show()
            return error.exit_code
        except SystemExit as stop:  # click leaves so when who reads our output has gone (| head)
            sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - nothing more can be printed
            return 0 if stop.code == 1 else int(stop.code or 0)
        except Exception as error:
            return failed(error)


def failed(error: Exception) -> int:
    """The exit code of an error, its message one line on stderr; one without a code is raised again."""
    code = getattr(error, "exit_code", 3 if isinstance(error, OSError) else None)
    if code is None:
        raise error
    return fail(str(error), code)


def fail(message: str, code: int) -> int:
    """The code, the message on stderr in one line."""
    click.echo("error: " + " ".join(message.split()), err=True)
    return code


def root(verbs: Mapping[str, str]) -> Verbs:
    """The command group of these verbs: name -> 'module:function'."""
    return Verbs(verbs)
