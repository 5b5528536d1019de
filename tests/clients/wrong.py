"""What must not pass the type checker: each line that is wrong ends with the error that says so."""

from threadkeep_client import AuthenticatedClient
from threadkeep_client.api.conversations import create_conversation, list_conversations, update_conversation
from threadkeep_client.models import ConversationChanges, ErrorCode, NewConversation, NewMessage, Role, TextBlock

client = AuthenticatedClient(base_url="http://127.0.0.1", token="tk_key")
text = TextBlock(type_="text", text="Hello")

NewConversation(name="Title")  # call-arg
NewConversation(title=3)  # arg-type
NewMessage(role="user", content=[text])  # arg-type
NewMessage(role=Role.DEVELOPERS, content=[text])  # attr-defined
NewMessage(role=Role.USER)  # call-arg
NewMessage(role=Role.USER, contents=[text], content=[text])  # call-arg
TextBlock(type_="texts", text="Hello")  # arg-type
TextBlock(type_="text", text=None)  # arg-type
ConversationChanges(archived=True)  # call-arg
create_conversation.sync(body=NewConversation())  # call-arg
list_conversations.sync(client=client, limit="20")  # arg-type
edited = update_conversation.sync("01ARZ3NDEKTSV4RRFFQ69G5FAV", client=client, body=ConversationChanges())
print(edited.title)  # union-attr
print(ErrorCode.MISSING)  # attr-defined
