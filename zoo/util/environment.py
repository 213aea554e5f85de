"""Describe the machine and the installed software."""

from __future__ import annotations

import os
import platform
import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

from etils import epy

with epy.lazy_imports():
    import tensorflow as tf

_PACKAGES = ("tensorflow", "keras", "tensorflow-datasets", "numpy", "ai-edge-litert")

# The vector extensions that determine how fast a convolution can be.
_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8")


def versions() -> dict[str, str]:
    """Return the version of Python and of each package that can change a result."""
    return {"python": platform.python_version()} | {name: version(name) for name in _PACKAGES}


def machine(
    cpuinfo: Path = Path("/proc/cpuinfo"), nvidia: Path = Path("/proc/driver/nvidia")
) -> dict[str, Any]:
    """Return the processor's name, cores and vector extensions, as far as the system reports them.

    On a machine with GPUs of NVIDIA, the names of those that TensorFlow can use, the version of the
    driver, and that of CUDA for which TensorFlow was built, are added.

    On x86 the name ends with family and model: "AMD EPYC" in a virtual machine can be one of
    several generations, one of them twice as fast as another.

    Args:
        cpuinfo: file in which Linux describes the processor; other systems have no such file.
        nvidia: folder in which the driver describes the GPUs.
    """
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    fields = {
        key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)
    }
    processor = fields.get("model name") or platform.processor() or platform.machine()
    if "cpu family" in fields:
        processor += f", family {fields['cpu family']} model {fields['model']}"
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": processor,
        "cores": os.cpu_count(),
        "flags": [flag for flag in _FLAGS if flag in fields.get("flags", "").split()],
    } | (_gpus(nvidia) if (nvidia / "version").exists() else {})


def _gpus(nvidia: Path) -> dict[str, Any]:
    details = tf.config.experimental.get_device_details
    names = [details(gpu).get("device_name") for gpu in tf.config.list_physical_devices("GPU")]
    driver = re.search(r"Module.*?\s(\d+\.[\d.]+)\s", (nvidia / "version").read_text("utf-8"))
    return {
        "gpus": [name or "unknown" for name in names],
        "driver": driver[1] if driver else "unknown",
        "cuda": tf.sysconfig.get_build_info().get("cuda_version", "none"),
    }


def has_bfloat16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Return whether the processor has, or may have, instructions that compute in bfloat16.

    Args:
        cpuinfo: as for ``machine``.
    """
    if not cpuinfo.exists():
        return True
    words = set(cpuinfo.read_text(encoding="utf-8").split())
    return bool(words & {"amx_bf16", "avx512_bf16", "bf16"})


def cores(quota: Path = Path("/sys/fs/cgroup/cpu.max")) -> int:
    """Return the number of cores that this process may use, at least 1.

    Args:
        quota: file with a Linux container's CPU quota and its period, in microseconds; other
            systems have no such file.
    """
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    if quota.exists():
        work, time = quota.read_text(encoding="ascii").split()
        if work != "max":
            return max(1, min(count or 1, int(work) // int(time)))
    return count or 1
