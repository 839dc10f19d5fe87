"""The arrows of DESIGN.md, section Layout: imports point down, and areas never import each other."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "python" / "mohhos"

#: From the top down; what stands in one row does not import from each other.
ROWS: list[set[str]] = [
    {"__main__", "service"},
    {"app"},
    {"api", "cli", "solutions"},
    {"devices", "discovery", "identity", "defence", "ml", "sync", "alerts"},
    {"stream", "storage"},
    {"hub"},
    {"config_reference", "doctor"},
    {"config"},
    {"config_listener", "config_log"},
    {"config_keys"},
    {"model", "units", "clock", "errors"},
]
#: Stand apart: they depend on the client or on nothing of the gateway.
APART: dict[str, set[str]] = {
    "client": {"errors"},
    "sim": {"client", "errors", "units", "model", "clock"},
    "adapters": {"client", "errors", "units"},
    "ui": set(),
}
#: Arrows that the table does not have, each with its reason.
ALSO: dict[tuple[str, str], str] = {
    ("stream", "storage"): "rules are stored in the registry; storage knows nothing of rules",
    ("cli", "app"): "mohhos up starts the composition root, imported within the command",
    ("cli", "service"): "mohhos up runs the service, imported within the command",
    ("cli", "client"): "commands talk to the API as everybody does",
    ("cli", "sim"): "mohhos sim",
}


def part_of(name: str) -> str:
    """The part of the package that a module belongs to: `mohhos.api.auth` to `api`."""
    return [*name.split("."), ""][1]


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def imports(path: Path) -> Iterator[tuple[str, str, int]]:
    """Who imports whom, in parts of the package, and the line."""
    relative = path.relative_to(PACKAGE).with_suffix("")
    own = relative.parts[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} imports relatively; write the whole name"
            module = node.module or ""
            names = [f"{module}.{alias.name}" for alias in node.names] if module == "mohhos" else [module]
        else:
            continue
        for name in names:
            if name.startswith("mohhos.") and part_of(name) not in {own, "_native"}:
                yield own, part_of(name), node.lineno


def allowed(own: str, other: str) -> bool:
    if (own, other) in ALSO:
        return True
    if own in APART:
        return other in APART[own]
    rank = {part: row for row, parts in enumerate(ROWS) for part in parts}
    return own in rank and other in rank and rank[own] < rank[other]


def test_imports_point_down() -> None:
    arrows = [(path, *arrow) for path in modules() for arrow in imports(path)]
    assert len(arrows) > 100, "the test saw no imports: has the package moved?"
    wrong = [f"{path.relative_to(PACKAGE)}:{line} {a} -> {b}" for path, a, b, line in arrows if not allowed(a, b)]
    assert wrong == []


def test_every_part_of_the_package_has_its_row() -> None:
    known = set().union(*ROWS, APART, {"__init__"})
    parts = {path.relative_to(PACKAGE).with_suffix("").parts[0] for path in modules()}
    assert parts - known == set()


def test_every_exception_to_the_arrows_is_still_needed() -> None:
    used = {(a, b) for path in modules() for a, b, _ in imports(path)}
    assert set(ALSO) - used == set()


@pytest.mark.parametrize(
    ("own", "other", "fine"),
    [
        ("app", "devices", True),
        ("devices", "storage", True),
        ("devices", "identity", False),
        ("storage", "devices", False),
        ("storage", "stream", False),
        ("hub", "storage", False),
        ("config", "hub", False),
        ("adapters", "hub", False),
    ],
)
def test_the_check_tells_right_from_wrong(own: str, other: str, fine: bool) -> None:
    assert allowed(own, other) is fine
