"""Test the machine properties that are stored with a result."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest
import tensorflow as tf

from zoo.runs import schema
from zoo.util.environment import cores, has_bfloat16, machine

X86 = """processor\t: 0
cpu family\t: 25
model\t\t: 17
model name\t: AMD EPYC
flags\t\t: fpu avx2 avx512f avx512_bf16

processor\t: 1
cpu family\t: 25
model\t\t: 17
model name\t: AMD EPYC
flags\t\t: fpu avx2 avx512f avx512_bf16
"""
ARM = """processor\t: 0
BogoMIPS\t: 50.00
Features\t: fp asimd
CPU part\t: 0xd0c
"""
UNNAMED = platform.processor() or platform.machine()


@pytest.mark.parametrize(
    ("told", "processor", "flags", "bfloat16"),
    [
        (X86, "AMD EPYC, family 25 model 17", ["avx2", "avx512f", "avx512_bf16"], True),
        (ARM, UNNAMED, [], False),
        (None, UNNAMED, [], True),
    ],
    ids=["x86", "arm", "not Linux"],
)
def test_the_processor_is_told_as_far_as_the_system_tells(
    told: str | None, processor: str, flags: list[str], bfloat16: bool, tmp_path: Path
) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    if told is not None:
        cpuinfo.write_text(told)
    facts = machine(cpuinfo)
    assert has_bfloat16(cpuinfo) == bfloat16
    assert processor
    assert (facts["processor"], facts["flags"]) == (processor, flags)


def test_this_machine_has_a_name() -> None:
    assert machine()["processor"]


@pytest.mark.parametrize(
    ("quota", "expected"), [("max 100000", 64), ("400000 100000", 4), ("50000 100000", 1)]
)
def test_a_containers_quota_bounds_the_cores(
    quota: str, expected: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(64)), raising=False)
    file = tmp_path / "cpu.max"
    assert cores(file) == 64
    file.write_text(f"{quota}\n")
    assert cores(file) == expected


@pytest.mark.parametrize(
    ("version", "driver"),
    [
        (
            "NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug 19 01:15:15 UTC 2023",
            "535.104.05",
        ),
        ("NVIDIA UNIX Open Kernel Module for x86_64  550.54.14  Release Build", "550.54.14"),
        ("something else", "unknown"),
    ],
)
def test_gpus_are_named(
    version: str, driver: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = {"one": "NVIDIA H100 80GB HBM3", "other": "NVIDIA A2"}
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: list(models))
    monkeypatch.setattr(
        tf.config.experimental, "get_device_details", lambda gpu: {"device_name": models[gpu]}
    )
    assert "gpus" not in machine(nvidia=tmp_path)
    (tmp_path / "version").write_text(f"NVRM version: {version}\nGCC version: 12\n")
    facts = machine(nvidia=tmp_path)
    assert facts["gpus"] == list(models.values())
    assert facts["driver"] == driver
    assert facts["cuda"]
    assert schema.Machine.model_validate(facts).gpus == facts["gpus"]
