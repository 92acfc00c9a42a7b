"""What the program ends with: a public interface."""

DONE, FAILED, WRONG_USE, UNANSWERED, INTERRUPTED = 0, 1, 2, 3, 130
