//! Columns to Parquet: writer, manifest, tail, retention.
