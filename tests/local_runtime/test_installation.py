"""Installing: only what has changed, and never half."""

import re
import shutil
import sys
import sysconfig
import venv
from importlib.metadata import distributions
from pathlib import Path

import pytest

from tools.checkout import ROOT, Problem
from tools.local import install


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


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """A checkout whose virtual environment has nothing of its own, and sees the uv of this one."""
    (tmp_path / "requirements").mkdir()
    shutil.copy(ROOT / "requirements/uv.txt", tmp_path / "requirements/uv.txt")
    venv.create(tmp_path / ".venv", symlinks=True)
    (packages_of(tmp_path) / "uv.pth").write_text(sysconfig.get_path("purelib"))
    install._uv_stamp(tmp_path).set()
    return tmp_path


def packages_of(checkout: Path) -> Path:
    return checkout / f".venv/lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"


def pin(checkout: Path, group: str, *names: str) -> None:
    """Let a group pin packages as this checkout pins them."""
    pins = (ROOT / "requirements/dev.txt").read_text()
    found = [re.search(rf"^{name}==(?:.*\\\n)*.*\n", pins, re.MULTILINE) for name in names]
    (checkout / f"requirements/{group}.txt").write_text("".join(match[0] for match in found if match))


def installed(checkout: Path) -> set[str]:
    return {each.name for each in distributions(path=[str(packages_of(checkout))])}


def test_an_environment_has_what_its_groups_pin_and_nothing_else(environment: Path) -> None:
    pin(environment, "scripts", "h11", "idna")
    install._install_packages(environment, "scripts")
    assert installed(environment) == {"uv", "h11", "idna"}
    pin(environment, "server", "iniconfig")
    install._install_packages(environment, "server")
    assert installed(environment) == {"uv", "h11", "idna", "iniconfig"}
    pin(environment, "scripts", "idna")
    install._install_packages(environment, "scripts")
    assert installed(environment) == {"uv", "idna", "iniconfig"}


def test_a_package_that_is_not_what_was_pinned_is_refused(environment: Path) -> None:
    pin(environment, "scripts", "idna")
    file = environment / "requirements/scripts.txt"
    file.write_text(re.sub(r"[0-9a-f]{64}", "0" * 64, file.read_text()))
    with pytest.raises(Problem, match=r"could not install requirements/scripts\.txt:(.|\n)*Hash mismatch"):
        install._install_packages(environment, "scripts")
    assert install._packages_stamp(environment, "scripts").state() == "missing"


def test_without_a_network_a_line_says_what_could_not_be_installed(
    environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # where nobody listens
    monkeypatch.setenv("UV_CACHE_DIR", str(environment / "cache"))
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    pin(environment, "scripts", "idna")
    with pytest.raises(Problem, match=r"could not install requirements/scripts\.txt:"):
        install._install_packages(environment, "scripts")
    assert installed(environment) == set()


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
