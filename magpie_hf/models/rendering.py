"""A chat template tried in a process of its own, with a bound on time and memory, before it is rendered here.

Not here: the format that a template writes (chat.py).

A template is a program of whoever made the model: it may loop, recurse or allocate without end, and no thread
that renders one can be stopped.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from magpie_hf.errors import BadInput

SECONDS = 4.0  # of processor time for all of one template; the slowest of 245 known ones takes 0.1
MEGABYTES = 512  # of address space, of which Python with Jinja takes 40
LONGEST = 1_000_000  # characters of a conversation of a few words
_STALLED = 120.0  # seconds of wall time, on whatever machine

# What transformers gives to every template. The names of tools are left out, since no conversation has any.
_STANDARD = re.compile(
    r"messages|documents|add_generation_prompt|continue_final_message|raise_exception|strftime_now"
    r"|additional_special_tokens|\w+_token|\w*tools?(?:_\w+)?"
)
# A tag of transformers' own, around what an assistant wrote.
_GENERATION = re.compile(r"\{%(-?)\s*(?:end)?generation\s*(-?)%\}")
_CODE = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]);"
    " from magpie_hf.models.rendering import main; main()"
)


class Tried(NamedTuple):
    """What a template showed when it was tried.

    switches: the names of its own variables, sorted. place: where a system text goes, "system" or "user".
    """

    switches: tuple[str, ...]
    place: str


def tried(template: str, name: str, options: Mapping[str, Any] = {}) -> Tried:
    """What a chat template shows; a template is tried once in a process.

    name: the model's, for messages. options: values of its variables. Raises BadInput for one that does not
    end within its bounds; what else it does wrong is said where it is rendered.
    """
    found = _tried(template, json.dumps(options, sort_keys=True))
    if isinstance(found, str):
        raise BadInput(
            f"the chat template of {name} {found}; use another model, or save a mended chat_template.jinja in"
            " a local copy of it"
        )
    return found


@lru_cache(maxsize=32)
def _tried(template: str, options: str) -> Tried | str:
    import subprocess

    request = {"template": template, "options": json.loads(options), "bounds": [SECONDS, MEGABYTES, LONGEST]}
    command = [sys.executable, "-I", "-S", "-c", _CODE, json.dumps(sys.path)]
    try:
        done = subprocess.run(
            command,
            input=json.dumps(request).encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_STALLED,
        )
    except subprocess.TimeoutExpired:
        return f"does not end within {_STALLED:.0f} seconds"
    import signal

    if done.returncode == -signal.SIGPROF:
        return f"does not end within {SECONDS:g} seconds"
    if done.returncode:
        return "ends the process that renders it"
    answer = json.loads(done.stdout)
    return answer if isinstance(answer, str) else Tried(tuple(answer[0]), answer[1])


# In the process of its own


def main() -> None:
    """Answer one request with [switches, place], or with what is wrong: JSON in, JSON out."""
    import resource
    import signal

    request = json.load(sys.stdin)
    seconds, megabytes, longest = request["bounds"]
    environment = _environment()
    size, hard = megabytes << 20, resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(
        resource.RLIMIT_AS, (size if hard == resource.RLIM_INFINITY else min(size, hard), hard)
    )
    signal.setitimer(signal.ITIMER_PROF, seconds)  # whose signal ends the process
    try:
        answer = _try(environment, request["template"], request["options"], longest)
    except MemoryError:
        answer = f"takes more than {megabytes} MB of memory"
    signal.setitimer(signal.ITIMER_PROF, 0)
    print(json.dumps(answer))


def _environment() -> Any:
    """A sandbox with what transformers gives to templates."""
    from jinja2.ext import loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols]
    )
    environment.globals |= {"raise_exception": _refuse, "strftime_now": lambda form: "26 Jul 2024"}
    environment.filters["tojson"] = lambda value, **options: json.dumps(value, ensure_ascii=False)
    return environment


def _refuse(message: str) -> Any:
    raise ValueError(message)


def _try(environment: Any, source: str, options: dict[str, Any], longest: int) -> list[Any] | str:
    """The switches and the place of a template that ends, whatever it raises; else what is wrong with it."""
    from jinja2 import meta

    try:
        tree = environment.parse(_GENERATION.sub(r"{#\1\2#}", source))
        template = environment.from_string(tree)
    except MemoryError:
        raise
    except Exception:  # said by the first rendering
        return [[], "user"]
    read = meta.find_undeclared_variables(tree) - set(environment.globals)
    place = "user"
    given = {"tools": None, "documents": None, "bos_token": "", "eos_token": "", **options}
    for turns in _conversations():
        for shape in (str, lambda text: [{"type": "text", "text": text}]):
            shaped = [{**turn, "content": shape(turn["content"])} for turn in turns]
            for head in (True, False) if turns[-1]["role"] == "user" else (False,):
                try:
                    text = template.render(messages=shaped, add_generation_prompt=head, **given)
                except MemoryError:
                    raise
                except Exception:  # a template is a program: it may raise anything
                    continue
                if len(text) > longest:
                    return f"writes {len(text):,} characters for a conversation of a few words"
                before, said, after = text.partition(_USER)
                if said and _USER not in after and _SYSTEM in before:
                    place = "system"
    return [sorted(name for name in read if not _STANDARD.fullmatch(name)), place]


_USER, _SYSTEM = "U$R", "S$Y"
INSTRUCTION = r"Please reason step by step, and put your final answer within \boxed{}."
# Two user texts that a template must not change. They differ, so that a prefix which depends on the text is
# noticed.
PROBES = ("MagpieOpensTheUserTurnHere", 'Let $x<y$ & "z" \\in [a]: show {it}.\n\nThen stop')
THINKING_PROBES = ("MagpieAsksHere", "MagpieThinksHere", "MagpieAnswersHere")
LONG_PROBE = "Let $x$ be a number.\n" * 200


def _conversations() -> list[list[dict[str, str]]]:
    """Those of the kinds that a build has, with an answer's thought in each field that templates read.

    The texts are those that are rendered later to read the format, and a long one: a template may do another
    thing with each.
    """
    system, user = {"role": "system", "content": _SYSTEM}, {"role": "user", "content": _USER}
    answer = {"role": "assistant", "content": "A\n\nB"}
    thought = dict.fromkeys(("reasoning_content", "thinking", "reasoning"), "T\n\nU")
    more = {"role": "user", "content": "M"}
    kinds = [[system, user], [user], [user, answer], [user, {**answer, **thought}], [user, answer, more]]
    for text in (*PROBES, *THINKING_PROBES, INSTRUCTION, LONG_PROBE):
        asked = {"role": "user", "content": text}
        told = {"role": "assistant", "content": text, **dict.fromkeys(thought, text)}
        kinds += [[{"role": "system", "content": text}, asked], [asked, told]]
    return kinds
