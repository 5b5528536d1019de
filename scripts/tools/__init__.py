"""What the scripts are made of: the standard library, and of `src/` what needs no more, unless they install more first.

Of `src/` that is `threadkeep.storage.backends`: the objects of the back ends.
"""

import sys
from os.path import abspath, dirname

# Said here, once, because every script imports this package before anything that an older Python cannot read.
if sys.version_info < (3, 11):  # noqa: UP036
    running = ".".join(str(number) for number in sys.version_info[:3])
    sys.exit("Python 3.11 or newer is needed, and this is " + running + ": run the script with a newer python3.")

sys.path.append(dirname(dirname(dirname(abspath(__file__)))) + "/src")
