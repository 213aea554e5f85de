from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT
from zoo.errors import InputError
from zoo.util.tf_config import Task, read_task, split_address, write_config

HOSTS = ("a:1", "b:2")


@pytest.mark.parametrize("text", ["", "{}", '{"cluster": {}}'])
def test_without_a_cluster_there_is_no_task(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CONFIG", text)
    assert read_task() is None


def test_what_is_written_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CONFIG", write_config(HOSTS, 1))
    assert read_task() == Task(1, HOSTS)


def test_a_chief_comes_before_the_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = {"worker": ["b:2", "c:3"], "chief": ["a:1"]}
    for kind, index, number in (("chief", 0, 0), ("worker", 0, 1), ("worker", "1", 2)):
        config = {"cluster": cluster, "task": {"type": kind, "index": index}, "environment": "x"}
        monkeypatch.setenv("TF_CONFIG", json.dumps(config))
        assert read_task() == Task(number, ("a:1", "b:2", "c:3"))


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"cluster": {"worker": ["a:1"]}}',
        '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}',
        '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": "x"}}',
        '{"cluster": {"worker": ["a:1"]}, "task": {"type": "ps", "index": 0}}',
        '{"cluster": {"worker": "a:1"}, "task": {"type": "worker", "index": 0}}',
        '{"cluster": {"worker": ["a"]}, "task": {"type": "worker", "index": 0}}',
        '{"cluster": {"worker": ["a:65536"]}, "task": {"type": "worker", "index": 0}}',
        '{"cluster": {"worker": ["a..b:1"]}, "task": {"type": "worker", "index": 0}}',
        '{"cluster": {"worker": [1]}, "task": {"type": "worker", "index": 0}}',
        '{"cluster": {"chief": ["a:1", "b:1"]}, "task": {"type": "chief", "index": 0}}',
    ],
)
def test_another_form_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(InputError, match="TF_CONFIG must be like"):
        read_task()


def test_other_jobs_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    config = {"cluster": {"worker": ["a:1"], "ps": ["b:1"]}, "task": {"type": "ps", "index": 0}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))
    with pytest.raises(InputError, match="TF_CONFIG has jobs ps; a training has only"):
        read_task()


def test_the_script_for_slurm_sets_each_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (ROOT / "docs" / "distributed.md").read_text(encoding="utf-8")
    script = re.search(r"#!/bin/bash\n.*?```", page, re.DOTALL)
    assert script
    text = re.sub("exec python .*'", "exec printenv TF_CONFIG'", script[0].removesuffix("```"))
    # Stand-ins of the two commands of SLURM.
    functions = 'scontrol() { printf "n1\\nn2\\n"; }\nsrun() { SLURM_PROCID=1 "$@"; }\n'
    done = subprocess.run(
        ["bash", "-c", functions + text], capture_output=True, text=True, check=True
    )
    monkeypatch.setenv("TF_CONFIG", done.stdout.strip())
    assert read_task() == Task(1, ("n1:2222", "n2:2222"))


def test_an_address_of_the_internet_protocol_6_stands_in_brackets() -> None:
    assert split_address("[::1]:2222") == ("::1", 2222)
    assert split_address("host1:2222") == ("host1", 2222)
