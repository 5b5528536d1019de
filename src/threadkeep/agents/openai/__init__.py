"""OpenAI's Conversations API over journals, for clients that speak it: each conversation is one, each item an entry."""
