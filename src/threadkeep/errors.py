"""The few failures that a caller must expect.

    ThreadkeepError
      NotFound          not_found        no such thing, or not yours: the two look the same
      Conflict          conflict         the id is taken by something else
      Stale             stale            it changed since you looked
      Invalid           invalid          the request is wrong; `details.path` says where
      CursorExpired     cursor_expired   what it followed is no longer known; start again from 0
      TooLarge          too_large        over a limit that the message names
      Unauthenticated   unauthenticated  nobody knows who is asking
      Forbidden         forbidden        it is known who is asking, and they may not
      RateLimited       rate_limited     too many requests; try again later
      Unsupported       unsupported      this back end cannot, and never will as it is set up
      Unavailable       unavailable      the back end could not be reached, or is not set up; try again

`str(error)` is a sentence that is safe to show to whoever asked, and says what to do.
A foreign error (a driver's, a platform's) is turned into one of these where it enters, `raise … from error`.
Whatever is not in this tree is a defect of ours.
"""

from typing import Any, ClassVar


class ThreadkeepError(Exception):
    """Something expected went wrong.

    `code` is stable and for programs, `message` is for people, `details` are plain JSON values or None.
    """

    code: ClassVar[str]

    def __init__(self, message: str, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.details = details


class NotFound(ThreadkeepError):
    """There is no such thing for this user. Somebody else's looks exactly like one that never was."""

    code = "not_found"


class Conflict(ThreadkeepError):
    """The id is already taken: by other content, in another conversation, or by something deleted."""

    code = "conflict"


class Stale(ThreadkeepError):
    """The version or the message count is not what the caller expected. `details` hold what it is now."""

    code = "stale"


class Invalid(ThreadkeepError):
    """The request is wrong. `details["path"]` names the place, such as `messages[3].content[0].text`."""

    code = "invalid"

    def __init__(self, message: str, path: str = "", details: dict[str, Any] | None = None) -> None:
        super().__init__(message, {"path": path, **(details or {})} if path else details)
        self.path = path


class CursorExpired(ThreadkeepError):
    """A cursor of the changes is older than what is still known, or of another epoch. Start again from 0."""

    code = "cursor_expired"


class TooLarge(ThreadkeepError):
    """Something is over a limit; the message says which and what the limit is."""

    code = "too_large"


class Unauthenticated(ThreadkeepError):
    """The request does not say who is asking, or says it in a way that cannot be trusted."""

    code = "unauthenticated"


class Forbidden(ThreadkeepError):
    """It is known who is asking, and they may not do this."""

    code = "forbidden"


class RateLimited(ThreadkeepError):
    """Too many requests for now."""

    code = "rate_limited"


class Unsupported(ThreadkeepError):
    """This back end cannot do this, and trying again will not help."""

    code = "unsupported"


class Unavailable(ThreadkeepError):
    """The back end could not be reached, or none is set up. The message says which."""

    code = "unavailable"
