"""`[[log.classes]]`: topics whose messages are kept otherwise than the rest."""

from dataclasses import dataclass
from typing import Final

from mohhos.config_keys import key
from mohhos.errors import MohhosError

__all__ = ["LogClass", "check"]

MAX_LOG_CLASSES: Final = 15


@dataclass(frozen=True)
class LogClass:
    """Topics with a retention and a sync interval of their own; a topic is of the first class that has a filter for it.

    A message is acknowledged after its sync in every class: a longer interval spares flash memory, and costs the
    sender as much waiting. docs/log.md says more.
    """

    name: str = key("telemetry", "The class's name.", pattern=r"[\w.-]{1,64}")
    topics: tuple[str, ...] = key(("devices/+/telemetry/#",), "Topic filters, with `+` and `#` as in MQTT.")
    retain_size: int = key(
        "4 GiB",
        "The oldest messages of the class go when there are more bytes of them.",
        kind="size",
        low="1 MiB",
        high="1024 TiB",
        native="retain_bytes",
    )
    retain_age: int = key(
        "7 d",
        "Messages of the class go when they are older.",
        kind="duration",
        low="1 min",
        high="3650 d",
        native="retain_age_s",
    )
    sync_interval: int = key(
        "0 us",
        "Messages of the class may wait this long for their sync, unless others are synced anyway.",
        kind="duration",
        low="0 us",
        high="1 h",
        native="sync_interval_us",
    )


def check(classes: tuple[LogClass, ...]) -> None:
    """Raises MohhosError config-out-of-range for too many classes, two of one name, and what is no topic filter."""
    if len(classes) > MAX_LOG_CLASSES:
        raise MohhosError(
            "config-out-of-range",
            f"log.classes has {len(classes)} entries",
            f"there can be {MAX_LOG_CLASSES}",
            "Give classes that are kept equally long to one entry: topics is a list",
            path="log.classes",
        )
    names = [each.name for each in classes]
    for index, each in enumerate(classes):
        path = f"log.classes[{index}]"
        if names.index(each.name) != index:
            raise MohhosError(
                "config-out-of-range",
                f'{path}.name is "{each.name}"',
                "another class has that name",
                "Give every class a name of its own",
                path=f"{path}.name",
            )
        wrong = [topic for topic in each.topics if not _is_filter(topic)]
        if wrong or not each.topics:
            raise MohhosError(
                "config-out-of-range",
                f'{path}.topics has "{wrong[0]}"' if wrong else f"{path}.topics is empty",
                "`+` stands for one whole level, `#` for all that follow"
                if wrong
                else "no message would be of the class",
                'Write topic filters, such as topics = ["devices/+/telemetry/#"]',
                path=f"{path}.topics",
            )


def _is_filter(topic: str) -> bool:
    *before, last = topic.split("/")
    levels = [*before, "" if last == "#" else last]
    return topic not in ("", "\0") and all(level == "+" or not set(level) & set("+#\0") for level in levels)
