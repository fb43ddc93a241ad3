"""The commands of `magpie-hf`, one a module: `add` adds it to the command line, `run` runs it and returns the exit code."""
