"""Contestant for the tests of races: measures the course times its argument, plus the turn."""

from __future__ import annotations

import sys

from tools.bench.race import serve

if __name__ == "__main__":
    print("a library's own chatter")
    turns = iter(range(100))
    serve(lambda course: float(course) * float(sys.argv[1]) + next(turns))
