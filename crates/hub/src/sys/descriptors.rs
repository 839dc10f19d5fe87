//! Open files: the limit, and a descriptor table per thread.

use std::io;
use std::os::fd::RawFd;

/// Raises this process's soft limit of open files to the hard limit and returns it.
///
/// The limit counts per descriptor table, hence per shard.
pub fn raise_file_limit() -> io::Result<usize> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is valid for the call to fill in.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) } < 0 {
        return Err(io::Error::last_os_error());
    }
    if limit.rlim_cur < limit.rlim_max {
        limit.rlim_cur = limit.rlim_max;
        // SAFETY: `limit` is valid and only read.
        if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) } < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(usize::try_from(limit.rlim_cur).unwrap_or(usize::MAX))
}

/// Gives the calling thread a descriptor table of its own, with nothing in it but `keep` and the standard
/// streams. The table starts as a copy: whatever else it kept open would hold other parts' files, and the disk
/// space of deleted ones.
pub fn own_table(keep: &[RawFd]) -> io::Result<()> {
    // SAFETY: the flag concerns the calling thread's descriptor table alone.
    if unsafe { libc::unshare(libc::CLONE_FILES) } < 0 {
        return Err(io::Error::last_os_error());
    }
    let mut sorted = keep.to_vec();
    sorted.extend([0, 1, 2]);
    sorted.sort_unstable();
    sorted.dedup();
    let mut first: u32 = 0;
    for fd in sorted {
        let fd = fd as u32;
        if fd > first {
            close_range(first, fd - 1)?;
        }
        first = fd + 1;
    }
    close_range(first, u32::MAX)
}

fn close_range(first: u32, last: u32) -> io::Result<()> {
    // SAFETY: the caller has just made the table this thread's own, so no other thread's descriptors close.
    let done = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0u32) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Closes, in the calling thread's table, descriptors whose owners have gone to another table, where they close their
/// own copies. Left open here, they would keep ports taken and pipes alive.
pub fn close_in_this_table(fds: &[RawFd]) {
    for &fd in fds {
        // SAFETY: the owner of this number lives in another table; nobody in this one uses it any more.
        unsafe { libc::close(fd) };
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsRawFd;

    use super::*;

    fn is_open(fd: RawFd) -> bool {
        // SAFETY: a query without pointers.
        unsafe { libc::fcntl(fd, libc::F_GETFD) >= 0 }
    }

    #[test]
    fn a_table_of_its_own_keeps_what_it_is_told_and_closes_nothing_of_the_others() {
        let (kept, closed) = (File::open("/dev/null").unwrap(), File::open("/dev/null").unwrap());
        let (kept_fd, closed_fd) = (kept.as_raw_fd(), closed.as_raw_fd());
        std::thread::spawn(move || {
            own_table(&[kept_fd]).unwrap();
            assert!(is_open(kept_fd) && is_open(2));
            assert!(!is_open(closed_fd));
        })
        .join()
        .unwrap();
        assert!(is_open(kept_fd) && is_open(closed_fd));
        drop((kept, closed));
    }

    #[test]
    fn the_file_limit_is_what_the_system_allows_at_most() {
        assert!(raise_file_limit().unwrap() >= 256);
    }
}
