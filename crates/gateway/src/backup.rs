//! A copy of the native data while the gateway runs.
//!
//! What remembers an offset is copied before the log, so that the copied log always goes beyond it: the copy replays the
//! rest, like a gateway after a power cut.

use std::fs;
use std::io;
use std::path::Path;

use mohhos_history::HistoryReader;
use mohhos_log::{Log, OsFs, read_atomic, write_atomic};

use crate::error::GatewayError;
use crate::gateway::{HISTORY, LOG, METRICS};
use crate::saver::SNAPSHOT;

/// Small files that are replaced as a whole; one that is not there yet is left out.
const REPLACED: [&str; 3] = [SNAPSHOT, mohhos_hub::CHECKPOINT_FILE, "boot"];
/// Files that only grow, or never change.
const GROWING: [&str; 2] = ["FORMAT", METRICS];

/// Copies history, rules' state, sessions and the log into an empty directory.
///
/// # Errors
/// One of the disks fails.
pub fn copy(data_dir: &Path, log: &Log, history: &HistoryReader, target: &Path) -> Result<(), GatewayError> {
    copy_all(data_dir, log, history, target)
        .map_err(|e| GatewayError::new("backup-failed", format!("the data could not be copied: {e}")))
}

fn copy_all(data_dir: &Path, log: &Log, history: &HistoryReader, target: &Path) -> io::Result<()> {
    let source = OsFs::open(data_dir)?;
    let root = OsFs::open(target)?;
    for name in REPLACED {
        if let Some((version, content)) = read_atomic(&source, name).map_err(io::Error::other)? {
            write_atomic(&root, name, version, &content)?;
        }
    }
    let snapshot = history.snapshot();
    let copied = copy_history(&snapshot, &target.join(HISTORY));
    history.release(snapshot.lease);
    copied?;
    for name in GROWING {
        fs::copy(data_dir.join(name), target.join(name))?;
    }
    log.copy_to(&OsFs::open(target.join(LOG))?).map(drop)
}

fn copy_history(snapshot: &mohhos_history::Snapshot, target: &Path) -> io::Result<()> {
    let fs_target = OsFs::open(target)?;
    for file in &snapshot.files {
        let name = file.file_name().ok_or_else(|| io::Error::other("a history file without a name"))?;
        let copy = target.join(name);
        fs::copy(file, &copy)?;
        fs::File::open(&copy)?.sync_all()?;
    }
    snapshot.write_manifest(&fs_target)
}
