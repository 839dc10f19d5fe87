from pathlib import Path

from mohhos.config_reference import render

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"


def test_the_page_of_the_configuration_is_what_the_program_would_write_now() -> None:
    assert PAGE.read_text(encoding="utf-8") == render(), "run python -m mohhos.config_reference docs/configuration.md"


def test_the_page_names_every_key_with_its_meaning() -> None:
    page = render()
    assert "| `max_connections` | number | `30000` |" in page
    assert "| `anonymous_role` | text |" in page
    assert "| **live** |" in page
