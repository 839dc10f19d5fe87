//! The topic space: who subscribes to what, what is retained, who watches.

mod children;
pub mod message;
pub mod retained;
pub mod route;
pub mod share;
pub mod tap;
pub mod trie;

/// Device and id of the command whose topic this is.
pub fn command(topic: &str) -> Option<(&str, &str)> {
    let (device, below) = topic.strip_prefix("devices/")?.split_once('/')?;
    let id = below.strip_prefix("commands/")?;
    (!id.is_empty() && !id.contains('/')).then_some((device, id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_known_by_its_topic_and_its_result_is_none() {
        assert_eq!(command("devices/pump/commands/1f"), Some(("pump", "1f")));
        for other in
            ["devices/pump/commands/1f/result", "devices/pump/commands/", "devices/pump/telemetry", "a"]
        {
            assert_eq!(command(other), None, "{other}");
        }
    }
}
