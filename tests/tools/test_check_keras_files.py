from __future__ import annotations

from pathlib import Path

import pytest

from tools import check_keras_files


def test_a_folder_without_networks_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"has no network: no folder NAME\.data"):
        check_keras_files.main([str(tmp_path)])


@pytest.mark.parametrize(
    ("outcomes", "message"),
    [
        ({"a": "right", "b": "refused"}, None),
        ({"a": "refused", "b": "refused"}, "the export refused every network of "),
        ({"a": "right", "b": "wrong"}, "wrong predictions or a crash: b"),
    ],
)
def test_a_check_without_an_export_is_an_error(
    outcomes: dict[str, str],
    message: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in outcomes:
        (tmp_path / f"{name}.data").mkdir()
    monkeypatch.setattr(check_keras_files, "_row", lambda folder, name, options: outcomes[name])
    if not message:
        check_keras_files.main([str(tmp_path)])
        return
    with pytest.raises(SystemExit, match=message):
        check_keras_files.main([str(tmp_path)])
