"""What people say of rows: their marks, how they are kept, and the precision that they give.

Never here: finding rows, dropping them, and how a browser or a terminal shows them.
"""
