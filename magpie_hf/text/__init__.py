"""What a person reads on a terminal: English or Japanese, laid out in its columns.

Never here: what is said of a build, which each command says itself.
"""
