"""Fail unless a run's test accuracy is plausible: at least ``--least`` and below 100 %.

python tools/require_accuracy.py RUN --data NAME --least 0.95
"""

from __future__ import annotations

import argparse
import sys

from zoo.runs import Run


def main() -> None:
    """Check the accuracy of one run."""
    parser = argparse.ArgumentParser(description="Fail unless a run's test accuracy is plausible.")
    parser.add_argument("run", metavar="RUN")
    parser.add_argument("--data", required=True, help="name of the dataset the run must use")
    parser.add_argument("--least", type=float, required=True, help="lowest test accuracy, 0..1")
    arguments = parser.parse_args()
    result = Run(arguments.run).read_result()
    name, accuracy = result["data"]["name"], result["test_accuracy"]
    print(f"{accuracy:.2%} on {name}; required: at least {arguments.least:.2%}, below 100 %")
    if name != arguments.data:
        sys.exit(f"wrong dataset: expected {arguments.data}, found {name}")
    if not arguments.least <= accuracy < 1:
        sys.exit(1)


if __name__ == "__main__":
    main()
