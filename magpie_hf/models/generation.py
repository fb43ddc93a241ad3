"""What a model's own files say about how it is asked: the sampling of its answers, and whether it reasons.

Not here: the domains' own values, and asking.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from magpie_hf.errors import BadInput
from magpie_hf.models.known import KnownModel, known
from magpie_hf.models.model import Model
from magpie_hf.models.sampling import Sampling
from magpie_hf.models.switches import template_of, thinks

GENERATION_CONFIG = "generation_config.json"
VALUES = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty")
# Without sampling, as where do_sample is false, transformers uses none of these.
_SAMPLED = ("temperature", "top_p", "top_k", "min_p")
# The authors of R1 and QwQ ask for 0.5 to 0.7 and 0.95, against endless repetition.
LEAST_REASONING = 0.6
_LEAST = {"temperature": LEAST_REASONING, "top_p": 0.95}
_GREEDY = 0.01  # the temperature below which vLLM takes the likeliest token
_SWITCHES = ("enable_thinking", "reasoning_effort")  # names that chat templates have for whether to think

# Where a value comes from.
OF_MODEL, OF_DOMAIN, OF_OPTION, OF_ORIGINAL = "generation_config", "domain", "option", "original"
FLOOR = "reasoning floor"
NOT_GREEDY = "domain, as the generation_config is greedy"


def answer_sampling(
    config: Mapping[str, Any] | None,
    own: Sampling,
    *,
    name: str,
    reasoning: bool,
    varied: bool,
    kept: Mapping[str, str],
) -> tuple[Sampling, dict[str, str]]:
    """The sampling of a model's answers, and where each of VALUES comes from.

    config: the model's generation_config.json; None where it has none. own: the values for what it lacks.
    name: the model's, for messages. varied: whether answers to one prompt must differ, which greedy ones do
    not. kept: values that stay as in `own`, each with where it comes from. Raises BadInput for a value that
    is no sampling.
    """
    if kept.keys() >= set(VALUES):
        return own, {key: kept[key] for key in VALUES}
    found = _values(config or {}, name)
    changed: dict[str, Any] = {}
    origins = dict.fromkeys(VALUES, OF_DOMAIN)
    if _is_greedy(config or {}, found):
        found = {key: value for key, value in found.items() if key not in _SAMPLED}
        if varied:
            origins |= dict.fromkeys(_SAMPLED, NOT_GREEDY)
        else:
            found["temperature"] = 0.0
    for key, value in found.items():
        changed[key], origins[key] = value, OF_MODEL
    for key, least in _LEAST.items():
        if reasoning and changed.get(key, getattr(own, key)) < least:
            changed[key], origins[key] = least, FLOOR
    changed = {key: value for key, value in changed.items() if key not in kept}
    return replace(own, **changed), {**origins, **{key: kept[key] for key in VALUES if key in kept}}


def _values(config: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The sampling values that the file has; null is none."""
    found = {key: config[key] for key in VALUES if config.get(key) is not None}
    for key, value in found.items():
        try:
            Sampling(**{key: value})
        except BadInput as error:
            raise BadInput(f"generation_config.json of {name}: {error}") from error
    if not isinstance(config.get("do_sample"), bool | None):
        raise BadInput(
            f"generation_config.json of {name}: do_sample is {config['do_sample']!r}; give true or false"
        )
    return found


def _is_greedy(config: Mapping[str, Any], found: Mapping[str, Any]) -> bool:
    greedy = found.get("temperature", 1.0) < _GREEDY or found.get("top_k") == 1
    return greedy or config.get("do_sample") is False


def is_reasoning(model: Model) -> bool:
    """Whether a model thinks before it answers, by what is known of it or by its chat template.

    The template opens a thought in the assistant's turn, or has a switch for it. A value given to the switch
    goes before that.
    """
    if (switched := thinks(dict(model.chat_options))) is not None:
        return switched
    info = known(model.name)
    if isinstance(info, KnownModel):
        return info.reasoning
    template = template_of(model)
    turn = template.rpartition("add_generation_prompt")[2]
    return "<think>" in turn or any(switch in template for switch in _SWITCHES)
