"""The terminal app: reads the record, sends commands to runs, and knows nothing else of the engine."""
