"""How a model is told to solve a problem: in one language, or in the problem's own.

Not here: what it is told besides (models/chat.py).
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from magpie_hf.domains import Domain
from magpie_hf.models.chat import SOLVING_INSTRUCTION, Chat
from magpie_hf.problems.cleaning.language import language_of
from magpie_hf.problems.system_texts import ENGLISH, JAPANESE

JAPANESE_INSTRUCTION = r"順を追って考え、最終的な答えを \boxed{} の中に書いてください。"


@dataclass(frozen=True)
class ByLanguage:
    """A solving instruction for each language of `others`, and one for problems in all others.

    others: languages by ISO 639-1, each with its instruction.
    """

    instruction: str = SOLVING_INSTRUCTION
    others: tuple[tuple[str, str], ...] = ((JAPANESE, JAPANESE_INSTRUCTION),)


Instruction = str | ByLanguage


def instruction_for(problem: str, instruction: Instruction) -> str:
    """What a model is told with this problem."""
    if isinstance(instruction, str):
        return instruction
    return dict(instruction.others).get(language_of(problem) or "", instruction.instruction)


def solving_prompts(
    chat: Chat, problems: Sequence[str], instruction: Instruction
) -> tuple[list[array[int]], list[str]]:
    """The prompts that ask for the solutions, and what each tells the model besides its problem."""
    told = [instruction_for(problem, instruction) for problem in problems]
    asked = (chat.solving_prompt(*one) for one in zip(problems, told, strict=True))
    return chat.closed_prompts(asked), list(map(chat.solving_note, told))


def instruction_of(domains: Iterable[Domain]) -> Instruction:
    """The solving instruction for domains whose texts ask in these languages."""
    asked = {
        language for domain in domains for language in [text.language for text in domain.texts] or [ENGLISH]
    }
    return instruction_in(asked)


def instruction_in(asked: Collection[str]) -> Instruction:
    """The solving instruction where problems are asked for in these languages."""
    if JAPANESE not in asked:
        return SOLVING_INSTRUCTION
    return JAPANESE_INSTRUCTION if {*asked} == {JAPANESE} else ByLanguage()


def in_its_languages(instruction: Instruction, english: str, japanese: str) -> Instruction:
    """Another instruction than this one, by the same languages; English for one of the user's own."""
    if isinstance(instruction, str):
        return japanese if instruction == JAPANESE_INSTRUCTION else english
    return ByLanguage(english, ((JAPANESE, japanese),) if JAPANESE in dict(instruction.others) else ())


def solving_note(chat: Chat, instruction: Instruction) -> str:
    """What a model is told besides the problem; of several instructions, all of them."""
    return " / ".join(dict.fromkeys(map(chat.solving_note, texts_of(instruction))))


def texts_of(instruction: Instruction) -> tuple[str, ...]:
    """All texts of an instruction."""
    if isinstance(instruction, str):
        return (instruction,)
    return (instruction.instruction, *(text for _, text in instruction.others))


def instruction_from(value: Any) -> Instruction:
    """An instruction from its plain JSON values."""
    if isinstance(value, str):
        return value
    others = tuple((code, text) for code, text in value["others"])
    return ByLanguage(value["instruction"], others)
