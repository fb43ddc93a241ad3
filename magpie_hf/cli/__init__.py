"""The command line and the menu.

Never here: anything that a Python script could not do without it.
"""
