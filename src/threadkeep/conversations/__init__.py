"""Conversations and their messages: what is kept of them, the rules of every back end, and the contract of a store."""
