"""Installing: only what has changed, and never half."""

from pathlib import Path

import pytest

from toolbox import install
from toolbox.checkout import Problem


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements/worker.txt").write_text("msgspec==0.22.0\n")
    return tmp_path


def test_packages_are_installed_again_only_when_their_pins_change(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = []
    monkeypatch.setattr(install, "_pip_install", lambda *arguments: installed.append(arguments))
    install._install_worker_packages(checkout)
    install._install_worker_packages(checkout)
    assert len(installed) == 1
    (checkout / "requirements/worker.txt").write_text("msgspec==0.23.0\n")
    install._install_worker_packages(checkout)
    assert len(installed) == 2


def test_an_installation_that_fails_is_tried_again(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: object) -> None:
        raise Problem("the registry is away")

    monkeypatch.setattr(install, "_pip_install", fail)
    for _ in range(2):
        with pytest.raises(Problem):
            install._install_worker_packages(checkout)
    assert not install.worker_packages(checkout).exists()


def test_a_script_that_needs_packages_goes_on_where_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[object] = []
    monkeypatch.setattr(install, "_create_virtual_environment", lambda _root: done.append("environment"))
    monkeypatch.setattr(install, "_install_packages", lambda _root, group: done.append(group))
    monkeypatch.setattr(install.os, "execve", lambda program, *_: done.append(program))
    install.run_in_environment(tmp_path)
    assert done == ["environment", "scripts", str(install.python(tmp_path))]


@pytest.mark.parametrize(("text", "version"), [("v24.19.0\n", (24, 19, 0)), (">=22.12.0", (22, 12, 0)), ("", ())])
def test_a_version_is_compared_by_its_numbers(text: str, version: tuple[int, ...]) -> None:
    assert install.version(text) == version
