//! The hub: shards, listeners, topic trie, sessions, policy, counters.
