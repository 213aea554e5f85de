from __future__ import annotations

import subprocess
import sys

from tests.conftest import ROOT

CODE = """
import importlib.util, sys
from zoo.util import backend

backend.start_tensorflow()
installed = {name for name in backend._UNUSED if importlib.util.find_spec(name)}
print(sorted(installed & sys.modules.keys()))
import keras
print(keras.backend.backend())
for name in installed:
    __import__(name)
    assert sys.modules[name]
import matplotlib.pyplot
"""


def test_keras_starts_without_what_no_command_uses() -> None:
    line = [sys.executable, "-c", CODE]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["[]", "tensorflow"]
