//! Passing a socket to another thread's descriptor table: `SCM_RIGHTS` over a Unix socket pair.

use std::io;
use std::mem;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// One direction between two shards: what is sent here comes out there, in order.
#[derive(Debug)]
pub struct FdSender(OwnedFd);

/// The other end of a [`FdSender`].
#[derive(Debug)]
pub struct FdReceiver(OwnedFd);

/// A new pair. Opened before the shards get descriptor tables of their own.
pub fn pair() -> io::Result<(FdSender, FdReceiver)> {
    let mut fds = [0; 2];
    let kind = libc::SOCK_SEQPACKET | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: `fds` has room for the two descriptors.
    if unsafe { libc::socketpair(libc::AF_UNIX, kind, 0, fds.as_mut_ptr()) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call just returned these descriptors, nobody else owns them.
    unsafe { Ok((FdSender(OwnedFd::from_raw_fd(fds[0])), FdReceiver(OwnedFd::from_raw_fd(fds[1])))) }
}

/// Room for the control message of one descriptor, aligned as the kernel wants it.
#[repr(align(8))]
struct Control([u8; 64]);

impl FdSender {
    /// The descriptor, to be kept in the sending thread's table.
    pub fn fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    /// Sends a copy of a descriptor. `WouldBlock` if the other side has to read first.
    pub fn send(&self, fd: RawFd) -> io::Result<()> {
        let mut byte = 0u8;
        let mut part = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
        let mut control = Control([0; 64]);
        // SAFETY: the message points at `part` and `control`, which outlive the call; the control message fits:
        // CMSG_SPACE of one descriptor is 24 bytes.
        let sent = unsafe {
            let mut message: libc::msghdr = mem::zeroed();
            message.msg_iov = &mut part;
            message.msg_iovlen = 1;
            message.msg_control = control.0.as_mut_ptr().cast();
            message.msg_controllen = libc::CMSG_SPACE(mem::size_of::<RawFd>() as u32) as _;
            let header = libc::CMSG_FIRSTHDR(&message);
            (*header).cmsg_level = libc::SOL_SOCKET;
            (*header).cmsg_type = libc::SCM_RIGHTS;
            (*header).cmsg_len = libc::CMSG_LEN(mem::size_of::<RawFd>() as u32) as _;
            libc::CMSG_DATA(header).cast::<RawFd>().write_unaligned(fd);
            libc::sendmsg(self.0.as_raw_fd(), &message, libc::MSG_NOSIGNAL)
        };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}

impl FdReceiver {
    /// The descriptor to watch, to be kept in the receiving thread's table.
    pub fn fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    /// The next descriptor; `WouldBlock` if there is none now. `Ok(None)` is a message whose descriptor did not
    /// fit into this table (too many open files).
    pub fn receive(&self) -> io::Result<Option<OwnedFd>> {
        let mut byte = 0u8;
        let mut part = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
        let mut control = Control([0; 64]);
        // SAFETY: as in `send`; the kernel writes at most `msg_controllen` bytes of control messages, and a
        // descriptor in one is ours from then on.
        unsafe {
            let mut message: libc::msghdr = mem::zeroed();
            message.msg_iov = &mut part;
            message.msg_iovlen = 1;
            message.msg_control = control.0.as_mut_ptr().cast();
            message.msg_controllen = control.0.len() as _;
            match libc::recvmsg(self.0.as_raw_fd(), &mut message, libc::MSG_CMSG_CLOEXEC) {
                ..0 => return Err(io::Error::last_os_error()),
                // The other shard has ended.
                0 => return Err(io::Error::from(io::ErrorKind::BrokenPipe)),
                _ => {}
            }
            let header = libc::CMSG_FIRSTHDR(&message);
            if header.is_null() || (*header).cmsg_type != libc::SCM_RIGHTS {
                return Ok(None);
            }
            let fd = libc::CMSG_DATA(header).cast::<RawFd>().read_unaligned();
            Ok(Some(OwnedFd::from_raw_fd(fd)))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write;

    use super::*;
    use crate::sys::descriptors::own_table;

    #[test]
    fn a_descriptor_passes_from_one_table_to_another() {
        let (sender, receiver) = pair().unwrap();
        let (reader, writer) = std::io::pipe().unwrap();
        let reader_fd = receiver.fd();
        let thread = std::thread::spawn(move || {
            own_table(&[reader_fd]).unwrap();
            loop {
                match receiver.receive() {
                    Ok(fd) => break File::from(fd.unwrap()).write_all(b"from the other table").unwrap(),
                    Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
                }
                std::thread::yield_now();
            }
        });
        sender.send(writer.as_raw_fd()).unwrap();
        drop(writer);
        thread.join().unwrap();
        assert_eq!(io::read_to_string(reader).unwrap(), "from the other table");
    }
}
