"""What is said of the operation that gives what a model is sent."""

from threadkeep.http.descriptions.operation import Operation

CONTEXT: dict[str, Operation] = {
    "get_context": Operation(
        tag="Messages",
        answers={200: "What to send to the model."},
        query="dialect=openai-chat",
        response={
            "messages": [
                {"role": "user", "content": "What is a monad?"},
                {"role": "assistant", "content": "A monoid in the category of endofunctors."},
            ],
            "repairs": [],
            "truncated": False,
        },
    ),
}
