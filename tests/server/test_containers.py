"""Docker, Compose, Kubernetes and Vercel: what their files say is valid, and each command in them runs.

No container is needed: the commands run in a folder of their own, on this machine's Python.
"""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from ruamel.yaml import YAML

from support.in_process import VARIABLES, as_user
from support.postgres import new_url
from threadkeep.server.application import READY_PATH
from threadkeep.server.serving import GRACE_SECONDS
from threadkeep.settings import NAMES
from tools.checkout import ROOT
from tools.local.install import python
from tools.local.ports import free_port

PATIENCE_SECONDS = 240
DOCKERFILE = (ROOT / "Dockerfile").read_text()
PORT = "8787"
API = "/api/conversations"
SETTINGS = {name for names in NAMES.values() for name in names}


def checked(*command: str | Path) -> subprocess.CompletedProcess[str]:
    tool, *arguments = command
    return subprocess.run([python().parent / tool, *arguments], capture_output=True, text=True, check=False, timeout=60)


def instructions(name: str) -> list[str]:
    """What follows each instruction of this name in the Dockerfile, on one line."""
    joined = re.sub(r"\\\n\s*", "", DOCKERFILE)
    return re.findall(rf"^(?:HEALTHCHECK .*)?{name} (.*)$", joined, re.MULTILINE)


def manifests() -> dict[str, Any]:
    """The manifests of Kubernetes, by their kind."""
    return {each["kind"]: each for each in YAML(typ="safe").load_all(ROOT / "deploy/kubernetes.yaml")}


def services() -> Any:
    return YAML(typ="safe").load(ROOT / "compose.yaml")["services"]


# What is written is valid


@pytest.mark.parametrize(
    ("file", "command", "right", "wrong"),
    [
        ("Dockerfile", ("hadolint",), "USER 10001", "RUN cd /data"),
        ("compose.yaml", ("check-jsonschema", "--builtin-schema", "vendor.compose-spec"), "restart:", "restarts:"),
        ("deploy/kubernetes.yaml", ("kubernetes-validate", "--strict"), "runAsNonRoot", "runsAsNonRoot"),
    ],
)
def test_a_file_is_valid_and_a_mistake_in_it_is_found(
    file: str, command: tuple[str, ...], right: str, wrong: str, tmp_path: Path
) -> None:
    done = checked(*command, ROOT / file)
    assert done.returncode == 0, done.stdout + done.stderr
    text = (ROOT / file).read_text()
    assert right in text
    broken = tmp_path / Path(file).name
    broken.write_text(text.replace(right, wrong))
    assert checked(*command, broken).returncode != 0


# Docker


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in the place of /, after the commands of the build: only what the Dockerfile copies is there."""
    root = tmp_path_factory.mktemp("image")
    build = root / "build"
    ignored = shutil.ignore_patterns("__pycache__")
    for copied in instructions("COPY"):
        if copied.startswith("--from"):
            continue
        *sources, target = copied.split()
        for source in sources:
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, build / target, ignore=ignored)
            else:
                (build / target).mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / source, build / target)
    (command, _) = instructions("RUN")
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        ["/bin/sh", "-e", "-c", command.replace("/opt/", f"{root}/opt/")],
        cwd=build,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    shutil.rmtree(build)  # only /opt/threadkeep goes into the image
    shutil.rmtree(root / "opt/build")
    return root


@contextmanager
def started(
    image: Path, command: Sequence[str], folder: Path, variables: dict[str, str], ends_with: int = 0
) -> Iterator[str]:
    """A command of the image, on a port of this machine alone; answers the address."""
    port = str(free_port())
    here = [{"0.0.0.0": "127.0.0.1", PORT: port}.get(part, part) for part in command]
    program = image / "opt/threadkeep/bin" / here[0]
    with subprocess.Popen(
        [program, *here[1:]], cwd=folder, env={"PATH": os.environ["PATH"], **variables}, stderr=subprocess.PIPE
    ) as process:
        try:
            address = f"http://127.0.0.1:{port}"
            deadline = time.monotonic() + 60
            while True:
                assert process.poll() is None, process.stderr and process.stderr.read()
                try:
                    httpx.get(f"{address}/api/ready").raise_for_status()
                    break
                except httpx.HTTPError:
                    assert time.monotonic() < deadline
                    time.sleep(0.05)
            yield address
        finally:
            process.terminate()
            process.communicate(timeout=60)
        assert process.returncode == ends_with


def test_the_image_serves_by_its_command_and_its_check_of_health_finds_it(image: Path, tmp_path: Path) -> None:
    check, command = (json.loads(each) for each in instructions("CMD"))
    with started(image, command, tmp_path, {**VARIABLES}) as address:
        created = httpx.post(f"{address}{API}", json={}, headers=as_user("ada"))
        assert created.status_code == 201
        port = address.rpartition(":")[2]
        program = image / "opt/threadkeep/bin" / check[0]
        healthy = [program, *(part.replace(PORT, port) for part in check[1:])]
        assert subprocess.run(healthy, check=False, timeout=20).returncode == 0
        sick = [program, *(part.replace(PORT, str(free_port())) for part in check[1:])]
        assert subprocess.run(sick, check=False, timeout=20, stderr=subprocess.DEVNULL).returncode != 0
    assert [path.name for path in tmp_path.iterdir()] == ["threadkeep.sqlite"]


def test_what_is_installed_serves_and_needs_nothing_else_of_the_machine(image: Path, tmp_path: Path) -> None:
    """The image has the wheel and what requirements/server.txt pins, as has whoever installs it without a container."""
    command = [image / "opt/threadkeep/bin/threadkeep", "serve", "--port=0", "--workers=2", "--dev-user=ada"]
    with subprocess.Popen(
        command, cwd=tmp_path, env={"PATH": ""}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().split()[1]
            created = httpx.post(f"{address}{API}", json={"title": "Ada"})
            assert created.status_code == 201
            assert len(httpx.get(f"{address}{API}").json()["conversations"]) == 1
        finally:
            process.terminate()
        _, log = process.communicate(timeout=60)
    assert process.returncode == 0, log
    assert [path.name for path in tmp_path.iterdir()] == ["threadkeep.sqlite"]


def test_every_base_image_can_be_named_by_its_digest_and_the_documents_say_how() -> None:
    (default,) = re.findall(r"^ARG PYTHON_IMAGE=(\S+)$", DOCKERFILE, re.MULTILINE)
    images = {each.partition(" AS ")[0] for each in instructions("FROM")}
    assert images == {"${PYTHON_IMAGE}"}
    postgres = re.fullmatch(r"\$\{POSTGRES_IMAGE:-(.*)\}", services()["postgres"]["image"])
    assert postgres is not None
    assert services()["threadkeep"]["build"]["args"] == {"PYTHON_IMAGE": f"${{PYTHON_IMAGE:-{default}}}"}
    told = (ROOT / "docs/server.md").read_text()
    assert f"PYTHON_IMAGE={default}@sha256:… POSTGRES_IMAGE={postgres[1]}@sha256:… docker compose" in told
    assert f"--build-arg PYTHON_IMAGE={default}@sha256:…" in told


def test_the_image_is_not_run_by_root_and_holds_no_tools_of_the_build(image: Path) -> None:
    (user,) = instructions("USER")
    assert int(user) > 0
    assert f"--uid {user} " in instructions("RUN")[1]
    assert not list(image.rglob("uv-build*"))
    assert not list(image.rglob("pip"))
    assert not list(image.rglob("entry.py"))


def test_only_what_the_build_copies_is_sent_to_it() -> None:
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {
        source.rstrip("/") for each in instructions("COPY") if "--from" not in each for source in each.split()[:-1]
    }
    assert sent == copied


# Compose and Kubernetes


def test_the_command_of_compose_runs_and_every_variable_is_a_setting(image: Path, tmp_path: Path) -> None:
    service = services()["threadkeep"]
    assert set(service["environment"]) <= SETTINGS
    variables = {
        **{name: value for name, value in service["environment"].items() if not value.startswith("${")},
        **VARIABLES,
        "DATABASE_URL": new_url(),
    }
    with started(image, service["command"], tmp_path, variables) as address:
        assert httpx.get(f"{address}{API}").status_code == 401
        assert httpx.get(f"{address}/api/ready").json()["store"] == "postgres"
        assert httpx.post(f"{address}{API}", json={}, headers=as_user("ada")).status_code == 201
    assert list(tmp_path.iterdir()) == []
    assert int(service["stop_grace_period"].rstrip("s")) > GRACE_SECONDS
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    database = services()["postgres"]
    assert service["environment"]["DATABASE_URL"] == (
        f"postgresql://{database['environment']['POSTGRES_USER']}:{database['environment']['POSTGRES_PASSWORD']}"
        f"@postgres:5432/{database['environment']['POSTGRES_DB']}"
    )


def test_the_command_of_kubernetes_runs_and_its_probes_are_answered(image: Path, tmp_path: Path) -> None:
    pod = manifests()["Deployment"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert {each["name"] for each in container["env"]} <= SETTINGS
    variables = {each["name"]: each["value"] for each in container["env"]}
    with started(image, container["args"], tmp_path, {**variables, "DATABASE_URL": new_url()}) as address:
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            asked = container[probe]["httpGet"]
            assert asked["port"] == container["ports"][0]["name"]
            assert httpx.get(f"{address}{asked['path']}").status_code == 200
        assert "threadkeep_requests_total" in httpx.get(f"{address}/metrics").text
    assert container["readinessProbe"]["httpGet"]["path"] == READY_PATH
    assert shutil.which(container["lifecycle"]["preStop"]["exec"]["command"][0])


def test_kubernetes_waits_for_a_stop_and_runs_the_user_of_the_image() -> None:
    pod = manifests()["Deployment"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    pause = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod["terminationGracePeriodSeconds"] > GRACE_SECONDS + pause
    assert [str(pod["securityContext"]["runAsUser"])] == instructions("USER")
    assert str(container["ports"][0]["containerPort"]) == PORT == instructions("EXPOSE")[0]
    labels = manifests()["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert manifests()["Service"]["spec"]["selector"].items() <= labels.items()
    assert manifests()["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"].items() <= labels.items()


# Vercel


def test_the_application_for_vercel_serves_where_nobody_says_when_it_starts(image: Path, tmp_path: Path) -> None:
    configuration = json.loads((ROOT / "vercel.json").read_text())
    (function,) = configuration["functions"]
    assert configuration["rewrites"] == [{"source": "/(.*)", "destination": f"/{function.removesuffix('.py')}"}]
    shutil.copy(ROOT / function, tmp_path / "index.py")
    command = shlex.split(f"uvicorn index:app --lifespan off --host 127.0.0.1 --port {PORT}")
    with started(image, command, tmp_path, {**VARIABLES, "DATABASE_URL": new_url()}, -signal.SIGTERM) as address:
        created = httpx.post(f"{address}{API}", json={}, headers=as_user("ada"))
        assert created.status_code == 201
        assert httpx.get(f"{address}/docs").status_code == 200
