//! What is counted for all devices, as columns: for one Arrow table.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use crate::devices::Device;
use crate::latency::BUCKETS;
use crate::report::Connection;
use crate::shared::Shared;

/// The values of one column, little-endian, as Arrow lays them out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Column {
    /// Bytes of UTF-8 and where each row's end, beginning with 0 (32 bits).
    Text {
        /// One more than there are rows.
        offsets: Vec<u8>,
        /// All texts.
        bytes: Vec<u8>,
    },
    /// One bit for each row, the lowest first.
    Bool(Vec<u8>),
    /// 64 bits, not negative.
    Count(Vec<u8>),
    /// Microseconds UTC, 64 bits; 0 for never.
    Time(Vec<u8>),
}

/// A table of all devices.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeviceTable {
    /// How many devices.
    pub rows: usize,
    /// Names and values of the columns.
    pub columns: Vec<(String, Column)>,
}

/// The table, by device id.
pub(crate) fn device_table(shared: &Shared) -> DeviceTable {
    let mut devices: Vec<Arc<Device>> = shared.devices.all();
    devices.sort_unstable_by(|a, b| a.id.cmp(&b.id));
    let rows = devices.len();
    let seen: Vec<Connection> =
        devices.iter().map(|device| Connection::new(device, &shared.presence.live(&device.id))).collect();
    let mut columns = vec![
        ("device".to_owned(), text(devices.iter().map(|device| device.id.to_string()))),
        ("connected".to_owned(), bits(seen.iter().map(|c| c.connected))),
        ("sessions".to_owned(), counts(seen.iter().map(|c| c.clients.len() as u64))),
        (
            "address".to_owned(),
            text(seen.iter().map(|c| c.address.map(|a| a.to_string()).unwrap_or_default())),
        ),
        ("since".to_owned(), times(seen.iter().map(|c| c.since_us.unwrap_or(0)))),
        ("last_seen".to_owned(), times(devices.iter().map(|d| d.stats.last_seen_us.load(Relaxed)))),
    ];
    type Pick = fn(&Connection) -> u64;
    let counted: [(&str, Pick); 11] = [
        ("messages_in", |c| c.messages_in),
        ("bytes_in", |c| c.bytes_in),
        ("messages_out", |c| c.messages_out),
        ("bytes_out", |c| c.bytes_out),
        ("dropped_slow", |c| c.drops.slow),
        ("dropped_queue_full", |c| c.drops.queue_full),
        ("dropped_unsendable", |c| c.drops.unsendable),
        ("refused", |c| c.refused),
        ("dead_letters", |c| c.dead_letters),
        ("clock_corrections", |c| c.clock_corrections),
        ("connects", |c| c.connects),
    ];
    for (name, pick) in counted {
        columns.push((name.to_owned(), counts(seen.iter().map(pick))));
    }
    for bucket in 0..BUCKETS {
        let commit = seen.iter().map(|c| u64::from(c.commit_latency[bucket]));
        columns.push((format!("commit_latency_{bucket}"), counts(commit)));
    }
    for bucket in 0..BUCKETS {
        let delivery = seen.iter().map(|c| u64::from(c.delivery_latency[bucket]));
        columns.push((format!("delivery_latency_{bucket}"), counts(delivery)));
    }
    DeviceTable { rows, columns }
}

fn text(values: impl Iterator<Item = String>) -> Column {
    let mut bytes = Vec::new();
    let mut offsets = 0_u32.to_le_bytes().to_vec();
    for value in values {
        bytes.extend_from_slice(value.as_bytes());
        offsets.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    }
    Column::Text { offsets, bytes }
}

fn bits(values: impl Iterator<Item = bool>) -> Column {
    let mut bits = Vec::new();
    for (row, value) in values.enumerate() {
        if row % 8 == 0 {
            bits.push(0);
        }
        if let Some(last) = bits.last_mut() {
            *last |= u8::from(value) << (row % 8);
        }
    }
    Column::Bool(bits)
}

fn counts(values: impl Iterator<Item = u64>) -> Column {
    Column::Count(values.flat_map(u64::to_le_bytes).collect())
}

fn times(values: impl Iterator<Item = i64>) -> Column {
    Column::Time(values.flat_map(i64::to_le_bytes).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_laid_out_as_arrow_wants_them() {
        let texts = text(["ab".to_owned(), String::new(), "c".to_owned()].into_iter());
        let offsets = [0_u32, 2, 2, 3].into_iter().flat_map(u32::to_le_bytes).collect();
        assert_eq!(texts, Column::Text { offsets, bytes: b"abc".to_vec() });
        let nine = bits([true, false, true, true, false, false, false, false, true].into_iter());
        assert_eq!(nine, Column::Bool(vec![0b1101, 1]));
    }
}
