"""The exit codes of the command line; scripts and agents depend on them."""

DONE = 0
FAILED = 1  # attempted and failed: the report says what was done, what was not, and how to go on
INVALID = 2  # bad usage or invalid input: nothing was touched
UNUSABLE = 3  # dependency, host or token missing or refused: nothing was touched
REFUSED = 4  # locked by another run, or a safety rule of the mode
PENDING = 10  # plan --exit-code: changes are pending
INTERRUPTED = 130  # Ctrl-C, after the run was stopped cleanly and recorded
