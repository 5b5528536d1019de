"""Runs suites against stores, one after the other, and says what became of each."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tools.checkout import Problem, say
from tools.exit_codes import Code
from tools.local.install import install
from tools.suites.stores import running
from tools.suites.suite import Outcome, Suite


def pairs(chosen: Sequence[Suite], stores: Sequence[str]) -> dict[str, list[Suite]]:
    """What is to be run against each store. Raises a Problem where a suite cannot be run against any."""
    for suite in chosen:
        if not set(stores) & set(suite.stores):
            offered = ", ".join(suite.stores)
            raise Problem(
                f"{suite.name} is not for the store {', '.join(stores)}. Run it with --store {offered}",
                Code.WRONG_VALUE,
            )
    found = {store: [suite for suite in chosen if store in suite.stores] for store in stores}
    return {store: those for store, those in found.items() if those}


def run(plan: Mapping[str, Sequence[Suite]], folder: Path) -> dict[tuple[str, str], Outcome]:
    """Run all that is planned, and print a line for each suite on each store."""
    node = install(development=True)
    for suite in dict.fromkeys(suite for those in plan.values() for suite in those):
        say(f"installing {suite.name} …")
        suite.install(node)
    outcomes: dict[tuple[str, str], Outcome] = {}
    for store, those in plan.items():
        with running(store, folder / store) as target:
            for suite in those:
                say(f"running {suite.name} on {store} …")
                began = time.monotonic()
                outcome = outcomes[suite.name, store] = suite.run(target)
                if not outcome.passed and not outcome.failures:
                    raise Problem(f"{suite.name} has run no test on {store}; {target.folder} may say why")
                print(f"{suite.name} on {store}: {outcome} ({time.monotonic() - began:.0f} s)", flush=True)
                for failure in outcome.failures:
                    print(f"  failed: {failure}", flush=True)
    return outcomes
