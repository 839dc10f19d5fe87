//! The columns of tables, and where a source's are.

use mohhos_decode::{ColumnType, TableId, TableSchema, telemetry};

use crate::error::PlanError;
use crate::expr::name;
use crate::plan::{SourceSpec, Type};

/// The columns of a table as the engine sees them: name, type, position in the batch.
fn table_columns(table: TableId, tables: &[TableSchema]) -> Result<Vec<(String, Type, usize)>, String> {
    if table == 0 {
        return Ok([
            ("device", Type::Device, telemetry::DEVICE),
            ("metric", Type::Metric, telemetry::METRIC),
            ("ts", Type::Timestamp, telemetry::TS),
            ("num", Type::Double, telemetry::NUM),
            ("text", Type::Text, telemetry::TEXT),
            ("quality", Type::Quality, telemetry::QUALITY),
            ("table", Type::Metric, telemetry::TABLE),
        ]
        .map(|(name, kind, position)| (name.to_owned(), kind, position))
        .into());
    }
    let Some(schema) = tables.iter().find(|t| t.id == table) else {
        return Err(format!("there is no table {table}; declare it before the rule"));
    };
    let kind = |kind| match kind {
        ColumnType::Double => Type::Double,
        ColumnType::BigInt => Type::BigInt,
        ColumnType::Int => Type::Int,
        ColumnType::Boolean => Type::Boolean,
        ColumnType::Text => Type::Text,
        ColumnType::Timestamp => Type::Timestamp,
        ColumnType::Device => Type::Device,
        ColumnType::Metric => Type::Metric,
        ColumnType::Quality => Type::Quality,
    };
    Ok(schema.columns.iter().enumerate().map(|(i, c)| (c.name.clone(), kind(c.kind), i)).collect())
}

/// Where the columns of a source are in the table's batches.
pub(crate) fn resolve(spec: &SourceSpec, tables: &[TableSchema]) -> Result<Vec<(usize, Type)>, PlanError> {
    let at = |message: String| PlanError::new(&spec.id, message);
    let known = table_columns(spec.table, tables).map_err(at)?;
    let mut columns = Vec::with_capacity(spec.columns.len());
    for (index, column) in spec.columns.iter().enumerate() {
        if spec.columns[..index].iter().any(|c| c.name == column.name) {
            return Err(at(format!("column `{}` is listed twice", column.name)));
        }
        match known.iter().find(|(name, ..)| *name == column.name) {
            Some(&(_, kind, position)) if kind == column.kind => columns.push((position, kind)),
            Some((_, kind, _)) => {
                let message =
                    format!("column `{}` is {}, not {}", column.name, name(*kind), name(column.kind));
                return Err(at(message));
            }
            None => return Err(at(format!("table {} has no column `{}`", spec.table, column.name))),
        }
    }
    Ok(columns)
}
