"""What each kind of server can do, and the line for what it cannot.

Not here: its requests and answers (wire.py, other_wires.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from magpie_hf.errors import BadInput
from magpie_hf.models.model import Model
from magpie_hf.models.sampling import Sampling

# Of a model's settings: how its servers answer, where that changes the rows. As JSON, like all settings.
TEXTS = ("prompts", '"text"')  # prompts go as text, so the server's ids may differ
SEEDLESS = ("seed", '"none"')  # the same request gets another answer each time


@dataclass(frozen=True)
class Kind:
    """A kind of servers.

    title: its name in sentences. owner: who "owns" its models at /v1/models; None for anybody. start: the
    command that starts one, before the model. logprobs: whether it tells log-probabilities by token id.
    schema: whether it follows a JSON schema. allowed: whether it samples from given tokens alone. shaped:
    whether it knows top_k, min_p and a repetition penalty. named: whether requests name the model. health:
    where it is asked for its health. longer: its option for a longer context.
    """

    name: str
    title: str
    owner: str | None
    start: str
    logprobs: bool = True
    schema: bool = True
    allowed: bool = False
    shaped: bool = True
    named: bool = True
    health: str = "/health"
    longer: str = "--max-model-len"

    def check(self, sampling: Sampling) -> None:
        """Raises BadInput where servers of this kind cannot sample so."""
        if sampling.logprobs and not self.logprobs:
            raise BadInput(
                f"servers of the kind {self.name} tell no log-probabilities by token id, so no judge can"
                " score; give --scorer with a reward model on a vLLM server, or servers of another kind"
            )
        if sampling.schema and not self.schema:
            raise BadInput(
                f"servers of the kind {self.name} follow no JSON schema, so no tagger can label; give"
                " --tagger none, or servers of another kind"
            )
        if sampling.allowed_token_ids and not self.allowed:
            raise BadInput(
                f"servers of the kind {self.name} sample from no given tokens, so no first token can be"
                " sampled apart; leave out --first-token-temperature, or give vLLM servers"
            )
        if self.shaped:
            return
        neutral = {"top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0}
        for name, value in neutral.items():
            if (given := getattr(sampling, name)) != value:
                raise BadInput(
                    f"{name} is {given:g}, and servers of the kind {self.name} know temperature and top_p"
                    " alone; give --sampling original, or servers of another kind"
                )


KINDS: Mapping[str, Kind] = {
    one.name: one
    for one in (
        Kind("vllm", "vLLM", "vllm", "vllm serve", allowed=True),
        Kind(
            "sglang",
            "SGLang",
            "sglang",
            "python -m sglang.launch_server --model-path",
            named=False,
            longer="--context-length",
        ),
        Kind(
            "llama.cpp",
            "llama.cpp",
            "llamacpp",
            "llama-server --alias",
            longer="--ctx-size (for each of its slots)",
        ),
        Kind(
            "openai",
            "OpenAI-compatible",
            None,
            "the name",
            logprobs=False,
            schema=False,
            shaped=False,
            health="/v1/models",
        ),
    )
}


def kind_of(name: str) -> Kind:
    """The kind of this name. Raises BadInput for none."""
    if name not in KINDS:
        raise BadInput(f"{name!r} is no kind of servers; give one of {', '.join(KINDS)}")
    return KINDS[name]


def marks_of(model: Model) -> frozenset[tuple[str, str]]:
    """What the model's settings say of the servers that answer for it."""
    return frozenset(one for one in model.settings if one[0] in ("prompts", "seed", "gguf"))
