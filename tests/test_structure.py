"""The structure of the package: folders import only what lies below them, nothing imports in a circle.

Not here: what any of it does.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "magpie_hf"
MODULES = {".".join(file.relative_to(PACKAGE).with_suffix("").parts): file for file in PACKAGE.rglob("*.py")}
MOST_ENTRIES = 31  # what a newcomer sees in the package's root

# Low to high. A name is a folder of the package, or a module at its root.
FLOORS = [
    {"errors", "schema", "stage"},
    {"text", "limits", "named"},
    {"models", "answers", "problems"},
    {"engines", "domains"},
    {"scorers", "progress", "store"},
    {"stages", "review"},
    {"selection"},
    {"recipe"},
    {"recipe_file"},
    {"run", "card"},
    {"dataset"},
    {"building", "hub"},
    {"report"},
    {"planning"},
    {"cli"},
    {"__main__"},
]
# What asks an engine knows the seam alone: only scripts, the command line and tests name a concrete engine.
CONCRETE = ("engines.vllm", "engines.served", "engines.fake")


def imports(module: str) -> Iterator[str]:
    """The modules of this package that a module imports, also inside functions and for type checkers."""
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "magpie_hf":
            base = (node.module or "").removeprefix("magpie_hf").lstrip(".")
            for alias in node.names:
                name = f"{base}.{alias.name}".lstrip(".")
                yield name if name in MODULES else base
        elif isinstance(node, ast.Import):
            names = (alias.name for alias in node.names)
            yield from (name.removeprefix("magpie_hf.") for name in names if name.startswith("magpie_hf."))


def folder(module: str) -> str:
    return module.rpartition(".")[0] or module


CODE = sorted(module for module in MODULES if not module.endswith("__init__"))
ARROWS = {module: sorted(set(imports(module)) - {module}) for module in CODE}


@pytest.mark.parametrize("module", CODE)
def test_a_folder_imports_only_lower_ones(module: str) -> None:
    floor = {name: number for number, names in enumerate(FLOORS) for name in names}
    own = module.partition(".")[0]
    for name in ARROWS[module]:
        other = name.partition(".")[0]
        assert other == own or floor[other] < floor[own], f"{module} imports {name}, which is not below it"
    if own in ("stages", "scorers"):
        concrete = [name for name in ARROWS[module] if name.startswith(CONCRETE)]
        assert not concrete, f"{module} names a concrete engine: {concrete[0]}"


@pytest.mark.parametrize("place", [str, folder], ids=["modules", "folders"])
def test_nothing_imports_in_a_circle(place: type[str]) -> None:
    graph: dict[str, set[str]] = {}
    for module, names in ARROWS.items():
        graph.setdefault(place(module), set()).update({place(name) for name in names} - {place(module)})
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_every_part_has_its_floor() -> None:
    there = {module.partition(".")[0] for module in CODE}
    assert there == set().union(*FLOORS)
    assert sum(map(len, FLOORS)) == len(there), "a part has two floors"


def test_the_root_is_seen_at_a_glance() -> None:
    entries = [entry.name for entry in PACKAGE.iterdir() if entry.name != "__pycache__"]
    assert len(entries) <= MOST_ENTRIES, sorted(entries)


@pytest.mark.parametrize(
    "place", sorted({file.parent for file in MODULES.values()} - {PACKAGE}), ids=lambda p: p.name
)
def test_every_folder_says_what_lives_there_and_what_never_does(place: Path) -> None:
    said = ast.get_docstring(ast.parse((place / "__init__.py").read_text())) or ""
    what, never = [line for line in said.splitlines() if line]
    assert what.endswith(".")
    assert never.startswith("Never here: ")
