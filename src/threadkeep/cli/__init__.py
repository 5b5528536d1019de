"""The command `threadkeep`."""

import argparse
from collections.abc import Callable
from typing import Never

from threadkeep import __version__
from threadkeep.cli import conformance, serve


def main() -> Never:
    """Run a command, and exit as it says, or with 2 for a wrong flag."""
    parser = argparse.ArgumentParser(prog="threadkeep", description="Keeps AI conversations and the state of agents.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True)
    for command in (serve, conformance):
        command.add_to(commands)
    arguments = parser.parse_args()
    run: Callable[[argparse.Namespace], Never] = arguments.run
    run(arguments)
