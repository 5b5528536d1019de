"""What a setting is declared by, in `settings.py`, and how one is read."""

from collections.abc import Callable
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec
from msgspec import Struct

from threadkeep.errors import Unavailable


class Setting(Struct, frozen=True, kw_only=True):
    """Declares a setting: what it is called, what it is for, and who may see its value.

    Written as literals only: the scripts read these lines before anything is installed.
    """

    names: tuple[str, ...]
    """What it is read under; the first is the one to use."""
    about: str
    """What the README says that it is."""
    privacy: Literal["public", "hidden", "secret"]
    """`hidden` is never shown, and may stand in a file that is committed; `secret` may not."""
    binding: str | None = None
    """The one of the names that is a binding of a Worker, and not a variable."""
    deprecated: str | None = None
    """The one of the names that brings a warning."""
    note: str | None = None
    """What the README says about the default."""
    is_planned: bool = False
    """Whether it belongs to a back end that is still to come."""


class SettingType:
    """The type of a setting, which a text is converted to: one value, or several between commas."""

    def __init__(self, declared: Any) -> None:
        kind = get_args(declared)[0]
        self._collection = get_origin(kind) if get_origin(kind) in (tuple, frozenset) else None
        # Without the None of a setting that may be missing: msgspec would make one of the text "null", too.
        is_wrapped = self._collection is not None or NoneType in get_args(kind)
        self._item = get_args(kind)[0] if is_wrapped else declared

    def convert(self, text: str) -> Any:
        """Return what a text means. Raises _Misfit where it means nothing."""
        if self._collection is None:
            return self._convert_item(text)
        return self._collection(self._convert_item(item.strip()) for item in text.split(",") if item.strip())

    def _convert_item(self, text: str) -> Any:
        try:
            return msgspec.convert(text, self._item, strict=False)
        except msgspec.ValidationError:
            raise _Misfit(text) from None

    def allowed(self) -> str:
        """Say what a text may be."""
        kind, *metadata = get_args(self._item) if get_origin(self._item) is Annotated else [self._item]
        if kind is bool:
            return "true or false"
        if get_origin(kind) is Literal:
            allowed = f"one of {', '.join(get_args(kind))}"
            return allowed if self._collection is None else f"{allowed}, or several with commas between them"
        meta = metadata[0]
        allowed = meta.description or f"a whole number from {meta.ge} to {meta.le}"
        return allowed if self._collection is None else f"{allowed}, with commas between them"


class _Misfit(ValueError):
    """A text that is none of those that a setting may be, or one of its items."""


def find_texts(setting: Setting, get: Callable[[str], str | None]) -> dict[str, str]:
    """Find what a setting is set to, by name."""
    texts = {name: value.strip() for name in setting.names if (value := get(name)) and value.strip()}
    for name, text in texts.items():
        if not _is_utf_8(text):
            raise Unavailable(f"{name} is not in UTF-8.")
    return texts


def read_value(setting: Setting, kind: SettingType, texts: dict[str, str]) -> Any:
    """Return what the texts mean. Raises Unavailable where it is not the same, or nothing."""
    (name, text), *others = texts.items()
    is_shown = setting.privacy == "public"
    for other, other_text in others:
        if not _mean_the_same(kind, text, other_text):
            what = f"disagree: {text!r} and {other_text!r}" if is_shown else "have different values"
            raise Unavailable(f"{name} and {other} are two names of one setting and {what}. Set one of them.")
    try:
        return kind.convert(text)
    except _Misfit as misfit:
        wrong = repr(str(misfit)) if is_shown else "wrong"
        raise Unavailable(f"{name} is {wrong}; it may be {kind.allowed()}.") from None


def _mean_the_same(kind: SettingType, text: str, other: str) -> bool:
    try:
        return text == other or bool(kind.convert(text) == kind.convert(other))
    except _Misfit:
        return False


def _is_utf_8(value: str) -> bool:
    """Whether the bytes that Python has read as this are UTF-8; an environment may hold any."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
