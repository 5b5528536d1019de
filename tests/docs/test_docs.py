"""The documents are true: the README's commands answer as printed, and every route and setting is written down."""

import json
import re
import shlex
import subprocess
from typing import Any

import pytest

from support.backends import BACKENDS, WORKERS
from threadkeep.http.public import PUBLIC_ROUTES
from threadkeep.http.routes import ROUTES
from threadkeep.http.wire import STATUS
from threadkeep.settings import D1_BINDINGS, NAMES
from toolbox.checkout import ROOT
from toolbox.worker import LocalWorker

README = (ROOT / "README.md").read_text()
API = (ROOT / "docs/api.md").read_text()
TIMES = {"createdAt", "updatedAt"}


def without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: type(item) if name in TIMES else without_times(item) for name, item in value.items()}
    return [without_times(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("store", WORKERS)
def test_the_commands_of_the_readme_answer_as_printed(store: str, tmp_path: Any) -> None:
    transcript = re.search(r"```console\n(.*?)```", README, re.DOTALL)
    assert transcript is not None
    steps = re.findall(r"^\$ (curl .*)\n(.*)$", transcript[1], re.MULTILINE)
    assert len(steps) == 3
    with LocalWorker(tmp_path, store=store) as worker:
        answers = [answer_to(command, worker.url) for command, _ in steps]
        assert answers == [without_times(json.loads(printed)) for _, printed in steps]
        sent_again = [answer_to(command, worker.url) for command, _ in steps]
        assert sent_again[1:] == answers[1:]
        assert sent_again[0] == {**answers[0], "messageCount": 2}


def answer_to(command: str, url: str) -> Any:
    arguments = shlex.split(command.replace("http://127.0.0.1:8787", url))
    return without_times(json.loads(subprocess.run(arguments, capture_output=True, check=True, timeout=60).stdout))


def test_every_route_is_in_the_api_document_and_no_other() -> None:
    routes = {f"{route.method} {route.path}" for route in (*ROUTES, *PUBLIC_ROUTES)}
    calls = re.search(r"## Calls\n(.*?)\n### ", API, re.DOTALL)
    assert calls is not None
    assert set(re.findall(r"^\| `([A-Z]+ [^ `]+)`", calls[1], re.MULTILINE)) == routes


def test_every_error_is_in_the_api_document_with_its_status() -> None:
    rows = dict(re.findall(r"^\| `([a-z_]+)` \| ([0-9]{3}) \|", API, re.MULTILINE))
    assert rows == {**{code: str(status) for code, status in STATUS.items()}, "internal": "500"}


def test_every_setting_is_in_the_readme() -> None:
    names = [*(name for names in NAMES.values() for name in names), *D1_BINDINGS]
    assert [name for name in names if f"`{name}`" not in README] == []


def test_every_back_end_is_in_the_readme() -> None:
    assert [name for name in BACKENDS if f"| `{name}` |" not in README] == []


def test_every_decision_is_in_the_list_of_decisions_and_the_links_lead_somewhere() -> None:
    folder = ROOT / "docs/decisions"
    listed = set(re.findall(r"\((\d{4}-[a-z-]+\.md)\)", (folder / "README.md").read_text()))
    assert listed == {path.name for path in folder.glob("0*.md")}
    for document in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md")):
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name} leads to {target}"


def test_every_script_is_in_the_readme_of_the_scripts() -> None:
    text = (ROOT / "scripts/README.md").read_text()
    scripts = [path.name for path in (ROOT / "scripts").iterdir() if path.is_file() and not path.suffix]
    assert scripts
    assert [name for name in scripts if f"`scripts/{name}" not in text] == []
