"""The documents are true: their commands answer as printed, and every route and setting is written down."""

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

import tiers
from support.backends import BACKENDS, WORKERS
from support.postgres import new_url
from threadkeep.http.problems import STATUS
from threadkeep.http.routes import ROUTES
from threadkeep.ids import ID_CHARACTERS_MAX, RESERVED
from threadkeep.server import application, serving
from threadkeep.server.limits import LIMITS
from threadkeep.setting_types import Setting
from threadkeep.settings import DECLARED, Settings
from threadkeep.storage.postgres import executor as postgres_executor
from threadkeep.storage.postgres import pool
from threadkeep.storage.sqlite import D1_BINDINGS, file
from tools.checkout import ROOT
from tools.local.install import install_server
from tools.local.lifecycle import STORES_OF_SERVERS, LocalService
from tools.local.server import LocalServer
from tools.local.worker import LocalWorker

README = (ROOT / "README.md").read_text()
API = (ROOT / "docs/api.md").read_text()
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
CODES = {**STATUS, "internal": 500}
"""The status of each code of an error; a defect of ours is no error of the tree, and has a code of its own."""
TIMES = {"createdAt", "updatedAt", "deletedAt", "exportedAt"}
CURSORS = {"next", "nextCursor", "changes", "incarnation"}


def without_times(value: Any) -> Any:
    """A value with its times and cursors replaced by their types."""
    if isinstance(value, dict):
        return {name: type(item) if name in TIMES | CURSORS else without_times(item) for name, item in value.items()}
    return [without_times(item) for item in value] if isinstance(value, list) else value


def steps_in(text: str) -> list[tuple[str, str]]:
    """The commands of the one transcript in a document, and what each printed."""
    (transcript,) = re.findall(r"```console\n(.*?)```", text, re.DOTALL)
    return re.findall(r"^\$ (curl .*)\n(.*)$", transcript, re.MULTILINE)


@pytest.fixture(scope="module", params=[*WORKERS, *STORES_OF_SERVERS])
def service(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a service as scripts/dev starts it. One serves all documents, over each store."""
    store, state = request.param, tmp_path_factory.mktemp("docs")
    if store in STORES_OF_SERVERS:
        variables = {"DATABASE_URL": new_url()} if store == "postgres" else {}
        running: LocalService = LocalServer(state, store=store, variables=variables)
    else:
        running = LocalWorker(state, store=store)
    with running:
        yield running.url


@pytest.fixture
def url(service: str) -> Iterator[str]:
    """The same, where nobody has kept anything: what a document has left there is erased."""
    yield service
    httpx.delete(f"{service}/api/me", params={"confirm": "developer"}).raise_for_status()
    assert httpx.get(f"{service}/api/conversations").json()["conversations"] == []


def test_the_commands_of_the_readme_answer_as_printed(url: str) -> None:
    steps = steps_in(README)
    assert len(steps) == 3
    answers = answers_to(steps, url)
    assert answers == [without_times(json.loads(printed)) for _, printed in steps]
    sent_again = answers_to(steps, url)
    assert sent_again[1:] == answers[1:]
    assert sent_again[0] == {**answers[0], "messageCount": 2, "leafId": "answer"}


@pytest.mark.parametrize(
    "name", ["search", "sync", "export-and-import", "clients", "agent-state", "context", "messages"]
)
def test_the_commands_of_a_guide_answer_as_printed(url: str, name: str) -> None:
    steps = steps_in((ROOT / f"docs/{name}.md").read_text())
    assert len(steps) >= 4
    printed = [without_times(json.loads(text)) if text else None for _, text in steps]
    assert answers_to(steps, url) == printed


def answers_to(steps: list[tuple[str, str]], url: str) -> list[Any]:
    """What each command answers, in order; `$NEXT` is the last cursor of the changes."""
    answers, cursor = [], ""
    for command, _ in steps:
        arguments = shlex.split(command.replace("http://127.0.0.1:8787", url).replace("$NEXT", cursor))
        printed = subprocess.run(arguments, capture_output=True, check=True, timeout=60).stdout
        answer = json.loads(printed) if printed else None
        cursor = (answer or {}).get("next", cursor)
        answers.append(without_times(answer))
    return answers


def test_every_route_is_in_the_api_document_in_its_order_and_no_other() -> None:
    routes = [f"{route.method} {route.path}" for route in ROUTES]
    calls = re.search(r"## Calls\n(.*?)\n### ", API, re.DOTALL)
    assert calls is not None
    assert re.findall(r"^\| `([A-Z]+ [^ `]+)`", calls[1], re.MULTILINE) == routes


def test_the_words_that_are_no_ids_are_in_the_api_document() -> None:
    (section,) = re.findall(r"^## Ids\n(.*?)^## ", API, re.DOTALL | re.MULTILINE)
    (words,) = re.findall(r"^Some texts are no ids.*?\n\n", section, re.DOTALL | re.MULTILINE)
    assert re.findall(r"`(.+?)`", words) == [*RESERVED]
    assert f"1 to {ID_CHARACTERS_MAX} characters of `A-Z a-z 0-9 . _ : @ -`" in section


def test_every_error_is_in_the_api_document_with_its_status_and_no_other() -> None:
    rows = re.findall(r"^\| `([a-z_]+)` \| ([0-9]{3}) \|", API, re.MULTILINE)
    known = [(code, str(status)) for code, status in CODES.items()]
    lacking, surplus = sorted(set(known) - set(rows)), sorted(set(rows) - set(known))
    assert not lacking, f"The table of errors lacks {lacking}."
    assert not surplus, f"The table of errors has {surplus}, which nothing answers."
    assert len(rows) == len(known)


def test_wherever_a_document_has_a_code_behind_a_status_it_is_the_code_of_that_status() -> None:
    found = [
        (path.name, status, code)
        for path in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md"))
        for status, code in re.findall(r"\b([45][0-9]{2}) `([a-z_]+)`", path.read_text())
    ]
    assert found
    assert [(name, status, code) for name, status, code in found if str(CODES.get(code)) != status] == []


def test_the_settings_of_the_readme_are_those_that_are_declared() -> None:
    rows = [_row_of(field, setting) for field, setting in DECLARED.items() if not setting.is_planned]
    table, _, rest = README.partition("| Setting | Also read as | Default |\n|---|---|---|\n")[2].partition("\n\n")
    found = table.replace("| |", "|  |").splitlines()
    lacking = "\n".join(row for row in rows if row not in found)
    surplus = "\n".join(row for row in found if row not in rows)
    assert not lacking, f"The README lacks these rows:\n{lacking}"
    assert not surplus, f"The README has these rows, which are of no setting:\n{surplus}"
    assert found == rows, "The rows of the README are not in the order of the settings."
    assert f"binding `{D1_BINDINGS[0]}`, or `{D1_BINDINGS[1]}`" in rest
    to_come = re.search(r"for what is still to come:(.*?)\.", rest, re.DOTALL)
    planned = [setting.names for setting in DECLARED.values() if setting.is_planned]
    named = re.findall("`(.*?)`", to_come[1]) if to_come else []
    assert named == [name for names in planned for name in names]


def _row_of(field: str, setting: Setting) -> str:
    """A setting as the README has to have it."""
    (value,) = (each.default for each in msgspec.structs.fields(Settings) if each.name == field)
    text = str(value).lower() if isinstance(value, bool) else str(value)
    default = "none" if value in (None, (), frozenset()) else f"`{text}`"
    others = [f"`{name}`" for name in setting.names[1:] if name not in (setting.deprecated, setting.binding)]
    aliases = [", ".join(others)] if others else []
    aliases += [f"deprecated: `{setting.deprecated}`"] if setting.deprecated else []
    aliases += [f"in a Worker the binding `{setting.binding}`"] if setting.binding else []
    note = f" ({setting.note})" if setting.note else ""
    return " | ".join([f"| `{setting.names[0]}`: {setting.about}", "; ".join(aliases), f"{default}{note} |"])


def test_every_back_end_is_in_the_readme() -> None:
    products = {name.partition(" ")[0] for name in BACKENDS}
    assert [name for name in products if f"| `{name}` |" not in README] == []


def test_every_back_end_has_a_page_that_tells_what_one_has_to_know() -> None:
    products = {name.partition(" ")[0] for name in BACKENDS}
    assert {path.stem for path in (ROOT / "docs/backends").glob("*.md")} >= products
    for page in (ROOT / "docs/backends").glob("*.md"):
        text = page.read_text().lower()
        for what in (r"\*\*when\*\*", r"(\*\*|## )settings", "rights", "limits", "backup", r"\*\*purging\*\*"):
            assert re.search(what, text), (page.name, what)
        assert f"(docs/backends/{page.name})" in README


def test_the_copy_of_a_file_is_made_and_restored_by_the_commands_of_its_page(tmp_path: Path) -> None:
    copy, begin = re.findall(r"^    (python -c .*)$", (ROOT / "docs/backends/sqlite.md").read_text(), re.MULTILINE)
    with LocalServer(tmp_path) as running:
        running_file = running.state.data / "threadkeep.sqlite"
        kept = httpx.post(f"{running.url}/api/conversations", json={"title": "Kept"}).json()
        run_in(running_file.parent, copy)
        httpx.post(f"{running.url}/api/conversations", json={"title": "Later"})
        cursor = httpx.get(f"{running.url}/api/conversations/changes").json()["next"]
        running.stop()
        (running_file.parent / "copy.sqlite").rename(running_file)
        run_in(running_file.parent, begin)
        running.start()
        listed = httpx.get(f"{running.url}/api/conversations").json()["conversations"]
        assert [row["id"] for row in listed] == [kept["id"]]
        followed = httpx.get(f"{running.url}/api/conversations/changes", params={"since": cursor})
        assert (followed.status_code, followed.json()["error"]["code"]) == (410, "cursor_expired")


def run_in(folder: Path, command: str) -> None:
    _, *arguments = shlex.split(command)
    subprocess.run([sys.executable, *arguments], cwd=folder, check=True, timeout=60)


def test_the_page_of_the_server_tells_of_every_flag_and_shows_what_is_said(tmp_path: Path) -> None:
    page = (ROOT / "docs/server.md").read_text()
    told = subprocess.run([install_server(), "serve", "--help"], capture_output=True, text=True, check=True, timeout=60)
    flags = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", told.stdout)) - {"--help"}
    assert {flag for flag in flags if f"`{flag}" not in page} == set()
    shown, says = re.findall(r"^    \$ (AGENT_\S+) threadkeep serve\n    (.*)$", page, re.MULTILINE)[0]
    name, _, value = shown.partition("=")
    refused = subprocess.run(
        [install_server(), "serve"], env={name: value}, capture_output=True, text=True, check=False, timeout=60
    )
    assert refused.stderr.rstrip() == says


def test_the_time_limits_of_the_server_are_those_that_its_page_tells() -> None:
    limits = re.search(r"## Timeouts\n(.*?)\n## ", (ROOT / "docs/server.md").read_text(), re.DOTALL)
    assert limits is not None
    assert [int(seconds) for seconds in re.findall(r"\| (\d+) seconds", limits[1])] == [
        file._BUSY_MILLISECONDS // 1000,
        file.BATCH_SECONDS,
        application._READY_SECONDS,
        LIMITS.head_seconds,
        LIMITS.body_pause_seconds,
        LIMITS.body_seconds,
        LIMITS.head_seconds,
        LIMITS.answer_pause_seconds,
        LIMITS.idle_seconds,
        serving.GRACE_SECONDS,
    ]


def test_what_a_process_takes_on_is_what_the_page_of_the_server_tells() -> None:
    limits = re.search(r"## Limits of a process\n(.*?)\n\nA body", (ROOT / "docs/server.md").read_text(), re.DOTALL)
    assert limits is not None
    told = [
        int(number.replace(",", "")) * {"KiB": 1024, "MiB": 1024**2}.get(unit, 1)
        for row in re.findall(r"^\|(.*)\|[^|]*\|$", limits[1], re.MULTILINE)
        for number, unit in re.findall(r"([\d,]+\d)(?: ([KM]iB))?", row)
    ]
    assert told == [
        LIMITS.head_bytes,
        LIMITS.connections,
        LIMITS.requests,
        LIMITS.streams,
        LIMITS.streams_of_user,
        LIMITS.small_body_bytes,
        LIMITS.body_bytes,
        LIMITS.body_bytes_of_user,
    ]


def test_the_time_limits_of_postgres_are_those_that_its_page_tells() -> None:
    limits = re.search(r"## Limits.*?\n(.*?)\n## ", (ROOT / "docs/backends/postgres.md").read_text(), re.DOTALL)
    assert limits is not None
    assert [int(seconds) for seconds in re.findall(r"\| (\d+) seconds", limits[1])] == [
        postgres_executor.SEARCH_SECONDS,
        postgres_executor.BATCH_SECONDS,
        pool.CLOSE_SECONDS,
    ]


def test_every_decision_is_in_the_list_of_decisions_by_its_title() -> None:
    folder = ROOT / "docs/decisions"
    line = re.compile(r"^- (\d+): \[(.*)\]\((\d{4}-[a-z0-9-]+\.md)\)$", re.MULTILINE)
    listed = line.findall((folder / "README.md").read_text())
    titles = {path.name: path.read_text().partition("\n")[0] for path in folder.glob("0*.md")}
    assert {name: f"# {title}" for _, title, name in listed} == titles
    assert [int(number) for number, _, _ in listed] == sorted(int(name[:4]) for name in titles)


def test_every_decision_has_a_status_and_a_date_below_its_title() -> None:
    status = r"# .*\n\nStatus: (accepted|superseded by \[\d{4}\]\(\d{4}-[a-z0-9-]+\.md\)), \d{4}-\d{2}-\d{2}\.\n\n"
    decisions = list((ROOT / "docs/decisions").glob("0*.md"))
    assert decisions
    assert [path.name for path in decisions if not re.match(status, path.read_text())] == []


def test_the_links_of_the_documents_lead_somewhere() -> None:
    documents = (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "bench/notes").glob("*.md"))
    for document in documents:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name} leads to {target}"


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "docs/ARCHITECTURE.md"])
def test_whatever_file_a_page_for_contributors_names_is_there(name: str) -> None:
    text = (ROOT / name).read_text()
    paths = set(re.findall(r"(?<![\w./-])(?:src|scripts|tests|docs|migrations|bench)/[\w./-]*\w", text))
    assert paths
    assert [path for path in sorted(paths) if not (ROOT / path).exists()] == []
    modules = [path.as_posix() for folder in ("src", "tests") for path in (ROOT / folder).rglob("*.py")]
    named = set(re.findall(r"(?<![\w./-])[\w/]+\.py\b", text))
    assert [name for name in sorted(named) if not any(module.endswith(f"/{name}") for module in modules)] == []


def test_the_page_for_contributors_names_every_tier_every_folder_of_tests_and_flags_that_there_are() -> None:
    named = set(re.findall(r"^\| `([a-z]+)` \|", CONTRIBUTING, re.MULTILINE))
    assert named == {"checks", *tiers.TIERS}
    folders = {folder for each in tiers.TIERS.values() for folder in each}
    assert {folder for folder in folders if f"`tests/{folder}/`" not in CONTRIBUTING} == set()
    flags = set(re.findall(r"scripts/test (--[a-z]+)", CONTRIBUTING))
    told = subprocess.run([ROOT / "scripts/test", "--help"], capture_output=True, text=True, check=True, timeout=60)
    assert flags
    assert {flag for flag in flags if not re.search(rf"{flag}(?![\w-])", told.stdout)} == set()


def test_every_script_is_in_the_readme_of_the_scripts() -> None:
    text = (ROOT / "scripts/README.md").read_text()
    scripts = [path.name for path in (ROOT / "scripts").iterdir() if path.is_file() and not path.suffix]
    assert scripts
    assert [name for name in scripts if f"`scripts/{name}" not in text] == []
