"""What clouds ask for a GPU and an hour.

Not here: what a GPU can do (models/gpus.py).
"""

from __future__ import annotations

DOLLARS = {  # least and most, a rough range of what clouds asked in 2026; --price is more exact
    "V100 32 GB": (0.4, 3.0),
    "A100 40 GB": (0.9, 3.0),
    "A100 80 GB": (1.2, 4.0),
    "RTX 4090 24 GB": (0.3, 0.8),
    "L40S 48 GB": (0.8, 2.0),
    "H100 80 GB": (2.0, 6.0),
    "H200 141 GB": (2.5, 7.0),
    "B200 180 GB": (4.0, 10.0),
    "RTX 5090 32 GB": (0.5, 1.2),
}
