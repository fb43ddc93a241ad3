"""A recipe as a YAML file: its groups and keys, reading it, and writing that of a build.

Never here: options of the command line by name, but for the one table of their places; what a recipe means.
"""
