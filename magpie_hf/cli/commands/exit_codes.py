"""The exit codes of the commands.

Not here: 130 and 143, of commands that a signal stopped (run/interrupts.py).
"""

OK, FAILED, BAD_INPUT, INCOMPLETE = 0, 1, 2, 3  # INCOMPLETE: done, but a train split is empty
