"""Every code has a page and a place where it is raised, and nothing else has either."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from mohhos.errors import KINDS

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "errors"
PACKAGE = ROOT / "python" / "mohhos"
#: Where a code is computed, which can only be out of the table: file and what is written there.
COMPUTED = {
    ("api/problems.py", "_CODES.get(error.status_code, 'request-invalid')"): "the table of that file",
    ("errors.py", "known"): "looked up in the table in the line before",
}
RAISING = {"MohhosError", "RuleError", "Misuse", "at"}
HEADINGS = ("## What happened", "## Why", "## What to do")


def sources() -> str:
    """Every source that may raise, except the table itself."""
    files = [
        p for p in (ROOT / "python" / "mohhos").rglob("*.py") if p.name != "errors.py" or p.parent.name != "mohhos"
    ]
    files += [p for p in (ROOT / "crates").rglob("*.rs") if "tests" not in p.parts]
    assert len(files) > 50, "the test saw no sources: have they moved?"
    return "\n".join(p.read_text(encoding="utf-8") for p in files)


def test_every_code_has_a_page_and_every_page_a_code() -> None:
    pages = {page.stem for page in PAGES.glob("*.md")} - {"README"}
    assert pages, "the test saw no pages"
    assert pages - set(KINDS) == set(), "pages without a code"
    assert set(KINDS) - pages == set(), "codes without a page"


def test_every_page_says_what_happened_why_and_what_to_do() -> None:
    for code, kind in KINDS.items():
        text = (PAGES / f"{code}.md").read_text(encoding="utf-8")
        assert text.startswith(f"# {kind.title}\n\n`{code}`"), f"{code}.md starts otherwise"
        for heading in HEADINGS:
            assert heading in text, f"{code}.md lacks {heading}"


def test_every_code_is_raised_somewhere() -> None:
    text = sources()
    raised = {
        code for code in KINDS if re.search(rf'"{code}"', text) or re.search(rf'"{code.replace("-", "_")}"', text)
    }
    assert set(KINDS) - raised == set()


def test_every_code_of_the_native_core_is_in_the_table() -> None:
    text = "\n".join(p.read_text(encoding="utf-8") for p in (ROOT / "crates").rglob("src/**/*.rs"))
    calls = re.findall(r'(?:\.raise|\.clear|\.alarm|Error::new|Self::new)\(\s*"([a-z]+(?:[-_][a-z]+)+)"', text)
    codes = {*calls, *re.findall(r'Error::\w+(?: \{ \.\. \}|\(_\))? => "([a-z_-]+)"', text)}
    codes |= set(re.findall(r'const ALARM: &str = "([a-z-]+)"', text))
    assert len(codes) > 10, "the test saw no codes: has the core changed how it names them?"
    assert {code.replace("_", "-") for code in codes} - set(KINDS) == set()


def modules() -> dict[str, ast.Module]:
    """All modules of the package by their path in it."""
    found = {str(p.relative_to(PACKAGE)): ast.parse(p.read_text(encoding="utf-8")) for p in PACKAGE.rglob("*.py")}
    assert len(found) > 50, "the test saw no modules: has the package moved?"
    return found


def takers(trees: dict[str, ast.Module]) -> dict[str, set[int]]:
    """Functions, methods and classes that are given a `code`, and at which place (without self)."""
    found: dict[str, set[int]] = {}
    for tree in trees.values():
        for owner in ast.walk(tree):
            fields = [n for n in owner.body if isinstance(n, ast.AnnAssign)] if isinstance(owner, ast.ClassDef) else []
            names = [n.target.id for n in fields if isinstance(n.target, ast.Name)]
            if isinstance(owner, ast.ClassDef) and "code" in names:
                found.setdefault(owner.name, set()).add(names.index("code"))
            for node in ast.iter_child_nodes(owner):
                if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    continue
                parameters = [a.arg for a in node.args.args if a.arg not in {"self", "cls"}]
                if "code" in parameters:
                    name = owner.name if node.name == "__init__" and isinstance(owner, ast.ClassDef) else node.name
                    found.setdefault(name, set()).add(parameters.index("code"))
    return found


def given_codes() -> Iterator[tuple[str, int, str, str | None]]:
    """Where a code is given: file, line, what is written there, and the code if it is a constant."""
    trees = modules()
    known = takers(trees)
    assert known["MohhosError"] == {0} and known["at"] == {2}, "the test does not see who takes codes"
    for path, tree in trees.items():
        constants = {
            target.id: value.value
            for node in tree.body
            if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(value := node.value, ast.Constant)
            for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
            if isinstance(target, ast.Name)
        }
        for call in ast.walk(tree):
            if not isinstance(call, ast.Call):
                continue
            called = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
            places = known.get(called, set())
            arguments = [a for place, a in enumerate(call.args) if place in places]
            arguments += [k.value for k in call.keywords if k.arg == "code" and places]
            for argument in arguments:
                value = argument.value if isinstance(argument, ast.Constant) else None
                if isinstance(argument, ast.Name):
                    value = constants.get(argument.id)
                raises = called in RAISING
                # Other methods may have the name of one that takes a code: what is none in form is not meant.
                if isinstance(value, str) and (raises or re.fullmatch(r"[a-z]+(?:-[a-z]+)*", value)):
                    yield path, call.lineno, called, value
                elif raises and ast.unparse(argument) != "code":
                    yield path, call.lineno, ast.unparse(argument), None


def test_every_code_that_python_gives_is_in_the_table() -> None:
    given = list(given_codes())
    assert len(given) > 150, "the test saw no codes: are they given otherwise now?"
    assert [(path, line, code) for path, line, _, code in given if code is not None and code not in KINDS] == []


def test_a_code_that_is_computed_comes_out_of_the_table() -> None:
    computed = {(path, text) for path, _, text, code in given_codes() if code is None}
    assert computed == set(COMPUTED)


def test_what_is_read_of_the_native_core_are_codes() -> None:
    """Codes that reach Python as events or exceptions: by name, wherever the core writes them down."""
    text = "\n".join(p.read_text(encoding="utf-8") for p in (ROOT / "crates").rglob("src/**/*.rs"))
    calls = re.findall(r'(?:\bnative|\balarm|\braise|\bclear|GatewayError::new)\(\s*"([^"]*)"', text)
    named = re.findall(r'code: "([^"]*)"', text) + re.findall(r'let code = [^;]*?"([a-z-]+)"[^;]*;', text)
    found = {*calls, *named}
    assert {"log-stalled", "log-unreadable", "native-failed", "history-stalled"} <= found
    assert {code.replace("_", "-") for code in found} - set(KINDS) == set()


def test_the_index_lists_every_code() -> None:
    index = (PAGES / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"\]\(([a-z-]+)\.md\)", index)) == set(KINDS)
