"""Text as people read and write it: a terminal in English or Japanese, and the typesetting of mathematics.

Never here: what is said of a build, which each command says itself.
"""
