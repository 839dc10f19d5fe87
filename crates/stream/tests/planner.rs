//! The planner's own examples run: what Python makes of SQL and what the engine takes are one format.

#![allow(clippy::unwrap_used)] // Clippy does not see that helpers of tests are tests.

mod common;

use std::path::Path;

use mohhos_decode::{ColumnSchema, ColumnType, TableSchema};
use mohhos_stream::plan::{OperatorSpec, Plan, Type};

/// The declared table that a plan reads, as far as the plan tells.
fn table_of(plan: &Plan) -> Option<TableSchema> {
    let Some(OperatorSpec::Source(source)) = plan.operators.first() else { return None };
    let kind = |kind| match kind {
        Type::Double => ColumnType::Double,
        Type::Int => ColumnType::Int,
        Type::BigInt => ColumnType::BigInt,
        Type::Boolean => ColumnType::Boolean,
        Type::Text => ColumnType::Text,
        Type::Timestamp => ColumnType::Timestamp,
        Type::Device => ColumnType::Device,
        Type::Metric => ColumnType::Metric,
        Type::Quality => ColumnType::Quality,
    };
    let columns = source.columns.iter().map(|c| ColumnSchema { name: c.name.clone(), kind: kind(c.kind) });
    let columns: Vec<_> = columns.collect();
    let rowtime = columns.iter().position(|c| c.name == source.rowtime)?;
    let (name, filter) = (String::from("declared"), String::from("declared/+"));
    (source.table != 0).then_some(TableSchema { id: source.table, name, filter, columns, rowtime })
}

#[test]
fn every_plan_that_the_planner_is_tested_with_deploys() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/unit/stream/plans");
    let mut deployed = 0;
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|e| e != "json") {
            continue;
        }
        let json = std::fs::read_to_string(&path).unwrap();
        let plan: Plan = serde_json::from_str(&json).unwrap();
        let mut engine = common::engine();
        engine.put_tables(table_of(&plan).into_iter().collect(), &mut common::Seen::default());
        if let Err(error) = engine.deploy(&plan.rule, plan.rule_version, &json) {
            panic!("{}: {error}", path.display());
        }
        // Writing it again gives the same plan: nothing is lost in reading.
        let again: Plan = serde_json::from_str(&serde_json::to_string(&plan).unwrap()).unwrap();
        assert_eq!(again, plan);
        deployed += 1;
    }
    assert!(deployed > 0, "no plans were found");
}
