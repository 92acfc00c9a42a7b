"""The command line: one file per group of commands, each imported when it is called, and nothing else with it.

stdout is data, stderr is narration. Exit codes: 0 done, 1 failed, 2 wrong use, 3 waiting for an answer nobody may
give, 130 interrupted.
"""
