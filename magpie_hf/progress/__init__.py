"""What happens in a build, as events; who measures it, and the views that show it.

Never here: deciding anything.
"""
