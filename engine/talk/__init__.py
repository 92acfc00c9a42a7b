"""Conversation: guests and their rules, seats, whose turn it is, what each seat sees, and when a talk is over."""
