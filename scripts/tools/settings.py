"""The settings that src/threadkeep/settings.py declares: read, not imported, since that needs msgspec."""

import ast
from dataclasses import dataclass
from pathlib import Path

from tools.checkout import ROOT


@dataclass(frozen=True)
class Setting:
    """What the scripts have to know of a setting."""

    names: tuple[str, ...]
    """What it is read under; the first is the one to use."""
    privacy: str
    """`public`, `hidden` (never shown, and may be committed) or `secret`."""


def declared_settings(root: Path = ROOT) -> dict[str, Setting]:
    """Every setting of a checkout, by its field."""
    module = ast.parse((root / "src/threadkeep/settings.py").read_text())
    (settings,) = [each for each in module.body if isinstance(each, ast.ClassDef) and each.name == "Settings"]
    found = {}
    for field in settings.body:
        if isinstance(field, ast.AnnAssign):
            for node in ast.walk(field.annotation):
                if isinstance(node, ast.Call) and ast.unparse(node.func) == "Setting":
                    given = {keyword.arg: ast.literal_eval(keyword.value) for keyword in node.keywords}
                    found[ast.unparse(field.target)] = Setting(given["names"], given["privacy"])
    return found
