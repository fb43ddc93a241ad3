"""What the commands exit with; 130 and 143 are of those that a signal stopped (`stopping`)."""

OK, FAILED, BAD_INPUT, INCOMPLETE = 0, 1, 2, 3  # INCOMPLETE: done, but a domain is empty
