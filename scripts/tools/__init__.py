"""What the scripts are made of. Modules that need more than the standard library say so."""

import sys

# Said here, once, because every script imports this package before anything that an older Python cannot read.
if sys.version_info < (3, 11):  # noqa: UP036
    running = ".".join(str(number) for number in sys.version_info[:3])
    sys.exit("Python 3.11 or newer is needed, and this is " + running + ": run the script with a newer python3.")
