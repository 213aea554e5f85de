"""Fail unless a run's test accuracy is believable: at least so high, and not perfect.

python tools/require_accuracy.py RUN --data NAME --least 0.95
"""

from __future__ import annotations

import argparse
import sys

from zoo.runs import Run


def main() -> None:
    """Check one run."""
    parser = argparse.ArgumentParser(description="Fail unless a run's accuracy is believable.")
    parser.add_argument("run", metavar="RUN")
    parser.add_argument("--data", required=True, help="name of the data set it must be on")
    parser.add_argument("--least", type=float, required=True, help="lowest test accuracy, 0..1")
    arguments = parser.parse_args()
    result = Run(arguments.run).read_result()
    name, accuracy = result["data"]["name"], result["test_accuracy"]
    print(f"{accuracy:.2%} on {name}; required: {arguments.least:.2%} to below 100 %")
    if name != arguments.data or not arguments.least <= accuracy < 1:
        sys.exit(1)


if __name__ == "__main__":
    main()
