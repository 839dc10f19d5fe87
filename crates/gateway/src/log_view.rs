//! Reading the log for projections outside: committed messages of some topics.

use mohhos_log::{Kind, Log, ReadError, RecordView};

/// After so many bytes of records that were not asked for, a read ends all the same: its caller moves its position on.
const MAX_SCANNED: u64 = 32 << 20;

/// One message of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "they are the record's own fields")]
pub struct LogMessage {
    pub offset: u64,
    pub next: u64,
    pub principal: String,
    pub device: String,
    pub topic: String,
    pub qos: u8,
    pub retain: bool,
    pub wall_us: i64,
    pub content_type: String,
    pub payload: Vec<u8>,
}

/// Does the topic begin with the prefix? A level `+` of the prefix stands for any one level.
fn begins_with(topic: &str, prefix: &str) -> bool {
    let (mut topic, mut prefix) = (topic, prefix);
    while let Some(at) = prefix.find('+') {
        let Some(rest) = topic.strip_prefix(&prefix[..at]) else { return false };
        topic = &rest[rest.find('/').unwrap_or(rest.len())..];
        prefix = &prefix[at + 1..];
    }
    topic.starts_with(prefix)
}

/// At most `max` committed messages from `offset` on whose topic begins with one of the prefixes, and the offset to go
/// on at. What was trimmed or is damaged is passed over: nobody has it any more.
///
/// # Errors
/// The disk fails.
pub fn read(
    log: &Log,
    offset: u64,
    prefixes: &[String],
    max: usize,
) -> Result<(Vec<LogMessage>, u64), ReadError> {
    let mut reader = log.reader(offset);
    let mut found = Vec::new();
    while found.len() < max && reader.position().saturating_sub(offset) < MAX_SCANNED {
        match reader.next() {
            Ok(Some(record)) => {
                let wanted = |prefix: &String| begins_with(record.topic(), prefix);
                if record.kind() == Kind::MESSAGE && prefixes.iter().any(wanted) {
                    found.push(message(&record));
                }
            }
            Ok(None) => break,
            Err(ReadError::Trimmed { .. } | ReadError::Damaged { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok((found, reader.position()))
}

fn message(record: &RecordView<'_>) -> LogMessage {
    LogMessage {
        offset: record.offset(),
        next: record.next_offset(),
        principal: record.principal().to_owned(),
        device: record.device().to_owned(),
        topic: record.topic().to_owned(),
        qos: record.qos(),
        retain: record.flags().has(mohhos_log::Flags::RETAIN),
        wall_us: record.wall_us(),
        content_type: record.content_type().to_owned(),
        payload: record.payload().to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::begins_with;

    #[test]
    fn a_plus_in_a_prefix_stands_for_one_level() {
        for (topic, prefix, expected) in [
            ("devices/pump-1/commands/7", "devices/+/commands/", true),
            ("devices/pump-1/telemetry", "devices/+/commands/", false),
            ("devices/commands/x", "devices/+/commands/", false),
            ("gateway/alerts/r/d", "gateway/alerts/", true),
            ("gateway", "gateway/alerts/", false),
            ("devices/a", "devices/+", true),
        ] {
            assert_eq!(begins_with(topic, prefix), expected, "{topic} {prefix}");
        }
    }
}
