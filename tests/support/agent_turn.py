"""A run of an agent with tools and a scripted model, in a process of its own that a test may kill."""

import asyncio
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from agents import Agent, RunConfig, Runner, function_tool
from agents.memory import Session
from agents.testing import ModelStep, ScriptedModel
from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage, ResponseOutputText

from threadkeep.adapters.openai_agents import ThreadkeepSession

TOOLS = ("look_up", "compare", "write_down")
ANSWER = "Monads are monoids."


def agent(reached: Callable[[str], None] = lambda tool: None) -> Agent[Any]:
    """An agent whose model calls each tool once, and then answers: it goes by what it has seen of the outputs.

    `reached` is called by each tool as it begins, with its name.
    """

    def tool_named(name: str) -> Any:
        def run(about: str) -> str:
            reached(name)
            return f"{name} of {about}"

        return function_tool(run, name_override=name, description_override=name)

    def decide(call: Any) -> ModelStep:
        done = {item["call_id"] for item in call.input if item.get("type") == "function_call_output"}
        following = next((name for name in TOOLS if f"call-{name}" not in done), None)
        return ModelStep(output=[_says(ANSWER) if following is None else _calls(following)])

    return Agent(
        name="scholar",
        model=ScriptedModel([ModelStep.respond(decide)] * 20),
        tools=[tool_named(name) for name in TOOLS],
    )


async def run(
    session: Session, given: str | list[Any], reached: Callable[[str], None] = lambda tool: None, *, streams: bool
) -> str:
    """Run the agent to its end; return what it answers."""
    config = RunConfig(tracing_disabled=True)
    if not streams:
        return str((await Runner.run(agent(reached), given, session=session, run_config=config)).final_output)
    result = Runner.run_streamed(agent(reached), given, session=session, run_config=config)
    async for _ in result.stream_events():
        pass
    return str(result.final_output)


def take_turn(turn: dict[str, Any], told: Connection) -> None:
    """Run the agent, and tell `stopped` where it has stopped and waits to be killed, or what it answers in the end.

    `where`, `key` and `session` are what the session needs, `given` is what the agent is given, empty to go on, and
    `streams` whether its answer is streamed. Each tool writes its name to the file `log`; in `stop_in` it stops.
    """

    def reached(tool: str) -> None:
        with Path(turn["log"]).open("a") as log:
            log.write(f"{tool}\n")
        if tool == turn.get("stop_in"):
            told.send("stopped")
            threading.Event().wait()

    session = ThreadkeepSession(turn["session"], turn["where"], key=turn["key"], user="alice")
    told.send(asyncio.run(run(session, turn.get("given", []), reached, streams=turn["streams"])))


def _calls(tool: str) -> ResponseFunctionToolCall:
    return ResponseFunctionToolCall(
        id=f"fc_{tool}", call_id=f"call-{tool}", type="function_call", name=tool, arguments='{"about": "monads"}'
    )


def _says(text: str) -> ResponseOutputMessage:
    part = ResponseOutputText(text=text, type="output_text", annotations=[], logprobs=[])
    return ResponseOutputMessage(id="msg_answer", type="message", role="assistant", content=[part], status="completed")


def add_for_ever(turn: dict[str, Any], told: Connection) -> None:
    """Add pairs of items to a session until somebody kills this, and tell the number of each pair that was kept."""

    async def add() -> None:
        session = ThreadkeepSession(turn["session"], turn["where"], key=turn["key"], user="alice")
        for number in range(1_000_000):
            pair: Any = [{"role": "user", "content": f"{turn['writer']} {number} {part}"} for part in "ab"]
            await session.add_items(pair)
            told.send(number)

    asyncio.run(add())
