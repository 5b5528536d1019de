"""Holds what a model is sent against the types of the SDKs: what their requests take.

`python model_input.py < LINES`, where each line is `{"dialect", "messages", "system"}`, prints why any is not taken.
"""

import json
import sys
from collections.abc import Callable
from typing import Any

from pydantic import TypeAdapter, ValidationError


def _checks() -> dict[str, Callable[[Any], Any]]:
    from anthropic.types import MessageParam, TextBlockParam
    from openai.types.chat import ChatCompletionMessageParam
    from openai.types.responses import ResponseInputParam

    types: dict[str, Any] = {
        "anthropic": list[MessageParam],
        "openai-chat": list[ChatCompletionMessageParam],
        "openai-responses": ResponseInputParam,
        "system": list[TextBlockParam],
    }
    return {name: TypeAdapter(type_).validate_python for name, type_ in types.items()}


def main() -> None:
    """Check each line."""
    checks = _checks()
    for number, line in enumerate(sys.stdin):
        sent = json.loads(line)
        try:
            # Items of OpenAI have iterables, which pydantic reads only when they are asked for: JSON asks for all.
            json.dumps(checks[sent["dialect"]](sent["messages"], extra="forbid"), default=list)
            checks["system"](sent["system"])
        except ValidationError as error:
            sys.stdout.write(f"{number}: {sent['dialect']}: {str(error)[:600]}\n{line[:600]}\n")


if __name__ == "__main__":
    main()
