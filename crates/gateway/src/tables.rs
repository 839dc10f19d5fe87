//! Declared tables, as Python gives them: JSON.

use mohhos_decode::{ColumnSchema, ColumnType, TableSchema};
use serde::Deserialize;

use crate::error::GatewayError;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    id: u32,
    name: String,
    filter: String,
    columns: Vec<Column>,
    rowtime: usize,
    /// Rules carry the delay of the watermark in their plans.
    #[serde(rename = "watermark_us")]
    _watermark_us: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Column {
    name: String,
    kind: Kind,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Double,
    BigInt,
    Int,
    Boolean,
    Text,
    Timestamp,
    Device,
    Metric,
    Quality,
}

impl From<Kind> for ColumnType {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Double => ColumnType::Double,
            Kind::BigInt => ColumnType::BigInt,
            Kind::Int => ColumnType::Int,
            Kind::Boolean => ColumnType::Boolean,
            Kind::Text => ColumnType::Text,
            Kind::Timestamp => ColumnType::Timestamp,
            Kind::Device => ColumnType::Device,
            Kind::Metric => ColumnType::Metric,
            Kind::Quality => ColumnType::Quality,
        }
    }
}

/// Reads the tables.
///
/// # Errors
/// It is not JSON of the right form, an id is 0, or a rowtime is no column.
pub fn parse(json: &str) -> Result<Vec<TableSchema>, GatewayError> {
    let wrong = |why: String| GatewayError::new("native-failed", format!("the tables are not usable: {why}"));
    let tables: Vec<Table> = serde_json::from_str(json).map_err(|e| wrong(e.to_string()))?;
    let schema = |table: Table| {
        if table.id == 0 || table.rowtime >= table.columns.len() {
            return Err(wrong(format!("table {} has id 0, or no column {}", table.name, table.rowtime)));
        }
        let columns = table.columns.into_iter().map(|c| ColumnSchema { name: c.name, kind: c.kind.into() });
        let (id, name, filter, rowtime) = (table.id, table.name, table.filter, table.rowtime);
        Ok(TableSchema { id, name, filter, columns: columns.collect(), rowtime })
    };
    tables.into_iter().map(schema).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_an_id_and_a_rowtime_among_its_columns() {
        let json = |id: u32, rowtime: usize| {
            format!(
                r#"[{{"id": {id}, "name": "t", "filter": "devices/+/telemetry", "rowtime": {rowtime}, "watermark_us": 5,
                    "columns": [{{"name": "ts", "kind": "timestamp"}}, {{"name": "n", "kind": "bigint"}}]}}]"#
            )
        };
        let tables = parse(&json(3, 0)).unwrap();
        assert_eq!((tables[0].id, tables[0].columns[1].kind), (3, ColumnType::BigInt));
        assert!(parse(&json(0, 0)).is_err() && parse(&json(3, 2)).is_err() && parse("[{}]").is_err());
    }
}
