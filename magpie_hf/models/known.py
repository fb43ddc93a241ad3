"""Known models: the six numbered ones and reward models, with the duties of their licences.

Not here: a model's files.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class KnownModel:
    """A numbered model.

    parameters: in billions.
    bytes_per_parameter: of the published weights.
    licence: its name in words.
    licence_id: the name in `licences.py` of the licence whose duty it is.
    link: where its text stands.
    duty: what the licence asks of outputs and of models trained on them.
    generation: what its generation_config.json says about sampling, for plans without a network.
    """

    number: int
    repository: str
    parameters: float
    bytes_per_parameter: float
    reasoning: bool
    licence: str
    licence_id: str
    link: str
    duty: str
    generation: tuple[tuple[str, float], ...] = ()

    @property
    def title(self) -> str:
        return f"model {self.number} ({self.repository})"

    @property
    def weight_gigabytes(self) -> float:
        return self.parameters * self.bytes_per_parameter


@dataclass(frozen=True)
class KnownScorer:
    """A reward model: its architecture, the longest problem and answer together in tokens, and its licence.

    The fields of the licence are those of a KnownModel. forbids: whether the licence forbids a use that
    preference datasets are made for, so that a build can warn before it starts.
    """

    repository: str
    architecture: str
    parameters: float
    context: int
    licence: str
    licence_id: str
    link: str
    duty: str
    forbids: bool = False

    @property
    def title(self) -> str:
        return f"reward model {self.repository}"

    @property
    def weight_gigabytes(self) -> float:
        return self.parameters * 2


_R1 = (("do_sample", True), ("temperature", 0.6), ("top_p", 0.95))
_MIT = "https://opensource.org/license/mit"
_APACHE = "https://www.apache.org/licenses/LICENSE-2.0"
_QWEN = "https://huggingface.co/Qwen/Qwen2.5-Math-72B-Instruct/blob/main/LICENSE"

KNOWN_MODELS: dict[int, KnownModel] = {
    model.number: model
    for model in (
        KnownModel(
            1,
            "deepseek-ai/DeepSeek-R1-Distill-Qwen-32B",
            32.8,
            2,
            True,
            "MIT",
            "mit",
            _MIT,
            "attribution",
            _R1,
        ),
        KnownModel(
            2,
            "deepseek-ai/DeepSeek-R1-Distill-Llama-70B",
            70.6,
            2,
            True,
            "MIT on top of the Llama 3.3 licence",
            "llama3.3",
            "https://www.llama.com/llama3_3/license/",
            'say "Built with Llama"; the name of a distributed model that was trained on the outputs begins'
            ' with "Llama"',
            _R1,
        ),
        KnownModel(
            3,
            "nvidia/DeepSeek-R1-0528-FP4",
            671,
            0.6,
            True,
            "MIT",
            "mit",
            _MIT,
            "attribution; read the quantiser's own terms",
            _R1,
        ),
        KnownModel(
            4,
            "google/gemma-3-27b-it",
            27.4,
            2,
            False,
            "Gemma terms",
            "gemma",
            "https://ai.google.dev/gemma/terms",
            "terms and prohibited-use policy travel with a model that was trained on the outputs",
            (("do_sample", True), ("top_k", 64), ("top_p", 0.95)),
        ),
        KnownModel(
            5,
            "Qwen/Qwen2.5-Math-72B-Instruct",
            72.7,
            2,
            False,
            "Qwen licence",
            "qwen",
            _QWEN,
            'a distributed model that was trained on the outputs shows "Built with Qwen" or'
            ' "Improved using Qwen"',
            (("do_sample", False),),
        ),
        KnownModel(
            6,
            "Qwen/Qwen2.5-Coder-32B-Instruct",
            32.8,
            2,
            False,
            "Apache-2.0",
            "apache-2.0",
            _APACHE,
            "attribution",
            (
                ("do_sample", True),
                ("repetition_penalty", 1.05),
                ("temperature", 0.7),
                ("top_p", 0.8),
                ("top_k", 20),
            ),
        ),
    )
}

ARMORM = "RLHFlow/ArmoRM-Llama3-8B-v0.1"
# Its licence asks for attribution only, so any model may be trained on pairs that it orders. The series'
# Llama model has slightly better figures on its card, but its licence asks that improved models are named
# "Llama".
DEFAULT_REWARD_MODEL = "Skywork/Skywork-Reward-V2-Qwen3-8B"

_QWEN_DUTY = (
    'a distributed model that was improved with the outputs shows "Built with Qwen" or "Improved using Qwen"'
)
KNOWN_SCORERS: dict[str, KnownScorer] = {
    scorer.repository: scorer
    for scorer in (
        KnownScorer(
            ARMORM,
            "LlamaForRewardModelWithGating",
            7.5,
            8192,
            "llama3",
            "llama3",
            "https://www.llama.com/llama3/license/",
            "its clause 1.b.v forbids using outputs, so also scores and pairs, to improve any language model"
            " other than Llama 3",
            forbids=True,
        ),
        KnownScorer(
            DEFAULT_REWARD_MODEL,
            "Qwen3ForSequenceClassification",
            8.2,
            40_960,
            "Apache-2.0",
            "apache-2.0",
            _APACHE,
            "attribution",
        ),
        KnownScorer(
            "Skywork/Skywork-Reward-V2-Llama-3.1-8B",
            "LlamaForSequenceClassification",
            7.5,
            131_072,
            "llama3.1",
            "llama3.1",
            "https://www.llama.com/llama3_1/license/",
            'say "Built with Llama"; the name of a distributed model that was improved with the outputs'
            ' begins with "Llama"',
        ),
        KnownScorer(
            "Qwen/Qwen2.5-Math-RM-72B",
            "Qwen2ForRewardModel",
            72.7,
            4096,
            "Qwen licence",
            "qwen",
            _QWEN,
            _QWEN_DUTY,
        ),
        KnownScorer(
            "Qwen/Qwen2.5-Math-PRM-7B",
            "Qwen2ForProcessRewardModel",
            7.6,
            4096,
            "Qwen licence",
            "qwen",
            _QWEN,
            _QWEN_DUTY,
        ),
    )
}


def known(name: str) -> KnownModel | KnownScorer | None:
    """The entry of a repository that is one of the six or a known reward model, else None."""
    numbered = next((model for model in KNOWN_MODELS.values() if model.repository == name), None)
    return numbered or KNOWN_SCORERS.get(name)
