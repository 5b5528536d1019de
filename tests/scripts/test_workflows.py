"""The workflows of continuous integration: they are valid, run the scripts, and may do as little as they need."""

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tools.checkout import ROOT
from tools.suites.suite import STORES

WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
SECRETS = {"CLOUDFLARE_API_TOKEN", "CLOUDFLARE_ACCOUNT_ID", "CONVERSATIONS_D1_DATABASE_ID"}


def check(*files: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows"]
    return subprocess.run([*command, *files], check=False, capture_output=True, text=True, timeout=60)


def read(name: str) -> Any:
    return YAML(typ="safe").load(ROOT / ".github/workflows" / name)


def commands(job: Any) -> list[str]:
    return [step["run"] for step in job["steps"] if "run" in step]


def test_the_workflows_are_valid() -> None:
    assert [path.name for path in WORKFLOWS] == ["ci.yml", "deploy.yml", "nightly.yml"]
    checked = check(*WORKFLOWS)
    assert checked.returncode == 0, checked.stdout


def test_a_mistake_is_found(tmp_path: Path) -> None:
    broken = tmp_path / "broken.yml"
    broken.write_text(WORKFLOWS[0].read_text().replace("runs-on", "run-on"))
    assert check(broken).returncode != 0


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_by_commit_and_say_which_release_that_is(path: Path) -> None:
    uses = re.findall(r"uses: (?!\./)(.*)", path.read_text())
    assert uses
    for action in uses:
        assert re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40}  # v[0-9]+\.[0-9]+\.[0-9]+", action)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_only_reads_and_cannot_run_forever(path: Path) -> None:
    workflow = read(path.name)
    assert workflow["permissions"] == {"contents": "read"}
    assert "concurrency" in workflow
    for job in workflow["jobs"].values():
        assert "permissions" not in job
        if "steps" in job:
            assert job["timeout-minutes"] <= 30
            assert all(not step.get("with", {}).get("persist-credentials", False) for step in job["steps"])
            assert job["steps"][0]["with"] == {"persist-credentials": False}


def test_what_is_tested_is_what_people_test() -> None:
    workflow = read("ci.yml")
    assert {"push", "pull_request", "workflow_call"} <= set(workflow["on"])
    fast, tier = workflow["jobs"]["fast"], workflow["jobs"]["tier"]
    assert fast["strategy"]["matrix"] == {"python": ["3.11", "3.x"]}
    assert commands(tier) == ["scripts/test --tier ${{ matrix.tier }}"]
    run = {command.rpartition(" ")[2] for command in commands(fast)} | set(tier["strategy"]["matrix"]["tier"])
    assert run == set(ast.literal_eval(re.findall(r"^TIERS = (.*)$", (ROOT / "scripts/test").read_text(), re.M)[0]))
    assert "secrets." not in (ROOT / ".github/workflows/ci.yml").read_text()


def test_main_is_deployed_after_its_tests_and_only_that_step_sees_the_secrets() -> None:
    workflow = read("deploy.yml")
    assert workflow["on"] == {"push": {"branches": ["main"]}}
    assert workflow["jobs"]["test"] == {"uses": "./.github/workflows/ci.yml"}
    job = workflow["jobs"]["deploy"]
    assert job["needs"] == "test"
    assert job["environment"] == "production"
    assert commands(job) == ["scripts/deploy"]
    assert job["steps"][-1]["env"] == {name: f"${{{{ secrets.{name} }}}}" for name in SECRETS}
    assert (ROOT / ".github/workflows/deploy.yml").read_text().count("secrets.") == len(SECRETS)


def test_mistakes_are_put_in_every_night_and_no_night_sees_a_secret() -> None:
    workflow = read("nightly.yml")
    assert set(workflow["on"]) == {"schedule", "workflow_dispatch"}
    assert commands(workflow["jobs"]["mutations"]) == ["scripts/mutate"]
    assert commands(workflow["jobs"]["nightly"]) == ["scripts/test --tier nightly"]
    suites = workflow["jobs"]["suites"]
    assert commands(suites) == ["scripts/suites --store ${{ matrix.store }}"]
    assert suites["strategy"]["matrix"]["store"] == [*STORES]
    assert "secrets." not in (ROOT / ".github/workflows/nightly.yml").read_text()


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_script_that_is_run_is_there_and_may_be_run(path: Path) -> None:
    for job in read(path.name)["jobs"].values():
        for command in commands(job) if "steps" in job else ():
            assert os.access(ROOT / command.partition(" ")[0], os.X_OK)


def test_npm_calls_the_same_scripts() -> None:
    assert json.loads((ROOT / "package.json").read_text())["scripts"] == {
        "cf:setup-conversations": "scripts/setup",
        "cf:migrate-conversations": "scripts/migrate --remote",
        "cf:migrate-conversations:local": "scripts/migrate --local",
    }
