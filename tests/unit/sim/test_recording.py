"""Recordings: decimal commas, missing values, times, and words for what is wrong."""

import itertools
from pathlib import Path

import pytest

from mohhos.errors import MohhosError
from mohhos.sim.recording import Map, Row, built_in, load_map, payload, read

EXCERPT = Path(__file__).parents[2] / "data" / "air_quality_excerpt.csv"
HOUR_US = 3_600_000_000


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "recording.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_air_quality_recording_has_decimal_commas_and_missing_values() -> None:
    rows = list(read(EXCERPT, load_map("air-quality-uci")))
    assert len(rows) == 48
    first = rows[0]
    assert first.ts_us == 1_078_941_600_000_000, "2004-03-10 18:00 UTC"
    assert (first.readings["co"], first.readings["benzene"], first.readings["humidity"]) == (2.6, 11.9, 48.9)
    assert all(value != -200 for row in rows for value in row.readings.values())
    assert [b.ts_us - a.ts_us for a, b in itertools.pairwise(rows)] == [HOUR_US] * 47
    missing = sum("-200" in line for line in EXCERPT.read_text(encoding="utf-8").splitlines())
    assert sum(len(row.readings) < 13 for row in rows) == missing > 0


def test_a_row_becomes_what_a_device_publishes() -> None:
    assert payload(Row(5, {"flow": 1.5, "state": "on"})) == {"ts": 5, "flow": 1.5, "state": "on"}


def test_empty_lines_and_rows_without_any_value_are_left_out(tmp_path: Path) -> None:
    path = write(tmp_path, "time,a\n2026-01-01T00:00:00Z,1\n,\n2026-01-01T00:00:01Z,\n")
    assert [row.readings for row in read(path, Map(time=("time",)))] == [{"a": 1.0}]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("when,a\n1,2\n", "no column 'time'"),
        ("time,a\nyesterday,2\n", "line 2"),
        ("time,a\n2026-01-01,1\n2026-13-01,2\n", "line 3"),
        ('time,a\n2026-01-01,"two\nlines"\nnever,2\n', "line 4"),
        ("", "no column 'time'"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(MohhosError, match=said):
        list(read(write(tmp_path, text), Map(time=("time",))))


def test_a_file_in_another_encoding_is_refused_with_words(tmp_path: Path) -> None:
    path = tmp_path / "latin.csv"
    path.write_bytes("time,a\n2026-01-01,18 °C\n".encode("latin-1"))
    with pytest.raises(MohhosError, match="UTF-8"):
        list(read(path, Map(time=("time",))))


def test_a_mark_of_the_byte_order_is_no_part_of_the_first_column(tmp_path: Path) -> None:
    path = tmp_path / "excel.csv"
    path.write_text("time;a\n2026-01-01;1,5\n", encoding="utf-8-sig")
    how = Map(time=("time",), separator=";", decimal=",")
    assert [row.readings for row in read(path, how)] == [{"a": 1.5}]


def test_numbers_that_json_cannot_say_stay_text(tmp_path: Path) -> None:
    path = write(tmp_path, "time,a,b\n2026-01-01,nan,inf\n")
    assert [row.readings for row in read(path, Map(time=("time",)))] == [{"a": "nan", "b": "inf"}]


def test_a_zone_is_heeded_and_none_is_utc(tmp_path: Path) -> None:
    path = write(tmp_path, "time,a\n1970-01-01T01:00:00+01:00,1\n1970-01-01T00:00:01,2\n")
    assert [row.ts_us for row in read(path, Map(time=("time",)))] == [0, 1_000_000]


def test_maps_are_found_and_checked(tmp_path: Path) -> None:
    assert built_in() == ["air-quality-uci", "skab"]
    with pytest.raises(MohhosError, match="air-quality-uci"):
        load_map("none")
    wrong = tmp_path / "map.toml"
    wrong.write_text('time = ["t"]\ncolour = "red"\n', encoding="utf-8")
    with pytest.raises(MohhosError, match="colour"):
        load_map(str(wrong))
