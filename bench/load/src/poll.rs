//! The few system calls that generator and sink need.

use std::io;
use std::net::SocketAddrV4;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// An epoll instance.
pub struct Poll {
    fd: OwnedFd,
    events: Vec<libc::epoll_event>,
}

/// Ready to be read, closed by the peer, or broken.
pub const READ: u32 = (libc::EPOLLIN | libc::EPOLLRDHUP) as u32;
/// Ready to be written.
pub const WRITE: u32 = libc::EPOLLOUT as u32;
/// Told once per change of readiness.
pub const EDGE: u32 = libc::EPOLLET as u32;

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

impl Poll {
    /// A new instance.
    pub fn new() -> io::Result<Self> {
        // SAFETY: epoll_create1 returns a new descriptor or -1.
        let fd = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        // SAFETY: the descriptor is new and owned by nobody else.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Self { fd, events: vec![libc::epoll_event { events: 0, u64: 0 }; 1024] })
    }

    /// Watches a descriptor under a key.
    pub fn add(&self, fd: RawFd, key: u64, interest: u32) -> io::Result<()> {
        let mut event = libc::epoll_event { events: interest, u64: key };
        // SAFETY: both descriptors are open and the event lives for the call.
        check(unsafe { libc::epoll_ctl(self.fd.as_raw_fd(), libc::EPOLL_CTL_ADD, fd, &mut event) }).map(drop)
    }

    /// Waits and gives the ready keys with their events.
    pub fn wait(&mut self, timeout_ms: i32) -> io::Result<Vec<(u64, u32)>> {
        // SAFETY: the buffer has room for the number of events given.
        let n = unsafe {
            libc::epoll_wait(
                self.fd.as_raw_fd(),
                self.events.as_mut_ptr(),
                self.events.len() as i32,
                timeout_ms,
            )
        };
        match check(n) {
            Ok(n) => Ok(self.events[..n as usize].iter().map(|e| (e.u64, e.events)).collect()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }
}

fn address(to: SocketAddrV4) -> libc::sockaddr_in {
    libc::sockaddr_in {
        sin_family: libc::AF_INET as u16,
        sin_port: to.port().to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(to.ip().octets()) },
        sin_zero: [0; 8],
    }
}

fn set(fd: RawFd, level: i32, option: i32, value: i32) -> io::Result<()> {
    // SAFETY: the value lives for the call and its size is given.
    check(unsafe { libc::setsockopt(fd, level, option, (&raw const value).cast(), size_of::<i32>() as u32) })
        .map(drop)
}

fn bind(fd: RawFd, to: SocketAddrV4) -> io::Result<()> {
    let name = address(to);
    // SAFETY: the address lives for the call and its size is given.
    check(unsafe { libc::bind(fd, (&raw const name).cast(), size_of_val(&name) as u32) }).map(drop)
}

/// The port is chosen when it connects: it has to be free towards the server alone.
fn bind_source(fd: RawFd, source: std::net::Ipv4Addr) -> io::Result<()> {
    const IP_BIND_ADDRESS_NO_PORT: i32 = 24;
    set(fd, libc::IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)?;
    bind(fd, SocketAddrV4::new(source, 0))
}

fn socket() -> io::Result<OwnedFd> {
    // SAFETY: socket returns a new descriptor or -1.
    let fd = check(unsafe { libc::socket(libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0) })?;
    // SAFETY: the descriptor is new and owned by nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// So many connections come from one address. It has some 28,000 ports, but the kernel looks through the even half first,
/// and when that is taken, through all of it again for each connection.
pub const PER_ADDRESS: usize = 10_000;

/// A connected, non-blocking socket without Nagle's delay. After so many connections it takes a further loopback address as
/// their source.
pub fn connect(to: SocketAddrV4, index: usize) -> io::Result<OwnedFd> {
    let fd = socket()?;
    let raw = fd.as_raw_fd();
    set(raw, libc::IPPROTO_TCP, libc::TCP_NODELAY, 1)?;
    if index >= PER_ADDRESS {
        bind_source(raw, std::net::Ipv4Addr::new(127, 0, 1, (index / PER_ADDRESS) as u8))?;
    }
    let name = address(to);
    // SAFETY: the address lives for the call and its size is given.
    check(unsafe { libc::connect(raw, (&raw const name).cast(), size_of_val(&name) as u32) })?;
    // SAFETY: the descriptor is open.
    check(unsafe { libc::fcntl(raw, libc::F_SETFL, libc::O_NONBLOCK) })?;
    Ok(fd)
}

/// A non-blocking socket that connects from a loopback address, and that will be writable when it has.
pub fn begin_connect(to: SocketAddrV4, source: std::net::Ipv4Addr) -> io::Result<OwnedFd> {
    let fd = socket()?;
    let raw = fd.as_raw_fd();
    set(raw, libc::IPPROTO_TCP, libc::TCP_NODELAY, 1)?;
    bind_source(raw, source)?;
    // SAFETY: the descriptor is open.
    check(unsafe { libc::fcntl(raw, libc::F_SETFL, libc::O_NONBLOCK) })?;
    let name = address(to);
    // SAFETY: the address lives for the call and its size is given.
    match check(unsafe { libc::connect(raw, (&raw const name).cast(), size_of_val(&name) as u32) }) {
        Ok(_) => Ok(fd),
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => Ok(fd),
        Err(error) => Err(error),
    }
}

/// Has a connection that was begun come about? An error says why it never will.
pub fn is_connected(fd: RawFd) -> io::Result<bool> {
    let (mut error, mut size) = (0i32, size_of::<i32>() as libc::socklen_t);
    // SAFETY: the value has room for an int, and lives for the call.
    check(unsafe {
        libc::getsockopt(fd, libc::SOL_SOCKET, libc::SO_ERROR, (&raw mut error).cast(), &mut size)
    })?;
    if error != 0 {
        return Err(io::Error::from_raw_os_error(error));
    }
    let mut state = libc::pollfd { fd, events: libc::POLLOUT, revents: 0 };
    // SAFETY: one structure, which lives for the call.
    Ok(check(unsafe { libc::poll(&mut state, 1, 0) })? > 0)
}

/// The monotonic clock, as other processes of this machine read it.
pub fn monotonic_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the structure lives for the call. This clock always exists.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// A non-blocking listener that shares its port with the other shards.
pub fn listen(at: SocketAddrV4) -> io::Result<OwnedFd> {
    let fd = socket()?;
    let raw = fd.as_raw_fd();
    set(raw, libc::SOL_SOCKET, libc::SO_REUSEADDR, 1)?;
    set(raw, libc::SOL_SOCKET, libc::SO_REUSEPORT, 1)?;
    bind(raw, at)?;
    // SAFETY: the descriptor is open.
    check(unsafe { libc::listen(raw, 4096) })?;
    // SAFETY: the descriptor is open.
    check(unsafe { libc::fcntl(raw, libc::F_SETFL, libc::O_NONBLOCK) })?;
    Ok(fd)
}

/// Accepts one connection, if there is one.
pub fn accept(listener: RawFd) -> io::Result<Option<OwnedFd>> {
    // SAFETY: the descriptor is open; the peer's address is not asked for.
    let fd = unsafe {
        libc::accept4(
            listener,
            std::ptr::null_mut(),
            std::ptr::null_mut(),
            libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC,
        )
    };
    match check(fd) {
        // SAFETY: the descriptor is new and owned by nobody else.
        Ok(fd) => Ok(Some(unsafe { OwnedFd::from_raw_fd(fd) })),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reads what is there: `Ok(None)` when there is nothing now, `Ok(Some(0))` at the end.
pub fn read(fd: RawFd, buffer: &mut [u8]) -> io::Result<Option<usize>> {
    // SAFETY: the buffer has room for its length.
    let n = unsafe { libc::recv(fd, buffer.as_mut_ptr().cast(), buffer.len(), 0) };
    if n >= 0 {
        return Ok(Some(n as usize));
    }
    let error = io::Error::last_os_error();
    if error.kind() == io::ErrorKind::WouldBlock { Ok(None) } else { Err(error) }
}

/// Writes what fits now.
pub fn write(fd: RawFd, bytes: &[u8]) -> io::Result<usize> {
    // SAFETY: the bytes live for the call.
    let n = unsafe { libc::send(fd, bytes.as_ptr().cast(), bytes.len(), libc::MSG_NOSIGNAL) };
    if n >= 0 {
        return Ok(n as usize);
    }
    let error = io::Error::last_os_error();
    if error.kind() == io::ErrorKind::WouldBlock { Ok(0) } else { Err(error) }
}

/// Gives this thread a descriptor table of its own, so that the limit of open files counts for it alone.
pub fn own_descriptors() -> io::Result<()> {
    // SAFETY: only this thread is concerned; descriptors opened before stay valid in the copy.
    check(unsafe { libc::unshare(libc::CLONE_FILES) }).map(drop)
}

/// CPU seconds that this process has used.
pub fn cpu_seconds() -> f64 {
    // SAFETY: an all-zero rusage is valid, and getrusage fills it.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the structure lives for the call.
    unsafe { libc::getrusage(libc::RUSAGE_SELF, &mut usage) };
    let seconds = |t: libc::timeval| t.tv_sec as f64 + t.tv_usec as f64 / 1e6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}
