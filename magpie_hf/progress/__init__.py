"""What happens in a build, as events; the meters that measure it, and the views that show it.

Never here: deciding anything.
"""
