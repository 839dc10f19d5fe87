"""Rules: a strict subset of Flink SQL, read, checked, planned and deployed to the native engine."""
