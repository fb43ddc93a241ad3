"""vLLM's engine in two forms with one interface (`recovery.Live`): prompts in, futures of vLLM's outputs out.

Not here: recovery.

`InProcessEngine` is an LLMEngine in this process, whose steps one background thread runs. On two CPU cores
it is 1.7 times as fast as AsyncLLM and loads in a fraction of the time. `AsyncEngine` is AsyncLLM, whose
engine core has a process of its own; it is the form for GPUs.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import os
import queue
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from magpie_hf.engines.vllm.counting import Counting
from magpie_hf.engines.vllm.plugin import PARENT
from magpie_hf.errors import EngineError

# Times that a request is submitted again after vLLM aborted it or ended it with an error
RETRIES = 3
# Finish reasons of requests that vLLM did not finish: of a core that is stopping, or of a fault of its own
UNFINISHED = ("abort", "error")


@dataclass
class _Submitted:
    prompt: list[int]
    params: Any
    future: Future[Any] = field(default_factory=Future)
    retries: int = 0


class InProcessEngine:
    """An LLMEngine that one thread builds, steps and closes; submissions reach it through a queue."""

    def __init__(self, name: str, arguments: dict[str, Any]) -> None:
        self._inbox: queue.SimpleQueue[_Submitted | None] = queue.SimpleQueue()
        self._closing = False
        self._numbers = itertools.count()
        self._death: EngineError | None = None
        self._lock = threading.Lock()  # orders submissions before the thread's last look at the inbox
        built: Future[int] = Future()
        self._thread = threading.Thread(
            target=self._loop, args=(name, arguments, built), name="magpie-engine", daemon=True
        )
        self._thread.start()
        self.max_length = built.result()

    def submit(self, prompt: list[int], params: Any) -> Future[Any]:
        submitted = _Submitted(prompt, params)
        with self._lock:
            if self._death is not None:
                raise self._death
            self._inbox.put(submitted)
        return submitted.future

    def close(self) -> None:
        self._closing = True
        self._inbox.put(None)
        self._thread.join()

    def _loop(self, name: str, arguments: dict[str, Any], built: Future[int]) -> None:
        try:
            engine = self._build(arguments)
        except BaseException as error:  # the constructor re-raises it in the caller's thread
            built.set_exception(error)
            return
        Counting.install(engine, name)
        built.set_result(engine.model_config.max_model_len)
        running: dict[str, _Submitted] = {}
        try:
            while not self._closing:
                self._accept(engine, running)
                if engine.has_unfinished_requests():
                    for output in engine.step():
                        if output.finished:
                            self._deliver(name, engine, running, output)
            self._end(running, EngineError(f"the engine of {name} was closed with requests in flight"))
        except BaseException as error:  # whatever kills the engine must reach every waiting caller
            self._end(
                running, EngineError(f"the engine of {name} died: {type(error).__name__}: {error}"), error
            )
        finally:
            _release(engine)

    @staticmethod
    def _build(arguments: dict[str, Any]) -> Any:
        with _environment(VLLM_ENABLE_V1_MULTIPROCESSING="0"):
            from vllm import EngineArgs, LLMEngine
            from vllm.usage.usage_lib import UsageContext

            return LLMEngine.from_engine_args(EngineArgs(**arguments), UsageContext.LLM_CLASS)

    def _deliver(self, name: str, engine: Any, running: dict[str, _Submitted], output: Any) -> None:
        """Set the result of a request, or submit it again where vLLM did not finish it."""
        submitted = running.pop(output.request_id)
        if (reason := _unfinished(output)) is None:
            submitted.future.set_result(output)
        elif submitted.retries < RETRIES:
            submitted.retries += 1
            self._add(engine, running, submitted)
        else:
            submitted.future.set_exception(_gave_up(name, reason))

    def _accept(self, engine: Any, running: dict[str, _Submitted]) -> None:
        """Pass submissions to the engine; block only while it has nothing to do."""
        while not self._closing:
            try:
                item = self._inbox.get(block=not engine.has_unfinished_requests())
            except queue.Empty:
                return
            if item is None:
                return
            self._add(engine, running, item)

    def _add(self, engine: Any, running: dict[str, _Submitted], submitted: _Submitted) -> None:
        from vllm import TokensPrompt

        request_id = str(next(self._numbers))
        try:
            engine.add_request(request_id, TokensPrompt(prompt_token_ids=submitted.prompt), submitted.params)
        # vLLM rejects this one request (VLLMValidationError); the engine stays healthy
        except ValueError as error:
            submitted.future.set_exception(error)
        else:
            running[request_id] = submitted

    def _end(
        self, running: dict[str, _Submitted], death: EngineError, cause: BaseException | None = None
    ) -> None:
        death.__cause__ = cause
        with self._lock:
            self._death = death
        for submitted in running.values():
            submitted.future.set_exception(death)
        with contextlib.suppress(queue.Empty):
            while True:
                if item := self._inbox.get_nowait():
                    item.future.set_exception(death)


class AsyncEngine:
    """AsyncLLM on an event loop of its own, in a background thread.

    Its core and workers are processes of their own.
    """

    def __init__(self, name: str, arguments: dict[str, Any]) -> None:
        self._name = name
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="magpie-engine", daemon=True)
        self._thread.start()
        try:
            self._llm = self._run(self._build(arguments))
            Counting.install(self._llm, name)
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
            return asyncio.run_coroutine_threadsafe(self._generate(prompt, params), self._loop)

    def close(self) -> None:
        with self._lock:
            self._closed = True

        async def shutdown() -> None:
            self._llm.shutdown()  # does not wake those that wait for a result
            waiting = asyncio.all_tasks() - {asyncio.current_task()}
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

        self._run(shutdown())
        self._stop_loop()
        del self._llm
        gc.collect()

    @staticmethod
    async def _build(arguments: dict[str, Any]) -> Any:
        # Built on this loop, because AsyncLLM's output task belongs to the loop that runs when it is made.
        # The usage is that of many prompts offline: vLLM chooses its batch by it, on an H200 1,024 sequences
        # in place of 128.
        from vllm import AsyncEngineArgs, AsyncLLMEngine
        from vllm.usage.usage_lib import UsageContext

        with _environment(**{PARENT: str(os.getpid())}):
            return AsyncLLMEngine.from_engine_args(
                AsyncEngineArgs(**arguments, enable_log_requests=False), usage_context=UsageContext.LLM_CLASS
            )

    async def _generate(self, prompt: list[int], params: Any) -> Any:
        """vLLM's output for a request, which is submitted again where vLLM did not finish it.

        A core that is stopped, by a signal or because another one died, aborts its requests; the next one
        then finds it dead.
        """
        from vllm import PoolingParams, TokensPrompt
        from vllm.v1.engine.exceptions import EngineDeadError, EngineGenerateError

        ask = self._llm.encode if isinstance(params, PoolingParams) else self._llm.generate
        try:
            for _ in range(1 + RETRIES):
                request_id, reason = str(next(self._numbers)), None
                async for output in ask(TokensPrompt(prompt_token_ids=prompt), params, request_id):
                    if output.finished and (reason := _unfinished(output)) is None:
                        return output
        except (EngineDeadError, EngineGenerateError) as error:
            raise EngineError(f"the engine of {self._name} died: {error}") from error
        except asyncio.CancelledError as error:
            raise EngineError(f"the engine of {self._name} was closed with requests in flight") from error
        raise _gave_up(self._name, reason)

    def _run(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def _stop_loop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


def _unfinished(output: Any) -> str | None:
    """The finish reason of a completion that vLLM did not finish: its text is no result."""
    outputs = output.outputs
    reason = outputs[0].finish_reason if isinstance(outputs, list) else None  # one of a rating has none
    return reason if reason in UNFINISHED else None


def _gave_up(name: str, reason: str | None) -> EngineError:
    return EngineError(f"the engine of {name} gave up a request {1 + RETRIES} times ({reason})")


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
