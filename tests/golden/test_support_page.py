"""docs/support.md is what the registries say."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_support_page_is_current():
    done = subprocess.run(
        [sys.executable, "scripts/support_matrix.py"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == (ROOT / "docs" / "support.md").read_text(), "run scripts/support_matrix.py --write"
