"""Arrow and parquet files on the disk, their checksums and the records of a build.

Never here: what a column means, and which stage makes it.
"""
