"""scripts/dev leaves what the README promises of a checkout."""

import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tools.checkout import ROOT, Problem


class Running:
    """A Worker or a server that answers at once, and says nothing."""

    url = "http://127.0.0.1:8787"

    def __init__(self, state: Path, **options: Any) -> None:
        self.store = options["store"]

    def __enter__(self) -> "Running":
        return self

    def __exit__(self, *_: object) -> None:
        """It is over."""

    def new_output(self) -> str:
        return ""


@pytest.fixture
def dev(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    loader = SourceFileLoader("scripts_dev", str(ROOT / "scripts/dev"))
    spec = spec_from_loader(loader.name, loader)
    assert spec is not None
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    module = module_from_spec(spec)
    loader.exec_module(module)
    monkeypatch.setattr(module, "LocalWorker", Running)
    monkeypatch.setattr(module, "LocalServer", Running)
    return module


@pytest.mark.parametrize("store", ["d1", "durable-object", "sqlite", "postgres"])
def test_whatever_it_serves_it_installs_the_command_of_the_server_once_it_answers(
    dev: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], store: str
) -> None:
    done: list[str] = []
    monkeypatch.setattr(dev, "install_server", lambda: done.append(capsys.readouterr().out))
    monkeypatch.setattr(dev, "keep_running", lambda _running: done.append("keeps running"))
    monkeypatch.setattr(sys, "argv", ["scripts/dev", f"--store={store}"])
    dev.main()
    assert done == [f"ready http://127.0.0.1:8787 store={store}\n", "keeps running"]


def test_it_goes_on_without_the_command_where_that_cannot_be_installed(
    dev: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(dev, "install_server", fail)
    monkeypatch.setattr(dev, "keep_running", lambda _running: None)
    monkeypatch.setattr(sys, "argv", ["scripts/dev"])
    dev.main()
    assert "error: the registry is away" in capsys.readouterr().err


def fail() -> None:
    raise Problem("the registry is away")
