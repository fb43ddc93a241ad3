"""vLLM's engine arguments that users give: which change numbers, which only speed, which are set here.

Not here: what is done with them (models/model.py, engine.py).
"""

from __future__ import annotations

import ast
import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from magpie_hf.errors import BadInput, shortened

Kind = Literal["numbers", "speed"]
Settings = tuple[tuple[str, str], ...]  # names and values as canonical JSON, sorted

# Those with which a model gives another distribution. They belong to its identity.
_NUMBERS = {
    "quantization",
    "quantization_config",
    "allow_deprecated_quantization",
    "kv_cache_dtype",
    "kv_cache_dtype_skip_layers",
    "mamba_cache_dtype",
    "mamba_ssm_cache_dtype",
    "enable_mamba_cache_stochastic_rounding",
    "mamba_cache_philox_rounds",
    "hf_overrides",  # such as rope scaling
    "model_class_overrides",
    "disable_sliding_window",  # which bounds the context, too
    "load_format",  # "dummy" gives random weights
    "model_loader_extra_config",  # can name an adapter
    "ignore_patterns",  # can leave out weights
    "generation_config",  # vLLM takes end tokens from it
    "override_generation_config",
    "logits_processors",
    "logprobs_mode",  # the judge's scores are log-probabilities
    "use_fp64_gumbel",  # fp32 noise cuts off the lower tail
    "additional_config",  # of a platform's plugin, which may do anything with it
}

# Those that say where, how fast and with how much memory. Batches and kernels change rounding, as another GPU
# does, and no distribution.
_SPEED = {
    # loading
    "download_dir", "safetensors_load_strategy", "safetensors_prefetch_num_threads",
    "safetensors_prefetch_block_size", "max_parallel_loading_workers", "use_tqdm_on_load",
    "pt_load_map_location",
    # compilation and kernels
    "enforce_eager", "compilation_config", "optimization_level", "performance_mode",
    "cudagraph_capture_sizes", "max_cudagraph_capture_size", "attention_backend", "attention_config",
    "kernel_config", "moe_backend",
    "linear_backend", "sparse_indexer_topk_backend", "enable_flashinfer_autotune", "disable_cascade_attn",
    "mamba_backend", "gdn_prefill_backend", "kda_prefill_backend", "kda_decode_backend",
    "model_impl",  # vLLM's or transformers' code for the same model
    # scheduling
    "max_num_batched_tokens", "max_num_scheduled_tokens", "long_prefill_token_threshold",
    "long_prefill_token_threshold_adaptive", "enable_chunked_prefill", "scheduling_policy",
    "async_scheduling", "stream_interval", "prefill_schedule_interval", "scheduler_reserve_full_isl",
    "watermark",
    "max_logprobs",  # a bound on what may be asked for
    # the cache
    "block_size", "enable_prefix_caching", "prefix_caching_hash_algo", "prefix_cache_retention_interval",
    "prefix_match_unit", "num_gpu_blocks_override", "mamba_block_size", "mamba_cache_mode",
    "disable_hybrid_kv_cache_manager", "kv_offloading_size", "kv_offloading_backend",
    # offloading
    "cpu_offload_gb", "cpu_offload_params", "offload_backend", "offload_group_size", "offload_num_in_group",
    "offload_prefetch_step", "offload_params", "enable_cumem_allocator",
    # several GPUs
    "distributed_executor_backend", "disable_custom_all_reduce", "enable_expert_parallel", "all2all_backend",
    "enable_eplb", "eplb_config", "expert_placement_strategy", "enable_ep_weight_filter", "enable_dbo",
    "dbo_decode_token_threshold", "dbo_prefill_token_threshold", "enable_batch_sharded_sampling",
    "distributed_timeout_seconds", "numa_bind", "numa_bind_nodes", "numa_bind_cpus",
    # pictures, of which prompts hold none
    "language_model_only", "limit_mm_per_prompt", "skip_mm_profiling", "mm_processor_cache_gb",
    # a draft's tokens are accepted so that the model's own distribution stays (Leviathan et al. 2023)
    "speculative_config", "spec_method", "spec_model", "spec_tokens",
    # logs
    "disable_log_stats", "aggregate_engine_logging", "log_level", "logging_config", "log_config_file",
}  # fmt: skip

# Those that this package sets itself, with the option that does; "" where none does
_OWN = {
    **dict.fromkeys(("model", "model_weights", "served_model_name", "hf_config_path"), "--model"),
    **dict.fromkeys(("revision", "code_revision", "tokenizer_revision"), "--revision"),
    # The tokenizer is the model's own, the templates are, and no code of a repository runs
    **dict.fromkeys(("tokenizer", "tokenizer_mode", "skip_tokenizer_init", "trust_remote_code"), ""),
    **dict.fromkeys(("reasoning_parser", "reasoning_parser_plugin", "reasoning_config"), ""),
    # The stages say what a model is asked for
    **dict.fromkeys(("runner", "convert", "pooler_config", "structured_outputs_config"), ""),
    "dtype": "--dtype",
    "max_model_len": "--max-model-len",
    "seed": "--seed",
    "max_num_seqs": "--max-num-seqs",
    "max_num_active_seqs": "--max-num-seqs",
    "tensor_parallel_size": "--tensor-parallel-size",
    **dict.fromkeys(("data_parallel_size", "data_parallel_size_local"), "--data-parallel-size"),
    **dict.fromkeys(("pipeline_parallel_size", "nnodes"), "--tensor-parallel-size"),
    "device_ids": "CUDA_VISIBLE_DEVICES",
    "gpu_memory_utilization": "--gpu-memory-utilization",
    "kv_cache_memory_bytes": "--kv-cache-gb",
    "hf_token": "HF_TOKEN",
}
_DRAFTS = {name for name in _SPEED if name.startswith("spec")}
_METHOD = "rejection_sample_method"
_LOSSLESS = ("standard", "block")  # "synthetic" accepts by chance


@dataclass(frozen=True)
class EngineArguments:
    """The arguments that a user gave: those that change numbers, and those that do not."""

    numbers: Settings = ()
    speed: Settings = ()

    @property
    def drafts(self) -> bool:
        """Whether they ask for speculative decoding."""
        return any(name in _DRAFTS for name, _ in self.speed)


def read_arguments(file_or_json: str | None, single: Sequence[str]) -> EngineArguments:
    """The arguments in JSON or a file, and those given one by one as `name=value`, which win.

    Raises BadInput for an argument that vLLM does not know, or that is set here, or of which neither is
    known. Loads nothing.
    """
    given = {**_table(file_or_json), **dict(map(_single, single))}
    kinds: dict[str, dict[str, str]] = {"numbers": {}, "speed": {}}
    for text, value in given.items():
        kind, name = _kind(text)
        if value is None:  # vLLM's own default
            continue
        if name == "speculative_config" and isinstance(value, Mapping):
            _check_lossless(value)
        try:
            kinds[kind][name] = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
        except (TypeError, ValueError) as error:
            raise BadInput(
                f"engine argument {name} is {value!r}, which is no JSON; give JSON or text"
            ) from error
    return EngineArguments(*(tuple(sorted(kinds[kind].items())) for kind in ("numbers", "speed")))


def keywords(settings: Settings, runner: str = "generate") -> dict[str, Any]:
    """The settings as keyword arguments of vLLM's EngineArgs. A rating engine has nothing to draft."""
    return {
        name: json.loads(value) for name, value in settings if runner == "generate" or name not in _DRAFTS
    }


def _table(text: str | None) -> dict[str, Any]:
    if text is None:
        return {}
    import yaml

    try:
        if text.lstrip().startswith("{"):
            given = json.loads(text)
        else:
            given = yaml.safe_load(Path(text).expanduser().read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        given, said = shortened(text), " ".join(str(error).split())
        raise BadInput(
            f"--engine-args {given} cannot be read ({said}); give a JSON or YAML file, or JSON such as"
            ' {"kv_cache_dtype": "fp8"}'
        ) from error
    if not isinstance(given, dict) or not all(isinstance(name, str) for name in given):
        raise BadInput(f"--engine-args {shortened(text)} holds no table of names and values; give one")
    return {name.replace("-", "_"): value for name, value in given.items()}


def _single(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise BadInput(f"--engine-arg is {text!r}; give name=value, as in kv_cache_dtype=fp8")
    if value in ("True", "False", "None"):  # as text, all three are true
        meant = {"True": "true", "False": "false", "None": "null"}[value]
        raise BadInput(f"--engine-arg is {text!r}, whose value would be text; write {meant}")
    try:
        parsed = json.loads(value)
    except (ValueError, RecursionError) as error:
        if value[:1] in ("{", "[", '"'):
            raise BadInput(
                f"--engine-arg {name} is {shortened(value)}, which is torn JSON; mend it"
            ) from error
        parsed = value
    return name.replace("-", "_"), parsed


def _kind(text: str) -> tuple[Kind, str]:
    """Whether an argument changes numbers, and its name without the prefix that may say so."""
    prefix, colon, rest = text.partition(":")
    name = rest if colon else text
    if _OWN.get(name):
        raise BadInput(f"engine argument {name} is set by magpie-hf itself; give {_OWN[name]} instead")
    if name in _OWN:
        raise BadInput(f"engine argument {name} is set by magpie-hf itself; leave it out")
    kind: Kind | None = "numbers" if name in _NUMBERS else "speed" if name in _SPEED else None
    if colon and prefix not in ("numbers", "speed"):
        raise BadInput(f"engine argument {text} begins with {prefix}:; give numbers: or speed:, or neither")
    if colon and kind is not None and kind != prefix:
        raise BadInput(f"engine argument {name} belongs to {kind}, not to {prefix}; give {name} alone")
    if colon:
        kind = "numbers" if prefix == "numbers" else "speed"
    known = _vllm_fields()
    if known and name not in known:
        raise _unknown(name, known)
    if kind is None and not known:
        raise _unknown(name, _NUMBERS | _SPEED)
    if kind is None:
        raise BadInput(
            f"whether engine argument {name} changes the model's outputs is not known; give numbers:{name}"
            f" if it does, speed:{name} if it only says where or how fast"
        )
    return kind, name


def _unknown(name: str, known: set[str] | frozenset[str]) -> BadInput:
    near = difflib.get_close_matches(name, sorted(known - set(_OWN)), 3, 0.6)
    if near:
        return BadInput(f"vLLM has no engine argument {name}; the nearest are {', '.join(near)}")
    return BadInput(f"vLLM has no engine argument {name}; choose a field of its EngineArgs")


def _check_lossless(config: Mapping[str, Any]) -> None:
    if (method := config.get(_METHOD, _LOSSLESS[0])) not in _LOSSLESS:
        raise BadInput(
            f"{_METHOD} is {method!r}, with which other texts come than the model's own; give"
            f" {' or '.join(_LOSSLESS)}"
        )


@lru_cache(maxsize=1)
def _vllm_fields() -> frozenset[str]:
    """The fields of the installed vLLM's EngineArgs; none where it is not installed.

    Read from its source: importing it takes 10 s on two cores, and a plan needs it for nothing else.
    """
    spec = find_spec("vllm")
    folder = next(iter((spec and spec.submodule_search_locations) or ()), None)
    if folder is None:
        return frozenset()
    tree = ast.parse((Path(folder) / "engine" / "arg_utils.py").read_text(encoding="utf-8"))
    return frozenset(
        line.target.id
        for node in tree.body
        if isinstance(node, ast.ClassDef) and node.name == "EngineArgs"
        for line in node.body
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name)
    )
