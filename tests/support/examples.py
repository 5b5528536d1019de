"""How many examples Hypothesis tries."""

from hypothesis import settings


def examples(nightly: int) -> int:
    """So many by night, and as much fewer otherwise as the profile has it."""
    return max(1, nightly * settings.default.max_examples // 100)  # type: ignore[union-attr]
