"""LangGraph's conformance kit for checkpointers, through the adapter in Python."""

from typing import Any

from tools.checkout import ROOT
from tools.local.install import Node, install_suites
from tools.suites.suite import STORES, Outcome, Suite, Target, pinned

_PACKAGE = "langgraph-checkpoint-conformance"


class LangGraph(Suite):
    """`langgraph-checkpoint-conformance` from PyPI."""

    name = "langgraph"
    stores = STORES

    @property
    def title(self) -> str:
        return f"LangGraph's kit for checkpointers, {_PACKAGE} {pinned(_PACKAGE)}"

    def install(self, node: Node) -> None:
        install_suites()

    def run(self, target: Target) -> Outcome:
        found: dict[str, Any] = self.result(target, [install_suites(), ROOT / "tests/suites/langgraph/run_kit.py"])
        return Outcome(found["passed"], found["failures"])


SUITES = (LangGraph(),)
