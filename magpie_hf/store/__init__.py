"""Arrow and parquet files on the disk, and what is known of their content.

Never here: what a column means, and who makes it.
"""
