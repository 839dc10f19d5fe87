//! A counter that wakes a thread which waits in epoll.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

/// Wakes one shard. Many wake-ups before the shard looks cost one system call.
///
/// Opened before the shards get descriptor tables of their own: its number means the same in all of them.
#[derive(Debug)]
pub struct EventFd {
    file: File,
    raised: AtomicBool,
}

impl EventFd {
    /// A new one, not raised.
    pub fn new() -> io::Result<Self> {
        // SAFETY: no pointers are involved.
        let fd = unsafe { libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the call just returned this descriptor, nobody else owns it.
        Ok(Self { file: unsafe { File::from_raw_fd(fd) }, raised: AtomicBool::new(false) })
    }

    /// The descriptor to watch.
    pub fn fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }

    /// Wakes the shard, if it has not been already.
    #[inline]
    pub fn raise(&self) {
        if !self.raised.swap(true, Ordering::SeqCst) {
            // An eventfd refuses a write only when its counter is full, and then it is raised anyway.
            let _ = (&self.file).write(&1u64.to_ne_bytes());
        }
    }

    /// Called by the shard before it looks at what it was woken for, so that nothing is missed.
    pub fn lower(&self) {
        let mut count = [0u8; 8];
        // It fails if nobody raised it, which is as good.
        let _ = (&self.file).read(&mut count);
        self.raised.store(false, Ordering::SeqCst);
    }
}
