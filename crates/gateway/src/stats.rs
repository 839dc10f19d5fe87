//! Counters and gauges of all parts, by part and name.

use std::collections::BTreeMap;

use mohhos_history::HistoryReader;
use mohhos_hub::Hub;
use mohhos_log::Log;
use mohhos_stream::RuleStats;

use crate::process::resident_bytes;

/// Numbers by part ("hub", "log", "stream", "history", "process") and name. What counts up is a counter; the gauges are
/// listed where they are shown.
pub type Stats = BTreeMap<&'static str, BTreeMap<&'static str, f64>>;

/// What hub, log and history have counted.
pub fn gather(
    hub: &Hub,
    log: &Log,
    history: &HistoryReader,
    rules: &[RuleStats],
    clock_synchronised: bool,
) -> Stats {
    let hub_stats = hub.stats();
    let mut hub: BTreeMap<&'static str, f64> = BTreeMap::new();
    for (name, value) in hub_stats.shards.iter().flatten() {
        *hub.entry(name).or_default() += *value as f64;
    }
    hub.insert("shards", hub_stats.shards.len() as f64);
    hub.insert("connections", hub_stats.connections as f64);
    hub.insert("devices", hub_stats.devices as f64);
    hub.insert("retained", hub_stats.retained.0 as f64);
    hub.insert("retained_bytes", hub_stats.retained.1 as f64);
    hub.insert("events_dropped", hub_stats.events_dropped as f64);
    hub.insert("dead_letters", hub_stats.dead_letters as f64);
    let drops = ["dropped_slow", "dropped_queue", "dropped_unsendable"];
    hub.insert("dropped", drops.iter().map(|name| hub_stats.total(name) as f64).sum());

    let stats = log.stats();
    let log = BTreeMap::from([
        ("commits", stats.commits as f64),
        ("records", stats.records as f64),
        ("bytes_written", stats.bytes as f64),
        ("commit_seconds", stats.commit_latency_sum_us as f64 / 1e6),
        ("commit_max_us", stats.commit_latency_max_us as f64),
        ("full", stats.full as f64),
        ("failures", stats.failures as f64),
        ("damaged", stats.damaged as f64),
        ("given_up_bytes", stats.given_up as f64),
        ("segments", stats.segments as f64),
        ("bytes", stats.disk_bytes as f64),
        ("oldest", stats.oldest as f64),
        ("committed", stats.committed as f64),
        ("uncommitted_bytes", stats.end.saturating_sub(stats.committed) as f64),
        ("stalled", f64::from(u8::from(stats.stalled.is_some()))),
    ]);

    let of = history.stats();
    let history = BTreeMap::from([
        ("files", of.files as f64),
        ("bytes", of.bytes as f64),
        ("rows", of.rows as f64),
        ("tail_rows", of.tail_rows as f64),
        ("tail_bytes", of.tail_bytes as f64),
        ("leases", of.leases as f64),
    ]);

    let stream = BTreeMap::from([
        ("rows_in", hub.get("readings").copied().unwrap_or(0.0)),
        ("rules", rules.len() as f64),
        ("rows_out", rules.iter().map(|rule| rule.rows_out as f64).sum()),
        ("late", rules.iter().map(|rule| rule.late as f64).sum()),
        ("state_bytes", rules.iter().map(|rule| rule.state_bytes as f64).sum()),
    ]);
    let process = BTreeMap::from([
        ("resident_bytes", resident_bytes() as f64),
        ("clock_synchronised", f64::from(u8::from(clock_synchronised))),
    ]);
    BTreeMap::from([
        ("hub", hub),
        ("log", log),
        ("stream", stream),
        ("history", history),
        ("process", process),
    ])
}
