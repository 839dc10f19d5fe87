//! The engine: rules by name, batches through all of them, and nothing that one rule does disturbs another.
//!
//! Snapshot, version 1, integers little-endian: the 4 bytes `MHSS`, the version (u32), the number of rules (u32); for
//! each its name, the rule's version (u32), the first 16 bytes of SHA-256 over its plan, and its state behind its length
//! (u32): watermarks, then the number of operators and for each its id and state, all behind their lengths. Offsets of
//! the log are not in it: who writes it knows which batches it covers.

use mohhos_decode::{Batch, TableSchema};
use sha2::{Digest, Sha256};

use crate::clock::Clock;
use crate::deploy::{self, Environment};
use crate::dict::EngineNames;
use crate::error::{PlanError, SnapshotError};
use crate::outputs::Outputs;
use crate::pipeline::Pipeline;
use crate::rule::{Rule, RuleStats};
use crate::snapshot::{Reader, Writer, damaged};

const MAGIC: &[u8; 4] = b"MHSS";
const SNAPSHOT_VERSION: u32 = 1;

/// Settings of the engine.
#[derive(Debug, Clone, Copy)]
pub struct EngineConfig {
    /// After how long without rows a watermark of scope `device` follows the clock, unless the rule says otherwise.
    pub idle_timeout_us: i64,
    /// How much state one rule may hold.
    pub max_state_bytes: usize,
}

/// A rule's state from a snapshot, waiting for the rule.
struct Saved {
    rule: String,
    version: u32,
    plan: [u8; 16],
    state: Vec<u8>,
}

/// Runs rules. One thread owns it.
pub struct Engine {
    names: EngineNames,
    config: EngineConfig,
    tables: Vec<TableSchema>,
    rules: Vec<Rule>,
    clock: Clock,
    saved: Vec<Saved>,
}

impl Engine {
    /// An engine without rules.
    pub fn new(names: EngineNames, config: EngineConfig) -> Self {
        Self {
            names,
            config,
            tables: Vec::new(),
            rules: Vec::new(),
            clock: Clock::default(),
            saved: Vec::new(),
        }
    }

    /// The declared tables, replacing the set before. A rule whose table is no longer what it was planned for fails;
    /// deploy it again.
    pub fn put_tables(&mut self, tables: Vec<TableSchema>, outputs: &mut dyn Outputs) {
        self.tables = tables;
        for rule in &mut self.rules {
            let Some(pipeline) = &mut rule.pipeline else { continue };
            match deploy::resolve(&pipeline.spec, &self.tables) {
                Ok(columns) => pipeline.source.columns = columns,
                Err(e) => rule.fail(&format!("its table was declared anew: {e}"), outputs),
            }
        }
    }

    /// Starts a rule, or replaces it; takes effect with the next batch. The same plan again changes nothing.
    ///
    /// # Errors
    /// The plan cannot be run; the rule that was there before goes on.
    pub fn deploy(&mut self, name: &str, version: u32, plan_json: &str) -> Result<(), PlanError> {
        let position = self.rules.iter().position(|r| r.stats.name == name);
        let same = |r: &Rule| r.pipeline.is_some() && r.stats.version == version && r.plan == plan_json;
        if position.is_some_and(|p| same(&self.rules[p])) {
            return Ok(());
        }
        let mut pipeline = self.compile(name, version, plan_json)?;
        if let Some(index) = self.saved.iter().position(|s| s.rule == name) {
            let saved = self.saved.swap_remove(index);
            if saved.is_of(version, plan_json) {
                let restored = pipeline.restore(self.clock.elapsed_us(), &mut Reader::new(&saved.state));
                restored
                    .map_err(|e| PlanError::plan(format!("{e}; deployed again, it starts without state")))?;
            }
        }
        let rule = Rule::new(name, version, plan_json, pipeline);
        match position {
            Some(position) => self.rules[position] = rule,
            None => self.rules.push(rule),
        }
        Ok(())
    }

    /// Checks a plan without starting it.
    ///
    /// # Errors
    /// The plan cannot be run.
    pub fn check(&self, name: &str, version: u32, plan_json: &str) -> Result<(), PlanError> {
        self.compile(name, version, plan_json).map(|_| ())
    }

    fn compile(&self, name: &str, version: u32, plan_json: &str) -> Result<Pipeline, PlanError> {
        let plan = deploy::parse(name, version, plan_json)?;
        let environment = Environment {
            names: &self.names,
            tables: &self.tables,
            idle_timeout_us: self.config.idle_timeout_us,
            max_state_bytes: self.config.max_state_bytes,
        };
        deploy::pipeline(&plan, &environment)
    }

    /// Stops a rule and forgets its state; false if there is none of that name.
    pub fn remove(&mut self, name: &str) -> bool {
        let before = self.rules.len();
        self.rules.retain(|r| r.stats.name != name);
        before != self.rules.len()
    }

    /// Runs a batch through the rules over its table. `now_us` is wall time.
    pub fn on_batch(&mut self, batch: &Batch, now_us: i64, outputs: &mut dyn Outputs) {
        // What was saved belongs before this batch.
        self.saved.clear();
        let elapsed_us = self.step(now_us);
        let (names, max_bytes) = (&self.names, self.config.max_state_bytes);
        for rule in &mut self.rules {
            if rule.pipeline.as_ref().is_some_and(|p| p.source.table == batch.table) {
                rule.stats.rows_in += batch.rows as u64;
                rule.run(names, max_bytes, now_us, outputs, |p, emitter| {
                    p.on_batch(batch, elapsed_us, emitter)
                });
            }
        }
    }

    /// Lets time pass: closes windows of devices that have been idle. To be called when [`Engine::next_timer`] says;
    /// with constant load at least every second or so. Where more wall time has passed than until the next timer (the
    /// clock was set), only that much counts; ask [`Engine::next_timer`] again afterwards.
    pub fn on_timer(&mut self, now_us: i64, outputs: &mut dyn Outputs) {
        let elapsed_us = self.step(now_us);
        let (names, max_bytes) = (&self.names, self.config.max_state_bytes);
        for rule in &mut self.rules {
            rule.run(names, max_bytes, now_us, outputs, |p, emitter| p.on_timer(now_us, elapsed_us, emitter));
        }
    }

    fn step(&mut self, now_us: i64) -> i64 {
        let deadline = self.next_deadline();
        self.clock.step(now_us, deadline)
    }

    fn next_deadline(&self) -> Option<i64> {
        self.rules.iter().filter_map(|r| r.pipeline.as_ref()?.watermarks.next_deadline()).min()
    }

    /// The wall time at which [`Engine::on_timer`] has something to do.
    pub fn next_timer(&self) -> Option<i64> {
        self.next_deadline().map(|at| self.clock.wall_of(at))
    }

    /// The state of all rules that run.
    pub fn snapshot(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.bytes.extend_from_slice(MAGIC);
        out.u32(SNAPSHOT_VERSION);
        let running = || self.rules.iter().filter_map(|r| Some((r, r.pipeline.as_ref()?)));
        out.u32(running().count() as u32);
        for (rule, pipeline) in running() {
            out.string(rule.stats.name.as_bytes());
            out.u32(rule.stats.version);
            out.bytes.extend_from_slice(&fingerprint(&rule.plan));
            out.nested(|out| pipeline.snapshot(self.clock.elapsed_us(), out));
        }
        out.bytes
    }

    /// Takes the state of rules from a snapshot: of those that are deployed and, until the first batch, of those that
    /// will be. A rule of another version or plan starts empty.
    ///
    /// # Errors
    /// The snapshot cannot be read; nothing has changed.
    pub fn restore(&mut self, bytes: &[u8]) -> Result<(), SnapshotError> {
        let mut restored = Vec::new();
        let mut waiting = Vec::new();
        for saved in read_snapshot(bytes)? {
            match self.rules.iter().position(|r| r.stats.name == saved.rule) {
                None => waiting.push(saved),
                Some(index) if saved.is_of(self.rules[index].stats.version, &self.rules[index].plan) => {
                    let stats = &self.rules[index].stats;
                    let mut pipeline = self
                        .compile(&stats.name, stats.version, &self.rules[index].plan)
                        .map_err(|e| SnapshotError::Damaged(e.to_string()))?;
                    pipeline.restore(self.clock.elapsed_us(), &mut Reader::new(&saved.state))?;
                    restored.push((index, pipeline));
                }
                Some(_) => {}
            }
        }
        for (index, pipeline) in restored {
            self.rules[index].stats.late = pipeline.late();
            self.rules[index].pipeline = Some(pipeline);
        }
        self.saved = waiting;
        Ok(())
    }

    /// What is known of each rule.
    pub fn stats(&self) -> Vec<RuleStats> {
        let stats = |rule: &Rule| {
            let mut stats = rule.stats.clone();
            if let Some(pipeline) = &rule.pipeline {
                stats.late = pipeline.late();
                stats.state_bytes = pipeline.bytes();
            }
            stats
        };
        self.rules.iter().map(stats).collect()
    }
}

impl Saved {
    fn is_of(&self, version: u32, plan: &str) -> bool {
        self.version == version && self.plan == fingerprint(plan)
    }
}

fn fingerprint(plan: &str) -> [u8; 16] {
    let digest = Sha256::digest(plan.as_bytes());
    let mut first = [0; 16];
    first.copy_from_slice(&digest[..16]);
    first
}

fn read_snapshot(bytes: &[u8]) -> Result<Vec<Saved>, SnapshotError> {
    let rest = bytes.strip_prefix(MAGIC).ok_or(SnapshotError::NotASnapshot)?;
    let mut input = Reader::new(rest);
    let version = input.u32()?;
    if version != SNAPSHOT_VERSION {
        return Err(SnapshotError::Version(version, SNAPSHOT_VERSION));
    }
    let mut saved: Vec<Saved> = Vec::new();
    for _ in 0..input.u32()? {
        let (rule, version) = (input.text()?.to_owned(), input.u32()?);
        let plan = input.array()?;
        let state = input.string()?.to_vec();
        if saved.iter().any(|s| s.rule == rule) {
            return Err(damaged("a rule is in it twice"));
        }
        saved.push(Saved { rule, version, plan, state });
    }
    input.end()?;
    Ok(saved)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::RuleFailure;
    use crate::operators::{Context, Downstream, Operator};
    use crate::outputs::{AlertOut, CommandOut, MessageOut};
    use crate::vector::Frame;
    use mohhos_decode::{Column, Data, OffsetRange, TextData, Validity};

    struct Panics;

    impl Operator for Panics {
        fn id(&self) -> &str {
            "panics"
        }

        fn on_batch(
            &mut self,
            _: Frame<'_>,
            _: &mut Context<'_>,
            _: &mut Downstream<'_, '_>,
        ) -> Result<(), RuleFailure> {
            panic!("out of cheese")
        }
    }

    #[derive(Default)]
    struct Heard {
        messages: usize,
        failed: Vec<String>,
    }

    impl Outputs for Heard {
        fn alert(&mut self, _: &AlertOut<'_>) {}
        fn command(&mut self, _: &CommandOut<'_>) {}
        fn message(&mut self, _: &MessageOut<'_>) {
            self.messages += 1;
        }
        fn failed(&mut self, rule: &str, message: &str) {
            self.failed.push(format!("{rule}: {message}"));
        }
        fn rows_failed(&mut self, _: &str, _: u64, _: &str) {}
    }

    fn plan(rule: &str) -> String {
        let plan = r#"{"version":1,"rule":"RULE","rule_version":1,"operators":[
            {"op":"source","id":"s","table":0,"rowtime":"ts","watermark":{"delay_us":0},
             "columns":[{"name":"ts","type":"TIMESTAMP(3)"}]}],
            "sink":{"kind":"topic","id":"k","input":"s","time":"ts","topic":"x","columns":[]}}"#;
        plan.replace("RULE", rule)
    }

    fn batch() -> Batch {
        let column = |data| Column { data, validity: Validity::All };
        let columns = vec![
            column(Data::Code(vec![1])),
            column(Data::Code(vec![1])),
            column(Data::I64(vec![1_000_000])),
            column(Data::F64(vec![1.0])),
            Column { data: Data::Text(TextData::default()), validity: Validity::None },
            column(Data::Byte(vec![0])),
            column(Data::Code(vec![0])),
        ];
        Batch { table: 0, shard: 0, offsets: OffsetRange::default(), arrival_us: 0, rows: 1, columns }
    }

    #[test]
    fn a_rule_that_panics_is_stopped_and_the_others_go_on() {
        let config = EngineConfig { idle_timeout_us: 1, max_state_bytes: 1 << 20 };
        let mut engine = Engine::new(EngineNames::default(), config);
        let mut heard = Heard::default();
        for rule in ["bad", "good"] {
            engine.deploy(rule, 1, &plan(rule)).unwrap();
        }
        engine.rules[0].pipeline.as_mut().unwrap().operators.push(Box::new(Panics));
        engine.on_batch(&batch(), 0, &mut heard);
        engine.on_batch(&batch(), 0, &mut heard);
        assert_eq!(heard.messages, 2);
        assert_eq!(heard.failed.len(), 1);
        assert!(heard.failed[0].contains("bad: ") && heard.failed[0].contains("out of cheese"));
        let stats = engine.stats();
        assert!(stats[0].error.as_ref().unwrap().contains("out of cheese"));
        assert_eq!((stats[1].error.as_ref(), stats[1].rows_out), (None, 2));
        // Deployed again, it runs.
        engine.deploy("bad", 1, &plan("bad")).unwrap();
        engine.on_batch(&batch(), 0, &mut heard);
        assert_eq!(engine.stats()[0].rows_out, 1);
    }
}
