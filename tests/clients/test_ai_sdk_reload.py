"""An app of the AI SDK whose page is reloaded in mid-answer: the answer is whole on two devices, once."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from support.backends import WORKERS, server, worker
from support.in_process import as_user
from threadkeep.ids import new_id
from tools.checkout import ROOT
from tools.local.install import install, install_sdks
from tools.local.lifecycle import LocalService

SDKS = ROOT / "tests" / "sdks"
SECONDS = 120


@pytest.mark.parametrize("store", ["sqlite", "postgres", *WORKERS])
def test_an_answer_is_whole_once_on_two_devices_though_one_is_reloaded_in_the_middle(
    store: str, tmp_path: Path
) -> None:
    running = worker(store, tmp_path / "state") if store in WORKERS else server(tmp_path / "state", store=store)
    with running:
        told = run(running, tmp_path)
    for page in told["early"].values():
        assert [message["text"] for message in page["messages"]] == ["Say sixty words.", told["stump"]]
    ids = [message["id"] for message in told["kept"]["messages"]]
    assert len(ids) == len(set(ids)) == 2
    for page in (told["after"], told["other"], told["again"]):
        assert page["status"] == "ready"
        assert page["messages"] == [
            {"id": ids[0], "role": "user", "text": "Say sixty words."},
            {"id": ids[1], "role": "assistant", "text": told["whole"]},
        ]
        assert told["whole"].startswith(page["streamed"])
    assert len(told["after"]["streamed"]) >= len(told["stump"])
    assert told["kept"]["drafts"] == []
    text = "".join(block.get("text", "") for block in told["kept"]["messages"][1]["content"])
    assert text == told["whole"]


def run(running: LocalService, tmp_path: Path) -> Any:
    """What the app tells that stands in tests/sdks."""
    node = install(development=True)
    install_sdks(node)
    lines = re.search(r"```js ai-sdk\n(.*?)```", (ROOT / "docs/shapes.md").read_text(), re.DOTALL)
    assert lines is not None
    mapping = tmp_path / "mapping.mjs"
    mapping.write_text(lines[1])
    told = subprocess.run(
        [node.program, "reload.mjs", running.url, mapping],
        cwd=SDKS,
        env={**os.environ, "THREADKEEP_HEADERS": json.dumps(as_user(f"user-{new_id()}"))},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert told.returncode == 0, f"{told.stderr}\n{running.log_path.read_text()[-5_000:]}"
    return json.loads(told.stdout)
