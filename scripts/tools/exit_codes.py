"""The exit codes of the scripts, from which a program that calls them can tell why one failed."""

import enum


class Code(enum.IntEnum):
    """1 is anything else, and 2 is argparse's: a flag or a value that there is not."""

    WRONG_VALUE = 2
    CONFIGURATION_MISSING = 3
    CONFIGURATION_BROKEN = 4
    CONFIGURATION_READ_ONLY = 5
    OTHER_DATABASE = 6
    WRANGLER_MISSING = 7
    WRANGLER_TOO_OLD = 8
    NO_TOKEN = 10
    TOKEN_REFUSED = 11
    NO_ACCOUNT = 12
    NO_NETWORK = 13
    NO_ANSWER = 14
    CLOUDFLARE_FAILED = 15
    NOT_CLOUDFLARE = 16
    REQUEST_REFUSED = 17
    FILE_UNUSABLE = 20
    NOT_A_BACKUP = 21
    OTHER_SCHEMA = 22
    NOT_EMPTY = 23
