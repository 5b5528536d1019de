"""A graph as people build them: a channel kept as deltas, two tasks at once, a question to a person, and an ending."""

import operator
from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypedDict

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langgraph.channels.delta import DeltaChannel
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import interrupt

Graph = CompiledStateGraph[Any, Any, Any, Any]


def joined(kept: list[str], written: Sequence[list[str]]) -> list[str]:
    """What a channel of deltas has after some writes."""
    return [*kept, *(line for lines in written for line in lines)]


class State(TypedDict, total=False):
    """What the graph knows."""

    topic: str
    messages: Annotated[list[BaseMessage], add_messages]
    notes: Annotated[list[str], DeltaChannel(joined, snapshot_frequency=3)]
    found: Annotated[list[str], operator.add]
    answer: str
    draft: dict[str, Any]


def build(saver: BaseCheckpointSaver[Any], reached: Callable[[str], None] = lambda node: None) -> Graph:
    """The graph, over a checkpointer."""
    return builder(reached).compile(checkpointer=saver)


def builder(reached: Callable[[str], None] = lambda node: None) -> StateGraph[State]:
    """The graph. `reached` is called by each node as it begins, with its name."""

    def plan(state: State) -> dict[str, Any]:
        reached("plan")
        return {"notes": [f"plan {state['topic']}"], "messages": [HumanMessage(state["topic"], id="question")]}

    def search(state: State) -> dict[str, Any]:
        reached("search")
        return {"found": ["a book"], "notes": ["searched"]}

    def recall(state: State) -> dict[str, Any]:
        reached("recall")
        return {"found": ["a memory"], "notes": ["recalled"]}

    def ask(state: State) -> dict[str, Any]:
        reached("ask")
        return {"answer": interrupt({"which": state["found"]}), "notes": ["asked"]}

    def write(state: State) -> dict[str, Any]:
        reached("write")
        return {"draft": {"title": state["topic"], "from": state["answer"], "body": "long " * 100}, "notes": ["wrote"]}

    def end(state: State) -> dict[str, Any]:
        reached("end")
        text = f"{state['draft']['title']} from {state['answer']}"
        return {"messages": [AIMessage(text, id="answer")], "notes": ["ended"]}

    graph = StateGraph(State)
    for node in (plan, search, recall, ask, write, end):
        graph.add_node(node.__name__, node)
    graph.add_edge(START, "plan")
    graph.add_edge("plan", "search")
    graph.add_edge("plan", "recall")
    graph.add_edge(["search", "recall"], "ask")
    graph.add_edge("ask", "write")
    graph.add_edge("write", "end")
    graph.add_edge("end", END)
    return graph


def plain(state: dict[str, Any]) -> dict[str, Any]:
    """What the graph knows, to compare."""
    return {**state, "messages": [(message.type, message.content, message.id) for message in state.get("messages", [])]}
