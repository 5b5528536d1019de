"""What a model is sent is what the SDKs of the providers take, by their own types."""

import json
import random
import subprocess
from typing import Any

from support.model_input import DIALECTS, FORMS, Stored, history_in, seen
from tools.checkout import ROOT
from tools.local.install import install, install_sdks

SDKS = ROOT / "tests" / "sdks"
_STEPS: list[Any] = [
    ("system", "Be brief."),
    ("user", "q0"),
    ("calls", "t0", ["c1", "c2"]),
    ("calls", "t1", ["c3"]),
    ("assistant", "a0"),
    ("user", "q1"),
    ("calls", "t2", ["c4"]),
    ("assistant", "a1"),
]


def histories() -> list[list[Stored]]:
    """What each SDK makes, as it is, and shuffled, cut and doubled."""
    kept = [json.loads(path.read_text()) for path in sorted((ROOT / "tests/data/sdks").glob("*.json"))]
    made = kept + [history_in(form, _STEPS) for form in FORMS]
    draw = random.Random(1)
    return made + [draw.choices(each, k=draw.randint(1, 2 * len(each))) for each in made for _ in range(20)]


def test_the_sdks_take_what_a_model_is_sent() -> None:
    lines = [
        json.dumps({"dialect": dialect, **seen(stored, dialect)["written"]})
        for stored in histories()
        for dialect in DIALECTS
    ]
    wrong = json.dumps(
        {"dialect": "anthropic", "messages": [{"role": "user", "content": [{"type": "text"}]}], "system": []}
    )
    python = install_sdks(install(development=True))
    done = subprocess.run(
        [python, "model_input.py"],
        cwd=SDKS,
        input="\n".join([*lines, wrong]),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = [line for line in done.stdout.splitlines() if line.partition(":")[0].isdecimal()]
    assert [line.partition(":")[0] for line in told] == [str(len(lines))], done.stdout[:3_000]
