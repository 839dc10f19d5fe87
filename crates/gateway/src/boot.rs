//! Which start of the gateway this is: a number that grows by one with every start and stands in every record.

use mohhos_log::{Fs, read_atomic, write_atomic};

use crate::error::GatewayError;

const FILE: &str = "boot";
const VERSION: u32 = 1;

/// The number of this start, on disk before it is used.
///
/// # Errors
/// The file cannot be read or written, or is damaged.
pub fn next(fs: &dyn Fs) -> Result<u32, GatewayError> {
    let damaged = |why: String| {
        GatewayError::new("data-dir-unusable", format!("the file `{FILE}` of the data directory: {why}"))
    };
    let last = match read_atomic(fs, FILE).map_err(|e| damaged(e.to_string()))? {
        None => 0,
        Some((VERSION, content)) => {
            let bytes = content.try_into().map_err(|_| damaged("it does not hold a number".into()))?;
            u32::from_le_bytes(bytes)
        }
        Some((version, _)) => {
            return Err(damaged(format!("it has version {version}, a newer program wrote it")));
        }
    };
    let boot = last.checked_add(1).ok_or_else(|| damaged("the gateway was started too often".into()))?;
    write_atomic(fs, FILE, VERSION, &boot.to_le_bytes())?;
    Ok(boot)
}

#[cfg(test)]
mod tests {
    use mohhos_log::OsFs;

    use super::next;

    #[test]
    fn every_start_has_a_number_of_its_own() {
        let directory = tempfile::tempdir().unwrap();
        let fs = OsFs::open(directory.path()).unwrap();
        assert_eq!([next(&fs).unwrap(), next(&fs).unwrap(), next(&fs).unwrap()], [1, 2, 3]);
    }
}
