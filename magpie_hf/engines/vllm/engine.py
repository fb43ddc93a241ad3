"""VLLM: the spec of a vLLM engine, and the live one behind `complete()` and `rate()`.

Not here: prompts, and recovery when an engine dies.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Literal

from magpie_hf.engines.base import (
    CONTEXT_FULL,
    KILLED_ENGINE,
    Completion,
    Engine,
    Pooling,
    Rating,
    finite,
    resumable,
)
from magpie_hf.engines.vllm.arguments import Settings, keywords
from magpie_hf.engines.vllm.device import check_device, place
from magpie_hf.engines.vllm.llm_engines import AsyncEngine, InProcessEngine
from magpie_hf.engines.vllm.plugin import check_plugin
from magpie_hf.engines.vllm.recovery import Live, Recovering
from magpie_hf.engines.vllm.tokenizer import MODE
from magpie_hf.errors import BadInput, EngineError
from magpie_hf.models.model import config_of, longest
from magpie_hf.models.parallel import Parallelism
from magpie_hf.models.sampling import Sampling
from magpie_hf.models.weights import check_weights

# Most ids in vLLM's allowed_token_ids: its model runner on GPUs dies of more, so longer lists become a
# grammar
MOST_ALLOWED = 1024
# GiB; by default vLLM takes nine tenths of the memory, and fails where other processes hold more than a tenth
CPU_CACHE_GIGABYTES = 2.0
CPU_SEQUENCES = 256


@dataclass(frozen=True)
class VLLM(Engine):
    """A vLLM engine for one model.

    Every field but the model and the runner only says where and how fast it runs.

    runner: "generate" completes prompts, "pooling" rates them with a reward model or embeds them. The two
        kinds are different live engines, but a row's identity holds the model alone.
    form: "llm_engine" (LLMEngine in this process), "async_llm" (AsyncLLM) or "auto" (llm_engine on the CPU,
        async_llm elsewhere).
    context: the tokens of prompt and completion together that the engine has room for; None takes the model's
        limit. A longer request is an error, so that a small context never truncates a row.
    tensor_parallel_size, data_parallel_size: GPUs per engine, and engines side by side, among which vLLM
        spreads the requests; None is chosen by the machine's GPUs. If one engine dies, all are opened again.
    kv_cache_gigabytes: memory for each engine's cache; None takes 2 GiB on the CPU and leaves it to
        gpu_memory_utilization on GPUs.
    max_num_seqs: the most sequences at once, per engine; None takes 256 on the CPU, vLLM's choice on GPUs.
    speed: vLLM's own arguments that change no distribution, as names and JSON; they win over those of here.
    """

    runner: Literal["generate", "pooling"] = "generate"
    form: Literal["auto", "llm_engine", "async_llm"] = field(default="auto", compare=False)
    context: int | None = field(default=None, compare=False)
    tensor_parallel_size: int | None = field(default=1, compare=False)
    data_parallel_size: int | None = field(default=1, compare=False)
    gpu_memory_utilization: float = field(default=0.9, compare=False)
    kv_cache_gigabytes: float | None = field(default=None, compare=False)
    max_num_seqs: int | None = field(default=None, compare=False)
    speed: Settings = field(default=(), compare=False)

    @property
    def max_length(self) -> int | None:
        return longest(self.model)

    @property
    def rates(self) -> bool:
        return self.runner == "pooling"

    def submit(self, prompt: Sequence[int], sampling: Sampling, seed: int) -> Future[Completion]:
        if self.runner == "pooling":
            raise BadInput(
                f"the engine of {self.model.name} rates prompts and completes none; leave its runner at"
                " generate"
            )
        live = self._live()
        future: Future[Completion] = Future()
        self._check_room(
            live,
            len(prompt) + sampling.max_tokens,
            f"{len(prompt)} prompt tokens and {sampling.max_tokens} more exceed",
        )
        if len(prompt) < live.max_length:
            live.submit(list(prompt), _params(sampling, seed)).add_done_callback(
                partial(_deliver, future, len(prompt), resumable(sampling))
            )
        else:  # vLLM refuses a prompt that leaves no room for one token
            future.set_result(Completion("", CONTEXT_FULL, len(prompt), 0))
        return future

    def submit_rating(self, prompt: Sequence[int], pooling: Pooling) -> Future[Rating]:
        if self.runner != "pooling":
            raise BadInput(
                f"the engine of {self.model.name} completes prompts and rates none; give it the runner"
                " pooling"
            )
        live = self._live()
        future: Future[Rating] = Future()
        self._check_room(live, len(prompt), f"{len(prompt)} tokens exceed")
        if len(prompt) <= live.max_length:
            live.submit(list(prompt), _pooling_params(pooling)).add_done_callback(
                partial(_deliver_rating, future, pooling)
            )
        else:
            future.set_result(Rating((), CONTEXT_FULL))
        return future

    def _check_room(self, live: Live, tokens: int, what: str) -> None:
        """Raises EngineError for a request that the model itself has room for, but not this engine."""
        if tokens > live.max_length and live.max_length != self.max_length:
            raise EngineError(
                f"{what} the context of {live.max_length} tokens that the engine of {self.model.name} was"
                " given, which would truncate rows; raise its context, or leave it out"
            )

    def check(self) -> None:
        for name in (
            "kv_cache_gigabytes",
            "gpu_memory_utilization",
            "max_num_seqs",
            "tensor_parallel_size",
            "data_parallel_size",
            "context",
        ):
            value = getattr(self, name)
            if value is not None and not value > 0:  # also catches NaN
                raise BadInput(f"{name} is {value}; give a number above 0")
        if self.form == "llm_engine" and (self.data_parallel_size or 1) > 1:
            raise BadInput(
                f"data parallel size {self.data_parallel_size} needs the form async_llm, and the form is"
                " llm_engine; leave it at auto"
            )
        self._parallelism()
        if self._on_cpu() and keywords(self.speed).get("enable_chunked_prefill"):
            raise BadInput(
                "engine argument enable_chunked_prefill is true, and on CPUs vLLM dies of a chunked prefill"
                " with a seed; leave it out"
            )
        check_plugin()
        if self.model.path:
            check_weights(Path(self.model.path), config_of(self.model))

    def describe(self) -> str:
        return f"{self.model.name}: {self._parallelism()}"

    def close(self) -> None:
        with _LOCK:
            live = _LIVE.pop(self, None)
        if live is not None:
            live.close()

    def _live(self) -> Recovering:
        with _LOCK:
            if self not in _LIVE:
                _LIVE[self] = Recovering(self._open, self.model.name)
            return _LIVE[self]

    def _on_cpu(self) -> bool:
        return check_device(
            self.model.name,
            self.tensor_parallel_size,
            self.data_parallel_size,
            self.gpu_memory_utilization,
            (*self.model.settings, *self.speed),
        )

    def _parallelism(self) -> Parallelism:
        return place(
            self.model,
            self.gpu_memory_utilization,
            self.tensor_parallel_size,
            self.data_parallel_size,
            self.speed,
            self.context,
        )

    def _open(self) -> Live:
        on_cpu = self._on_cpu()
        form = (
            ("llm_engine" if on_cpu and self._parallelism().data == 1 else "async_llm")
            if self.form == "auto"
            else self.form
        )
        try:
            return (InProcessEngine if form == "llm_engine" else AsyncEngine)(
                self.model.name, self.arguments(on_cpu)
            )
        # vLLM and its loaders raise errors of any type; each becomes an EngineError
        except Exception as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise EngineError(f"vLLM cannot start {self.model.name}: {reason}") from error

    def arguments(self, on_cpu: bool) -> dict[str, Any]:
        """The keyword arguments of vLLM's EngineArgs."""
        from vllm.config import StructuredOutputsConfig

        parallelism = self._parallelism()
        length = min((limit for limit in (self.context, self.max_length) if limit is not None), default=None)
        arguments: dict[str, Any] = {
            "model": self.model.source,
            "runner": self.runner,
            "revision": self.model.hub_revision,
            "tokenizer_mode": MODE,
            "tokenizer_revision": self.model.hub_revision,
            "dtype": self.model.dtype,
            "max_model_len": length,
            "max_num_seqs": CPU_SEQUENCES if self.max_num_seqs is None and on_cpu else self.max_num_seqs,
            "tensor_parallel_size": parallelism.tensor,
            "gpu_memory_utilization": self.gpu_memory_utilization,
            "trust_remote_code": False,
            "disable_log_stats": False,  # the counts that Counting takes
            "use_tqdm_on_load": False,
        }
        if parallelism.data > 1:
            arguments["data_parallel_size"] = parallelism.data
        if self.runner == "generate":  # a reward model's own pooling may forbid it, and vLLM knows
            arguments["enable_prefix_caching"] = True
            # Without this a model can write white space between the parts of JSON without end. vLLM takes the
            # option per engine, not per request, and only with a named backend; xgrammar is the first it
            # would choose itself.
            arguments["structured_outputs_config"] = StructuredOutputsConfig(
                backend="xgrammar", disable_any_whitespace=True
            )
        gigabytes = (
            CPU_CACHE_GIGABYTES if self.kv_cache_gigabytes is None and on_cpu else self.kv_cache_gigabytes
        )
        if gigabytes is not None:
            arguments["kv_cache_memory_bytes"] = int(gigabytes * 2**30)
        if on_cpu:
            # torch.compile costs a minute at every start here. A seeded request whose prefill is chunked
            # kills the CPU engine ("CPU Generator does not use offset"), so prompts are prefilled whole.
            arguments |= {"enforce_eager": True, "enable_chunked_prefill": False}
            arguments["max_num_batched_tokens"] = max(length or 0, 4096)
            if self.rates:  # candidates share only whole blocks; vLLM's 128 here is a problem's length
                arguments["block_size"] = 32
        return arguments | keywords((*self.model.settings, *self.speed), self.runner)


_LIVE: dict[VLLM, Recovering] = {}
_LOCK = threading.Lock()


def _params(sampling: Sampling, seed: int) -> Any:
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind

    return SamplingParams(
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        top_k=sampling.top_k,
        min_p=sampling.min_p,
        max_tokens=sampling.max_tokens,
        repetition_penalty=sampling.repetition_penalty,
        stop_token_ids=list(sampling.stop_token_ids),
        stop=list(sampling.stop),
        structured_outputs=_constraint(sampling),
        allowed_token_ids=(
            list(allowed) if 0 < len(allowed := sampling.allowed_token_ids) <= MOST_ALLOWED else None
        ),
        logprobs=sampling.logprobs or None,
        seed=seed,
        # A special token inside a text must stay visible, so that its row can be dropped
        skip_special_tokens=False,
        output_kind=RequestOutputKind.FINAL_ONLY,
    )


def _constraint(sampling: Sampling) -> Any:
    """vLLM's structured outputs for a sampling; None without a constraint."""
    from vllm.sampling_params import StructuredOutputsParams

    if sampling.schema:
        return StructuredOutputsParams(json=sampling.schema)
    if len(sampling.allowed_token_ids) > MOST_ALLOWED:
        return StructuredOutputsParams(grammar=token_grammar(sampling.allowed_token_ids, sampling.max_tokens))
    return None


@lru_cache(maxsize=8)
def token_grammar(ids: tuple[int, ...], count: int) -> str:
    """A grammar of xgrammar: `count` tokens, each one of these."""
    return f"root ::= Token({','.join(map(str, ids))})" + (f"{{{count}}}" if count > 1 else "")


def _pooling_params(pooling: Pooling) -> Any:
    from vllm import PoolingParams

    if pooling.of == "embedding":
        return PoolingParams(task="embed", use_activation=True)  # normalises it to length 1
    # Without activation: by default vLLM applies a sigmoid, which makes high rewards equal.
    if pooling.of == "sequence":
        return PoolingParams(task="classify", use_activation=False)
    return PoolingParams(task="token_classify", use_activation=False, step_tag_id=pooling.step_token)


def _deliver_rating(future: Future[Rating], pooling: Pooling, raw: Future[Any]) -> None:
    """Set the result of a vLLM pooling request, as a Rating."""
    if (error := raw.exception()) is not None:
        future.set_exception(error)
    elif raw.result() is None:
        future.set_result(Rating((), KILLED_ENGINE))
    else:
        data = raw.result().outputs.data
        future.set_result(finite((data[-1] if pooling.of == "last_token" else data).flatten().tolist()))


def _deliver(future: Future[Completion], prompt_tokens: int, with_ids: bool, raw: Future[Any]) -> None:
    """Set the result of a vLLM request, as a Completion."""
    if (error := raw.exception()) is not None:
        future.set_exception(error)
    elif raw.result() is None:
        future.set_result(Completion("", KILLED_ENGINE, prompt_tokens, 0))
    else:
        future.set_result(_completion(raw.result(), with_ids))


def _completion(output: Any, with_ids: bool) -> Completion:
    result = output.outputs[0]
    first: tuple[tuple[int, float], ...] = ()
    if result.logprobs:
        ranked = sorted(result.logprobs[0].items(), key=lambda item: -item[1].logprob)
        first = tuple((int(token), float(one.logprob)) for token, one in ranked)
    return Completion(
        result.text,
        str(result.finish_reason),
        len(output.prompt_token_ids),
        len(result.token_ids),
        first,
        token_ids=tuple(result.token_ids) if with_ids else (),
    )
