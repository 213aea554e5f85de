"""The facts of the machine that are kept with a result."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from zoo.machine import machine


@pytest.mark.skipif(shutil.which("lscpu") is None, reason="needs lscpu")
def test_the_processor_is_named_as_the_system_s_own_command_names_it() -> None:
    environment = os.environ | {"LC_ALL": "C"}
    output = subprocess.check_output(["lscpu"], text=True, env=environment)
    told = {key: value.strip() for key, _, value in (x.partition(":") for x in output.splitlines())}
    expected = told["Model name"]
    if "CPU family" in told:
        expected += f", family {told['CPU family']} model {told['Model']}"
    assert machine()["processor"] == expected
