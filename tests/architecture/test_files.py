"""What the tree must look like: short files, no drawers, no machine in the text, empty `__init__.py`."""

from __future__ import annotations

import re
from pathlib import Path

LINES, TEST_LINES = 400, 500
DRAWERS = {"utils", "util", "helpers", "helper", "common", "misc"}
# Folders that exist on the machine where this was written, and nowhere else. Written in two halves, so that
# this file does not hold what it looks for.
MACHINE = re.compile(
    r"(?<![\w.~/$}])/(?:"
    + "|".join(["wo" + "rk", "tm" + "p", "ro" + "ot", "ho" + "me", "Us" + "ers"])
    + r")/\w"
)


def test_every_source_file_is_short(files, root):
    """A file holds one thing; 400 lines is where one thing has become two. Test files: 500."""
    code = {path.relative_to(root).as_posix(): path.read_text() for path in files if path.suffix == ".py"}
    assert len(code) > 80
    most = {name: TEST_LINES if name.startswith("tests/") else LINES for name in code}
    assert {name: n for name, text in code.items() if (n := text.count("\n")) > most[name]} == {}


def test_no_file_is_a_drawer(files, root):
    assert [path.relative_to(root).as_posix() for path in files if path.stem in DRAWERS] == []


def test_init_files_are_empty_but_for_the_graph(files, root):
    found = {
        path.relative_to(root).as_posix(): path.read_text().strip()
        for path in files
        if path.name == "__init__.py"
    }
    assert {"train/__init__.py", "convert/__init__.py", "deploy/__init__.py", "energy/__init__.py"} <= set(
        found
    )
    assert {name for name, text in found.items() if text} == {"convert/ir/__init__.py"}


def test_tests_are_no_package(files, root):
    """Test folders have no `__init__.py`, and no file imports a plugin: nothing can import from tests,
    fixtures carry what is shared."""
    assert [p for p in files if p.name == "__init__.py" and p.relative_to(root).parts[0] == "tests"] == []
    plugins = "|".join(p.stem for p in files if p.parent == root / "tests" / "plugins")
    imports = re.compile(rf"(?m)^\s*(?:from|import)\s+(?:{plugins})\b")
    assert plugins and [p for p in files if p.suffix == ".py" and imports.search(p.read_text())] == []


def text_of(path):
    try:
        return path.read_text()
    except UnicodeDecodeError:
        return ""


def test_no_file_names_a_folder_of_a_machine(files, root):
    found = [
        f"{path.relative_to(root).as_posix()}:{number}: {line.strip()[:80]}"
        for path in files
        for number, line in enumerate(text_of(path).splitlines(), 1)
        if MACHINE.search(line)
    ]
    assert found == []


def test_the_search_for_machines_finds_one():
    """And leaves relative paths, home folders and addresses alone."""
    start = "/wo" + "rk/main/train"
    assert MACHINE.search(f'path = "{start}"')
    assert MACHINE.search(f"see {start}")
    for fine in ("../shared/data", "~/work/x", "https://example.org/work/x", "a/tmp/b", "$ROOT/tmp/x"):
        assert not MACHINE.search(fine), fine


def test_every_test_folder_is_collected(files, root):
    """A test file that pytest does not find proves nothing: names begin with test_ or are conftest.py, but
    for the plugins, each of which the first conftest.py names."""
    tests = [p for p in files if p.suffix == ".py" and p.relative_to(root).parts[0] == "tests"]
    assert len(tests) > 20
    plugins = {p for p in tests if p.parent == root / "tests" / "plugins"}
    named = re.search(r"(?m)^pytest_plugins = \((.*?)\)", (root / "tests" / "conftest.py").read_text())
    assert {p.stem for p in plugins} == set(re.findall(r"\w+", named[1]))
    found = [p for p in tests if p not in plugins and p.name != "conftest.py"]
    assert [p.name for p in found if not p.name.startswith("test_")] == []
    assert not [p for p in tests if Path(p).stat().st_size == 0]
