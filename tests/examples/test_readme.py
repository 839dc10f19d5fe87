"""What the README says can be typed: its commands exist, its SQL is that of the example."""

import re
import shlex
from pathlib import Path

import click
import pytest

from mohhos.cli.program import program

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
LINES = [line.strip() for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL) for line in block.splitlines()]
COMMANDS = [line for line in LINES if "mohhos " in line and not line.startswith("mosquitto")]


def words_of(line: str) -> list[str]:
    inner = re.search(r"\$\((mohhos [^)]*)\)", line)
    text = inner[1] if inner else line.split("#", maxsplit=1)[0].rstrip("& ")
    return shlex.split(text)[1:]


@pytest.mark.parametrize("line", COMMANDS)
def test_every_mohhos_command_exists_with_its_options(line: str) -> None:
    words = words_of(line)
    context = click.Context(program, info_name="mohhos")
    command: click.Command = program
    while isinstance(command, click.Group):
        name = words.pop(0)
        found = command.get_command(context, name)
        assert found is not None, f"mohhos has no {name}"
        context = click.Context(found, info_name=name, parent=context)
        command = found
    # Parses options and arguments; wrong ones raise.
    command.make_context(command.name, words, parent=context.parent)


def test_every_make_target_exists() -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    wanted = [line.split()[1] for line in LINES if line.startswith("make ")]
    assert wanted
    assert set(wanted) <= set(targets)


def test_the_rule_is_that_of_the_example() -> None:
    (shown,) = re.findall(r"```sql\n-- examples/hot.sql\n(.*?)```", README, re.DOTALL)
    example = (ROOT / "examples" / "hot.sql").read_text(encoding="utf-8")
    assert shown.strip() in example


def test_every_link_leads_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
