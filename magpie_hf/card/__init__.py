"""The dataset card: numbers counted in the published files, and the words around them.

Never here: writing the dataset, and the Hub.
"""
