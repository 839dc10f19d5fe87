"""The table of the standard's statements has each of them once, with tests that exist, and counts them right."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
TABLE = ROOT / "docs" / "conformance.md"

#: The numbers of appendix B of the standard: section, and how many statements it has (or from which to which).
MQTT_5 = """
1.5.4 3, 1.5.5 1, 1.5.7 1, 2.1.3 1, 2.2.1 2-6, 2.2.2 1,
3.1.0 2, 3.1.2 30, 3.1.3 12, 3.1.4 6, 3.2.0 2, 3.2.2 22, 3.3.1 13, 3.3.2 20, 3.3.4 10, 3.4.2 3, 3.5.2 3, 3.6.1 1,
3.6.2 3, 3.7.2 3, 3.8.1 1, 3.8.3 5, 3.8.4 8, 3.9.2 2, 3.9.3 2, 3.10.1 1, 3.10.3 2, 3.10.4 6, 3.11.2 2, 3.11.3 2,
3.12.4 1, 3.14.0 1, 3.14.1 1, 3.14.2 4, 3.14.4 3, 3.15.1 1, 3.15.2 3,
4.1.0 2, 4.2 1, 4.3.1 1, 4.3.2 5, 4.3.3 13, 4.4.0 2, 4.5.0 2, 4.6.0 6, 4.7.0 1, 4.7.1 2, 4.7.2 1, 4.7.3 4, 4.8.2 6,
4.9.0 3, 4.12.0 7, 4.12.1 2, 4.13.1 1, 4.13.2 1, 6.0.0 4
"""
MQTT_3_1_1 = """
1.5.3 3, 2.2.2 2, 2.3.1 7,
3.1.0 2, 3.1.2 24, 3.1.3 11, 3.1.4 5, 3.2.0 1, 3.2.2 6, 3.3.1 12, 3.3.2 3, 3.3.4 1, 3.3.5 2, 3.6.1 1, 3.8.1 1, 3.8.3 4,
3.8.4 6, 3.9.3 2, 3.10.1 1, 3.10.3 2, 3.10.4 6, 3.12.4 1, 3.14.1 1, 3.14.4 3,
4.1.0 2, 4.3.1 1, 4.3.2 2, 4.3.3 2, 4.4.0 1, 4.5.0 2, 4.6.0 6, 4.7.1 3, 4.7.2 1, 4.7.3 4, 4.8.0 2,
6.0.0 4, 7.0.0 2, 7.1.1 1, 7.1.2 1
"""
VERSIONS = {"MQTT 5.0": (MQTT_5, 251), "MQTT 3.1.1": (MQTT_3_1_1, 141)}
NOT_APPLICABLE = re.compile(r'not applicable: ".{12,}"')


def statements(sections: str) -> list[str]:
    """All numbers that a list of sections stands for."""
    found = []
    for entry in sections.replace("\n", " ").split(","):
        section, count = entry.split()
        first, _, last = count.rpartition("-")
        found += [f"MQTT-{section}-{n}" for n in range(int(first or 1), int(last) + 1)]
    return found


def rows(version: str) -> list[list[str]]:
    """The cells of the table of one version."""
    text = TABLE.read_text(encoding="utf-8")
    part = text.split(f"\n## {version}\n", 1)[1].split("\n## ", 1)[0]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in part.splitlines() if "| MQTT-" in line]


def named_tests(version: str) -> Iterator[tuple[str, str, str]]:
    """Statement, file and test for each test that the table names."""
    for statement, _, _, shown in rows(version):
        if not NOT_APPLICABLE.fullmatch(shown):
            for named in shown.split("<br>"):
                match = re.fullmatch(r"`([\w./]+)::(\w+)`", named)
                assert match, f"{statement}: neither a test nor the statement's words: {named}"
                yield statement, match[1], match[2]


def names_in(path: str) -> set[str]:
    """The names of the tests in a file."""
    text = (ROOT / path).read_text(encoding="utf-8")
    if path.endswith(".py"):
        tree = ast.parse(text)
        return {n.name for n in tree.body if isinstance(n, ast.FunctionDef) and n.name.startswith("test_")}
    return set(re.findall(r"#\[test\]\s+fn (\w+)\(", text))


def test_every_statement_of_the_standard_is_in_the_table_once() -> None:
    for version, (sections, how_many) in VERSIONS.items():
        wanted = statements(sections)
        assert len(wanted) == how_many
        got = Counter(row[0] for row in rows(version))
        assert got == Counter(wanted), version


def test_every_row_says_what_is_asked_for_and_of_whom() -> None:
    for version in VERSIONS:
        for row in rows(version):
            assert len(row) == 4 and row[1] and row[2] in {"server", "client", "both"}, row


def test_every_test_in_the_table_exists() -> None:
    files: dict[str, set[str]] = {}
    missing = []
    for version in VERSIONS:
        for statement, path, name in named_tests(version):
            if path not in files:
                files[path] = names_in(path) if (ROOT / path).is_file() else set()
            if name not in files[path]:
                missing.append(f"{version} {statement}: {path} has no test {name}")
    assert missing == []
    assert len(files) > 10, "the test saw hardly any files"


def test_the_table_ends_with_how_many_statements_there_are() -> None:
    text = TABLE.read_text(encoding="utf-8")
    for version in VERSIONS:
        all_rows = rows(version)
        without = sum(bool(NOT_APPLICABLE.fullmatch(row[3])) for row in all_rows)
        line = f"| {version} | {len(all_rows)} | {len(all_rows) - without} | {without} |"
        assert line in text.split("## How many", 1)[1], f"the count is another: {line}"


def test_every_conformance_test_is_in_the_table() -> None:
    named = {(path, name) for version in VERSIONS for _, path, name in named_tests(version)}
    files = sorted((ROOT / "crates" / "hub" / "tests").glob("conformance_*.rs"))
    assert files, "the test saw no files"
    unnamed = [
        f"{path.name}: {name}"
        for path in files
        for name in sorted(names_in(str(path.relative_to(ROOT))))
        if (str(path.relative_to(ROOT)), name) not in named
    ]
    assert unnamed == []
