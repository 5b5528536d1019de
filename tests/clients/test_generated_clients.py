"""Clients that generators make of the OpenAPI document compile, with what people write for them, and work.

Each generator runs once, with its default flags, on the document of a real server; the compilers run once, too, over
the programs of docs/clients.md, the snippets, and what is wrong on purpose.
"""

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.serving import ready_line, serving
from tools.checkout import ROOT
from tools.local.install import Node, install, install_clients, python

KEY = "tk_local"
HERE = Path(__file__).parent
PAGE = (ROOT / "docs/clients.md").read_text()
SPOKEN = ["user: What is a monad?", "assistant: A monoid in the category of endofunctors."]
SNIPPETS_MIN = 20


@pytest.fixture(scope="module")
def node() -> Node:
    return install(development=True)


@pytest.fixture(scope="module")
def python_of_clients(node: Node) -> Path:
    return install_clients(node)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of `threadkeep serve`, on a file of its own."""
    keys = {"AUTH_SERVICE_KEYS": hashlib.sha256(KEY.encode()).hexdigest()}
    with serving(tmp_path_factory.mktemp("server"), variables=keys) as server:
        yield ready_line(server)["address"]


@pytest.fixture(scope="module")
def typescript(url: str, node: Node, python_of_clients: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the types, made by openapi-typescript, and with everything that is to be compiled against them."""
    folder = tmp_path_factory.mktemp("typescript")
    (folder / "node_modules").symlink_to(HERE / "node_modules")
    for name in ("package.json", "tsconfig.json", "snippets.ts", "wrong.ts"):
        shutil.copy(HERE / name, folder)
    (folder / "program.ts").write_text(program("ts", url))
    generator = folder / "node_modules/openapi-typescript/bin/cli.js"
    run(node.program, generator, f"{url}/openapi.json", "-o", "threadkeep.d.ts", folder=folder)
    return folder


@pytest.fixture(scope="module")
def typescript_errors(typescript: Path, node: Node) -> set[tuple[str, int, str]]:
    """What the TypeScript compiler, in strict mode, says of all of it: file, line and code of each error."""
    compiled = run(node.program, "node_modules/typescript/bin/tsc", folder=typescript, fails=True)
    found = re.findall(r"^(\S+)\((\d+),\d+\): error (TS\d+)", compiled, re.MULTILINE)
    return {(file, int(line), code) for file, line, code in found}


@pytest.fixture(scope="module")
def package(url: str, python_of_clients: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package that openapi-python-client made, and everything that is to be checked against it."""
    folder = tmp_path_factory.mktemp("python")
    for name in ("snippets.py", "wrong.py"):
        shutil.copy(HERE / name, folder)
    (folder / "program.py").write_text(program("python", url))
    generator = python_of_clients.parent / "openapi-python-client"
    said = run(generator, "generate", "--url", f"{url}/openapi.json", folder=folder)
    # All that it does not know is newline-delimited JSON; the operations are there all the same.
    assert re.findall(r"WARNING parsing (\S+ \S+)", said) == [
        *("POST /api/drafts/{id}/stream", "GET /api/export", "POST /api/import"),
        *("GET /api/journals/{space}/rows", "POST /api/journals/{space}/rows"),
    ]
    return folder


@pytest.fixture(scope="module")
def python_errors(package: Path, python_of_clients: Path) -> set[tuple[str, int, str]]:
    """What mypy, in strict mode, says of all of it: file, line and code of each error."""
    checked = run(
        *(python(), "-m", "mypy", "--strict", f"--python-executable={python_of_clients}", "--no-error-summary"),
        *("--config-file=", f"--cache-dir={python_of_clients.parents[1] / 'mypy'}", "--hide-error-context"),
        *("snippets.py", "program.py", "wrong.py", "threadkeep-client/threadkeep_client"),
        folder=package,
        environment={"MYPYPATH": "threadkeep-client"},
        fails=True,
    )
    found = re.findall(r"^(\S+?):(\d+): error: .*\[([a-z-]+)\]$", checked, re.MULTILINE)
    return {(file, int(line), code) for file, line, code in found}


def program(language: str, url: str) -> str:
    """The one program in a language that the page shows, for this server."""
    (text,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return text.replace("http://127.0.0.1:8787", url)


def wrong(name: str, comment: str) -> set[tuple[str, int, str]]:
    """The errors that a file announces, each at the end of its line."""
    lines = enumerate((HERE / name).read_text().splitlines(), start=1)
    return {(name, number, match[1]) for number, line in lines if (match := re.search(rf"{comment} (\S+)$", line))}


def run(*command: str | Path, folder: Path, environment: dict[str, str] | None = None, fails: bool = False) -> str:
    """What a program says, which ends well, or has to fail."""
    path = f"{Path(command[0]).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PATH": path, "NO_COLOR": "1", "COLUMNS": "200", **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode != 0) == fails, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_what_is_right_compiles_in_typescript_and_what_is_wrong_does_not(
    typescript_errors: set[tuple[str, int, str]],
) -> None:
    expected = wrong("wrong.ts", "//")
    assert len(expected) >= SNIPPETS_MIN - 4
    assert typescript_errors == expected


def test_what_is_right_passes_mypy_and_what_is_wrong_does_not(python_errors: set[tuple[str, int, str]]) -> None:
    expected = wrong("wrong.py", "#")
    assert len(expected) >= SNIPPETS_MIN - 8
    assert python_errors == expected


@pytest.mark.parametrize("name", ["snippets.ts", "snippets.py"])
def test_no_snippet_needs_a_cast_or_any(name: str) -> None:
    text = (HERE / name).read_text()
    code = re.sub(r'""".*?"""|"[^"\n]*"|`[^`\n]*`|//.*|#.*|^(?:import|from) .*', "", text, flags=re.MULTILINE)
    forbidden = r"\bas\b|\bany\b|!\." if name.endswith(".ts") else r"\bcast\b|\bAny\b"
    assert re.findall(forbidden, code) == []
    assert not re.search(r"@ts-|type: ignore", text)


def test_the_program_of_the_page_runs_in_typescript(
    typescript: Path, typescript_errors: set[tuple[str, int, str]], node: Node
) -> None:
    assert run(node.program, "out/program.js", folder=typescript).splitlines() == SPOKEN


def test_the_snippets_run_in_typescript(
    typescript: Path, typescript_errors: set[tuple[str, int, str]], node: Node, url: str
) -> None:
    ran = run(node.program, "out/snippets.js", url, KEY, folder=typescript).splitlines()
    assert ran == re.findall(r'^  async "(.*)"\(\)', (HERE / "snippets.ts").read_text(), re.MULTILINE)
    assert len(ran) >= SNIPPETS_MIN


def test_the_program_of_the_page_runs_in_python(package: Path, python_of_clients: Path) -> None:
    said = run(python_of_clients, "program.py", folder=package, environment={"PYTHONPATH": "threadkeep-client"})
    assert said.splitlines() == SPOKEN


def test_the_snippets_run_in_python(package: Path, python_of_clients: Path, url: str) -> None:
    path = {"PYTHONPATH": "threadkeep-client"}
    ran = run(python_of_clients, "snippets.py", url, KEY, folder=package, environment=path).splitlines()
    assert ran == re.findall(
        r"^    (\w+),$", (HERE / "snippets.py").read_text().partition("SNIPPETS:")[2], re.MULTILINE
    )
    assert len(ran) >= SNIPPETS_MIN
