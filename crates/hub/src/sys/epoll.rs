//! Edge-triggered epoll.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// One ready descriptor.
#[derive(Debug, Clone, Copy)]
pub struct Ready {
    /// What was given when the descriptor was added.
    pub token: u64,
    /// There is something to read, or the other side is gone.
    pub readable: bool,
    /// The other side has closed, or the socket failed: reading goes on to the end.
    pub hangup: bool,
    /// There is room to write, or an error to learn of by writing.
    pub writable: bool,
}

/// An epoll instance with its buffer of events.
pub struct Poller {
    epoll: OwnedFd,
    events: Vec<libc::epoll_event>,
}

impl Poller {
    /// A new instance that reports at most `capacity` descriptors at a time.
    pub fn new(capacity: usize) -> io::Result<Self> {
        // SAFETY: no pointers are involved.
        let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the call just returned this descriptor, nobody else owns it.
        let epoll = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Self { epoll, events: Vec::with_capacity(capacity.max(1)) })
    }

    /// Watches a socket for reading, writing and the end of the stream, edge-triggered. A FIN must be asked
    /// for (RDHUP): reading stops at a short read, and would miss one that arrived with the last bytes.
    pub fn add_stream(&self, fd: RawFd, token: u64) -> io::Result<()> {
        let interest = libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLRDHUP | libc::EPOLLET;
        self.control(fd, interest as u32, token)
    }

    /// Watches a descriptor for reading alone, edge-triggered.
    pub fn add_reader(&self, fd: RawFd, token: u64) -> io::Result<()> {
        self.control(fd, (libc::EPOLLIN | libc::EPOLLET) as u32, token)
    }

    fn control(&self, fd: RawFd, events: u32, token: u64) -> io::Result<()> {
        let mut event = libc::epoll_event { events, u64: token };
        // SAFETY: `event` is valid for the call, which copies it.
        let done = unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), libc::EPOLL_CTL_ADD, fd, &mut event) };
        if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Stops watching a descriptor.
    pub fn remove(&self, fd: RawFd) {
        // SAFETY: no pointer is passed; an unknown descriptor is an error without effect.
        unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), libc::EPOLL_CTL_DEL, fd, std::ptr::null_mut()) };
    }

    /// Waits until something is ready, at most `timeout_ms` (-1: without end).
    pub fn wait(&mut self, timeout_ms: i32) -> io::Result<()> {
        self.events.clear();
        // SAFETY: the buffer has room for `capacity` events.
        let count = unsafe {
            libc::epoll_wait(
                self.epoll.as_raw_fd(),
                self.events.as_mut_ptr(),
                self.events.capacity() as i32,
                timeout_ms,
            )
        };
        if count < 0 {
            let error = io::Error::last_os_error();
            return if error.kind() == io::ErrorKind::Interrupted { Ok(()) } else { Err(error) };
        }
        // SAFETY: the kernel filled in the first `count` events.
        unsafe { self.events.set_len(count as usize) };
        Ok(())
    }

    /// How many descriptors the last [`Poller::wait`] found ready.
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// One of them.
    pub fn get(&self, index: usize) -> Ready {
        let event = self.events[index];
        let gone = (libc::EPOLLHUP | libc::EPOLLERR) as u32;
        let flags = event.events;
        Ready {
            token: event.u64,
            hangup: flags & (libc::EPOLLRDHUP as u32 | gone) != 0,
            readable: flags & ((libc::EPOLLIN | libc::EPOLLRDHUP) as u32 | gone) != 0,
            writable: flags & (libc::EPOLLOUT as u32 | gone) != 0,
        }
    }
}
