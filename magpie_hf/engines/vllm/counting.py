"""Counting: hands vLLM's own counts of tokens and running requests to the meter, at every step.

Not here: the engines.
"""

from __future__ import annotations

from typing import Any

from magpie_hf.engines import meter


class Counting:
    """The one stat logger of an engine, LLMEngine or AsyncLLM, of the model with this name.

    It takes the place of vLLM's own, which write a line every ten seconds and observe several histograms for
    each token.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._running: dict[int, int] = {}  # by engine core: there are several with data parallelism

    @classmethod
    def install(cls, engine: Any, name: str) -> None:
        """Have a vLLM engine report to the meter, unless an engine argument turned its statistics off."""
        if engine.logger_manager is not None:
            engine.logger_manager.stat_loggers = [cls(name)]
            meter.count(name, 0)

    def record(
        self, scheduler_stats: Any, iteration_stats: Any, mm_cache_stats: Any = None, engine_idx: int = 0
    ) -> None:
        """Called by vLLM after each step of a core."""
        if scheduler_stats is not None:
            self._running[engine_idx] = scheduler_stats.num_running_reqs
        made = read = cached = 0
        if iteration_stats is not None:
            made, prompts = iteration_stats.num_generation_tokens, iteration_stats.prompt_token_stats
            read, cached = prompts.computed, prompts.cached_tokens
        meter.count(self._name, sum(self._running.values()), made, read, cached)

    def log(self) -> None:
        """Nothing is logged."""

    def log_engine_initialized(self) -> None:
        """Nothing is logged."""

    def record_sleep_state(self, *_: Any) -> None:
        """No engine sleeps here."""

    def record_admission_rejection(self, reason: str) -> None:
        """A request that is not admitted comes back with its error."""
