"""`mohhos telemetry`."""

import click

from mohhos.cli.context import Settings
from mohhos.cli.output import format_option, table

__all__ = ["command"]


@click.command()
@click.argument("device")
@click.option("--metric", multiple=True, help="Only this metric; may be repeated.")
@click.option("--from", "begin", default="-1h", show_default=True, help="ISO 8601, microseconds, or an age (-15m).")
@click.option("--to", "end", default="now", show_default=True, help="As --from; exclusive.")
@click.option("--desc", is_flag=True, help="The newest first.")
@click.option("--limit", type=click.IntRange(1), help="At most so many; all without it.")
@click.option("--bucket", help="One row per bucket of time (60s) with avg, min and max.")
@format_option
@click.pass_obj
def command(
    settings: Settings,
    device: str,
    metric: tuple[str, ...],
    begin: str,
    end: str,
    desc: bool,
    limit: int | None,
    bucket: str | None,
    form: str,
) -> None:
    """Shows recorded readings of DEVICE."""
    path = f"/devices/{device}/telemetry"
    with settings.client() as client:
        if bucket:
            answer = client.request("GET", f"{path}/buckets", metric=list(metric), from_=begin, to=end, bucket=bucket)
            rows = (
                {"metric": name, "ts": ts, "avg": avg, "min": low, "max": high}
                for name, series in answer["metrics"].items()
                for ts, avg, low, high in zip(series["ts"], series["avg"], series["min"], series["max"], strict=True)
            )
            table(("metric", "ts", "avg", "min", "max"), rows, form)
            return
        order = "desc" if desc else "asc"
        found = client.items(path, limit, metric=list(metric), from_=begin, to=end, order=order)
        table(("time", "metric", "num", "text", "quality"), found, form)
