//! The stream engine: a plan in, batches through operators, results out.
