"""The log: a line of JSON for each record, on standard error."""

import logging
import sys
from datetime import UTC, datetime

import msgspec


class CutShort(Exception):
    """The answer could not be made whole, for a reason that was to be expected and is in the log already.

    It goes on to the server beneath, since whoever ends an answer otherwise may make it look complete.
    """


class JsonFormatter(logging.Formatter):
    """A record as a line of JSON: when, how grave, from where, what; then the fields that the record has of its own."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line).decode()


def write_logs() -> None:
    """Write everything that is logged in this process, by us and by the server beneath, as lines of JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    handler.addFilter(_is_news)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    logging.captureWarnings(capture=True)


def _is_news(record: logging.LogRecord) -> bool:
    """Whether it tells something new: the server beneath takes every exception for a defect of ours, and shows it."""
    return record.exc_info is None or not isinstance(record.exc_info[1], CutShort)
