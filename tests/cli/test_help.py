"""What `--help` and the README promise: every verb, every model, and examples that the parser takes."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from cli import VERBS
from train.models.registry import MODELS
from verbs.group import root

README = Path(__file__).resolve().parents[2] / "README.md"
SHELL = ("<", "|", ">", "&&")  # what ends an example's own arguments


def verb(name: str) -> click.Command:
    return root(VERBS).get_command(click.Context(root(VERBS)), name)


def examples(text: str) -> list[list[str]]:
    """The arguments of every line that begins with `python cli.py`; lines that go on are one."""
    found = []
    for line in text.replace("\\\n", " ").splitlines():
        if line.strip().startswith("python cli.py "):
            parts = shlex.split(line.strip(), comments=True)[2:]
            found.append(parts[: next((n for n, p in enumerate(parts) if p in SHELL), len(parts))])
    return found


def parsed(args: list[str]) -> None:
    """UsageError unless the verb is there, knows its options, and has all that it needs but the files."""
    assert args[0] in VERBS, args
    try:
        verb(args[0]).make_context(args[0], list(args[1:]))
    except click.BadParameter as error:
        if "does not exist" not in error.message:
            raise


@pytest.mark.parametrize("name", sorted(VERBS))
def test_examples_of_a_verb_are_taken_and_every_option_is_told(name):
    command = verb(name)
    found = examples(command.help)
    assert found or not any(isinstance(p, click.Argument) or p.required for p in command.params), "no example"
    for args in found:
        parsed(args)
    silent = [p.name for p in command.params if isinstance(p, click.Option) and not p.help]
    assert not silent


def test_the_first_page_names_every_verb_and_its_examples_are_taken():
    text = root(VERBS).help
    assert [name for name in VERBS if not re.search(rf"(?m)^ +(\S+, )*{name}\b", text)] == []
    assert len(examples(text)) > 3
    for args in examples(text):
        parsed(args)


def test_commands_of_the_readme_are_taken_and_its_table_has_every_verb():
    text = README.read_text(encoding="utf-8")
    assert len(examples(text)) > 6
    for args in examples(text):
        parsed(args)
    assert [name for name in VERBS if not re.search(rf"(?m)^\| (`\S+`, )*`{name}`", text)] == []


def test_every_model_is_named():
    """In `train --help`, which does not import them, and in the README's table."""
    told = next(p.help for p in verb("train").params if p.name == "model")
    assert [name for name in MODELS if not re.search(rf"(?<![\w-]){name}(?![\w-])", told)] == []
    text = README.read_text(encoding="utf-8")
    assert [name for name in MODELS if f"`{name}`" not in text] == []
