"""Engines: token ids in, text out. Not imported here, so that importing the package stays light."""
