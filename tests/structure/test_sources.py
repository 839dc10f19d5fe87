"""Sizes and types: a file that is too long is two things, and what is not typed is not checked."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
LONGEST = 500


def files(*patterns: str) -> list[Path]:
    found = [p for pattern in patterns for p in ROOT.glob(pattern) if "target" not in p.parts]
    assert found, f"the test saw no files in {patterns}"
    return sorted(found)


def test_no_file_is_longer_than_five_hundred_lines() -> None:
    sources = files("python/**/*.py", "crates/**/*.rs", "bench/**/*.py", "tests/**/*.py")
    sizes = {p.relative_to(ROOT): len(p.read_text(encoding="utf-8").splitlines()) for p in sources}
    assert {str(path): size for path, size in sizes.items() if size > LONGEST} == {}


def test_every_function_of_the_package_is_typed() -> None:
    untyped = []
    for path in files("python/mohhos/**/*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
                bare = [a.arg for a in given if a.annotation is None and a.arg not in {"self", "cls"}]
                if node.returns is None or bare:
                    untyped.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name}")
    assert untyped == []


def test_every_module_says_what_it_is() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for path in files("python/mohhos/**/*.py")
        if ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) is None
    ]
    assert silent == []


def test_no_source_names_a_package_registry_or_a_path_of_a_machine() -> None:
    texts = files(
        "python/**/*.py", "crates/**/*.rs", "docs/**/*.md", "tests/**/*.py", "*.toml", "Makefile", "scripts/*"
    )
    forbidden = ["/ro" + "ot/", "/wo" + "rk/", "index-" + "url =", "pypi" + ".org/simple", "static.crates" + ".io"]
    named = [
        f"{path.relative_to(ROOT)}: {word}"
        for path in texts
        for word in forbidden
        if word in path.read_text(encoding="utf-8", errors="replace")
    ]
    assert named == []
