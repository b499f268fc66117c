"""Basalt's command line: one verb per arrow of the pipeline. Run `python cli.py --help`.

Exit codes
    0  done
    2  the command line is wrong
    3  bad input: a file, data set, checkpoint or artifact is missing, broken or not what it claims
    4  the target cannot hold the model: node, reason and remedy are named
    5  verification failed: a target that promises the reference's spikes gave others
    6  the Lava worker process failed; the last line of its own error is printed
    7  another process of this training ended, or this one was told to end; its files are whole
  130  interrupted
"""

from __future__ import annotations

import sys

from verbs.group import Verbs, root

VERBS = {
    "train": "verbs.train:train",
    "evaluate": "verbs.evaluate:evaluate",
    "fuse": "verbs.fuse:fuse",
    "convert": "verbs.convert:convert",
    "simulate": "verbs.simulate:simulate",
    "energy-report": "verbs.energy_report:energy_report",
    "compare": "verbs.compare:compare",
    "cost-tables": "verbs.cost_tables:cost_tables",
    "verify": "verbs.verify:verify",
    "map": "verbs.map:map_",
    "inspect": "verbs.inspect:inspect",
    "lint": "verbs.lint:lint",
    "run-net": "verbs.run_net:run_net",
    "boxes": "verbs.boxes:boxes",
    "track": "verbs.track:track",
    "evaluate-poses": "verbs.evaluate_poses:evaluate_poses",
    "pipeline": "verbs.pipeline:pipeline",
    "prepare": "verbs.prepare:prepare",
    "draw-people": "verbs.draw_people:draw_people",
    "datasets": "verbs.listing:datasets",
    "targets": "verbs.listing:targets",
}


def main() -> None:
    """Run the verb named on the command line; user errors become one line and an exit code."""
    sys.exit(Verbs.run(root(VERBS)))


if __name__ == "__main__":
    main()
