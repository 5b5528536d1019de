"""wrangler as the project pins it: how it is called, and kept from asking, reporting and looking for a newer one."""

from pathlib import Path

from toolbox.install import Node, node_packages


def command(node: Node, *node_options: str) -> list[str | Path]:
    """The beginning of every call of wrangler."""
    # Its own bin/wrangler.js only checks Node's version, and starts this in one more process.
    return [node.program, "--no-warnings", *node_options, node_packages() / "wrangler" / "wrangler-dist" / "cli.js"]


def environment(node: Node, folder: Path) -> dict[str, str]:
    """The environment of every call: this process's own, and what keeps wrangler to itself, with files in `folder`."""
    return {
        **node.environment(),
        "CI": "true",  # nobody is there to be asked
        "FORCE_COLOR": "0",
        "WRANGLER_HIDE_BANNER": "true",  # and with it the search for a newer wrangler
        "WRANGLER_SEND_METRICS": "false",
        "WRANGLER_SEND_ERROR_REPORTS": "false",
        "WRANGLER_WRITE_LOGS": "false",
        "CLOUDFLARE_CF_FETCH_ENABLED": "false",  # the example of request.cf, fetched from afar
        "CLOUDFLARE_LOAD_DEV_VARS_FROM_DOT_ENV": "false",
        "CLOUDFLARE_DEV_REGISTRY_PATH": str(folder / "registry"),  # no Worker meets another
        "WRANGLER_REGISTRY_PATH": str(folder / "registry"),
    }
