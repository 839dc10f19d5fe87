//! What the log promises, tried from outside, mostly over a disk that forgets.
#![allow(clippy::unwrap_used, clippy::expect_used)] // Helpers of tests are tests.

mod atomic_file;
mod classes;
mod commit;
mod crash;
mod damage;
mod data_dir;
mod dictionary;
mod gated;
mod model;
mod real_directory;
mod record;
mod retention;
mod stall;
mod support;
mod upgrade;
