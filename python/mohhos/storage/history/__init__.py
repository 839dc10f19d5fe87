"""History: readings in Parquet files, queried with DuckDB in a process of its own."""

from mohhos.storage.history.native import NativeHistory
from mohhos.storage.history.queries import HistoryQueries, QuerySettings, Table

__all__ = ["HistoryQueries", "NativeHistory", "QuerySettings", "Table"]
