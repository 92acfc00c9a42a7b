"""What is counted about a conversation's turns, each counter on its own, and the planted transcripts that test them."""
