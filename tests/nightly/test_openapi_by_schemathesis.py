"""What openapi.json says of the API is so: schemathesis asks the plain server what it allows, and what it does not."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from support.backends import server
from support.in_process import as_user
from support.routes import USER_ROUTES
from tools.local.install import install_schemathesis

SECONDS = 240
SETTINGS = Path(__file__).parent / "schemathesis.toml"
REFUSALS = Path(__file__).parent / "refusals.py"


@pytest.mark.parametrize("store", ["sqlite", "postgres"])
def test_the_api_answers_as_its_document_says(tmp_path: Path, store: str) -> None:
    program = install_schemathesis()
    headers = [f"--header={name}: {value}" for name, value in as_user("nightly").items()]
    with server(tmp_path / "state", store=store) as running:
        tried = subprocess.run(
            [
                *(program, "--config-file", SETTINGS, "run", f"{running.url}/openapi.json", "--checks=all", *headers),
                *(f"--max-time={SECONDS}", "--continue-on-failure", "--no-color"),
            ],
            cwd=tmp_path,
            env={**os.environ, "SCHEMATHESIS_HOOKS": str(REFUSALS)},
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS + 120,
        )
    assert tried.returncode == 0, tried.stdout[-20_000:] + tried.stderr
    assert len(USER_ROUTES) <= int(re.findall(r"Tested: (\d+)", tried.stdout)[0])
