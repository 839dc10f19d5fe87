"""Every code has a page and a place where it is raised, and nothing else has either."""

import re
from pathlib import Path

from mohhos.errors import KINDS

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "errors"
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


def test_the_index_lists_every_code() -> None:
    index = (PAGES / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"\]\(([a-z-]+)\.md\)", index)) == set(KINDS)
