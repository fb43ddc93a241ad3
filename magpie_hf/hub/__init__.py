"""From the folder of a build to the Hub in one commit, checked before the upload.

Never here: making or changing rows.
"""
