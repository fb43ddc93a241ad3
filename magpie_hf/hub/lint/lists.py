"""The values that the Hub allows in a dataset card's metadata, list by list, as of autumn 2026.

Not here: licences, and checking a card.
"""

from __future__ import annotations

import json
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

ANNOTATIONS_CREATORS = (
    "found",
    "crowdsourced",
    "expert-generated",
    "machine-generated",
    "no-annotation",
    "other",
)
LANGUAGE_CREATORS = ("found", "crowdsourced", "expert-generated", "machine-generated", "other")
MULTILINGUALITY = ("monolingual", "multilingual", "translation", "other")
SOURCES = ("original", "extended")  # or extended|<dataset>

TASKS = frozenset(
    # language
    "text-classification token-classification table-question-answering question-answering"
    " zero-shot-classification translation summarization feature-extraction text-generation"
    " text2text-generation fill-mask sentence-similarity table-to-text multiple-choice text-ranking"
    " text-retrieval "
    # sound
    "text-to-speech text-to-audio automatic-speech-recognition audio-to-audio audio-classification"
    " voice-activity-detection "
    # pictures
    "depth-estimation image-classification object-detection image-segmentation text-to-image image-to-text"
    " image-to-image image-to-video unconditional-image-generation video-classification text-to-video"
    " zero-shot-image-classification mask-generation zero-shot-object-detection text-to-3d image-to-3d"
    " image-feature-extraction keypoint-detection video-to-video "
    # several kinds
    "audio-text-to-text image-text-to-text visual-question-answering document-question-answering"
    " video-text-to-text visual-document-retrieval any-to-any image-text-to-image image-text-to-video "
    # tables, agents and the rest
    "tabular-classification tabular-regression tabular-to-text time-series-forecasting reinforcement-learning"
    " robotics graph-ml other".split()
)


@lru_cache(maxsize=1)
def languages() -> frozenset[str]:
    """The codes that a card's `language` may hold: ISO 639-1 and 639-3, "code" and "multilingual".

    They are read from the list in `datasets`, without importing it. Raises FileNotFoundError without it.
    """
    spec = find_spec("datasets")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError("datasets is not installed, whose list of languages is needed")
    file = Path(spec.submodule_search_locations[0], "utils", "resources", "languages.json")
    return frozenset(json.loads(file.read_text(encoding="utf-8"))) | {"multilingual"}
