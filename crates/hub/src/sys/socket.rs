//! TCP sockets, non-blocking.

use std::io;
use std::mem;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// Connections that wait to be accepted; the system's `net.core.somaxconn` may allow fewer.
const BACKLOG: i32 = 65_535;

/// A listening socket that shares its port with those of the other shards (`SO_REUSEPORT`).
pub fn listen(address: SocketAddr) -> io::Result<OwnedFd> {
    let family = if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    let kind = libc::SOCK_STREAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: no pointers are involved.
    let fd = unsafe { libc::socket(family, kind, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call just returned this descriptor, nobody else owns it.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    set_option(fd, libc::SOL_SOCKET, libc::SO_REUSEADDR, 1)?;
    set_option(fd, libc::SOL_SOCKET, libc::SO_REUSEPORT, 1)?;
    // Accepted sockets inherit it: small packets leave at once.
    set_option(fd, libc::IPPROTO_TCP, libc::TCP_NODELAY, 1)?;
    let (storage, length) = to_raw(address);
    // SAFETY: `storage` holds a socket address of `length` bytes.
    if unsafe { libc::bind(fd, (&raw const storage).cast(), length) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: no pointers are involved.
    if unsafe { libc::listen(fd, BACKLOG) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(socket)
}

/// Fails if another process listens at the address: with a shared port, the kernel would share its connections out
/// between that process and this one.
pub fn probe(address: SocketAddr) -> io::Result<()> {
    let socket = std::net::TcpListener::bind(address)?;
    drop(socket);
    Ok(())
}

fn set_option(fd: RawFd, level: i32, name: i32, value: i32) -> io::Result<()> {
    let length = mem::size_of::<i32>() as libc::socklen_t;
    // SAFETY: the option's value is an int that lives through the call.
    let done = unsafe { libc::setsockopt(fd, level, name, (&raw const value).cast(), length) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// The address a listening socket has been given (the port, for port 0).
pub fn local_address(fd: RawFd) -> io::Result<SocketAddr> {
    // SAFETY: all bytes zero is a valid socket address storage.
    let mut storage: libc::sockaddr_storage = unsafe { mem::zeroed() };
    let mut length = mem::size_of_val(&storage) as libc::socklen_t;
    // SAFETY: `storage` has room for `length` bytes.
    if unsafe { libc::getsockname(fd, (&raw mut storage).cast(), &mut length) } < 0 {
        return Err(io::Error::last_os_error());
    }
    from_raw(&storage).ok_or_else(|| io::Error::from(io::ErrorKind::AddrNotAvailable))
}

/// Accepts one connection; `WouldBlock` if there is none.
pub fn accept(listener: RawFd) -> io::Result<(OwnedFd, SocketAddr)> {
    // SAFETY: all bytes zero is a valid socket address storage.
    let mut storage: libc::sockaddr_storage = unsafe { mem::zeroed() };
    let mut length = mem::size_of_val(&storage) as libc::socklen_t;
    let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: `storage` has room for `length` bytes.
    let fd = unsafe { libc::accept4(listener, (&raw mut storage).cast(), &mut length, flags) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call just returned this descriptor, nobody else owns it.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    let address = from_raw(&storage).unwrap_or_else(|| SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)));
    Ok((socket, address))
}

/// Reads into a buffer; 0 at the end of the stream.
#[inline]
pub fn receive(fd: RawFd, buffer: &mut [u8]) -> io::Result<usize> {
    // SAFETY: the buffer is valid for writes of its length.
    let count = unsafe { libc::recv(fd, buffer.as_mut_ptr().cast(), buffer.len(), 0) };
    if count < 0 { Err(io::Error::last_os_error()) } else { Ok(count as usize) }
}

/// Writes what the socket takes.
#[inline]
pub fn send(fd: RawFd, bytes: &[u8]) -> io::Result<usize> {
    // SAFETY: the buffer is valid for reads of its length.
    let count = unsafe { libc::send(fd, bytes.as_ptr().cast(), bytes.len(), libc::MSG_NOSIGNAL) };
    if count < 0 { Err(io::Error::last_os_error()) } else { Ok(count as usize) }
}

/// Says to the other side that nothing more comes, after what was sent.
pub fn shutdown(socket: &OwnedFd) {
    // SAFETY: no pointers are involved; a socket that is gone already is an error without effect.
    unsafe { libc::shutdown(socket.as_raw_fd(), libc::SHUT_WR) };
}

fn to_raw(address: SocketAddr) -> (libc::sockaddr_storage, libc::socklen_t) {
    // SAFETY: all bytes zero is a valid socket address storage.
    let mut storage: libc::sockaddr_storage = unsafe { mem::zeroed() };
    let length = match address {
        SocketAddr::V4(v4) => {
            let raw = libc::sockaddr_in {
                sin_family: libc::AF_INET as libc::sa_family_t,
                sin_port: v4.port().to_be(),
                sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(v4.ip().octets()) },
                sin_zero: [0; 8],
            };
            // SAFETY: a storage is large enough and aligned for any socket address.
            unsafe { (&raw mut storage).cast::<libc::sockaddr_in>().write(raw) };
            mem::size_of::<libc::sockaddr_in>()
        }
        SocketAddr::V6(v6) => {
            let raw = libc::sockaddr_in6 {
                sin6_family: libc::AF_INET6 as libc::sa_family_t,
                sin6_port: v6.port().to_be(),
                sin6_flowinfo: v6.flowinfo(),
                sin6_addr: libc::in6_addr { s6_addr: v6.ip().octets() },
                sin6_scope_id: v6.scope_id(),
            };
            // SAFETY: as above.
            unsafe { (&raw mut storage).cast::<libc::sockaddr_in6>().write(raw) };
            mem::size_of::<libc::sockaddr_in6>()
        }
    };
    (storage, length as libc::socklen_t)
}

fn from_raw(storage: &libc::sockaddr_storage) -> Option<SocketAddr> {
    match i32::from(storage.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says that it holds an IPv4 address.
            let raw = unsafe { &*(&raw const *storage).cast::<libc::sockaddr_in>() };
            let ip = Ipv4Addr::from(raw.sin_addr.s_addr.to_ne_bytes());
            Some(SocketAddr::new(IpAddr::V4(ip), u16::from_be(raw.sin_port)))
        }
        libc::AF_INET6 => {
            // SAFETY: the family says that it holds an IPv6 address.
            let raw = unsafe { &*(&raw const *storage).cast::<libc::sockaddr_in6>() };
            let ip = Ipv6Addr::from(raw.sin6_addr.s6_addr);
            Some(SocketAddr::new(IpAddr::V6(ip), u16::from_be(raw.sin6_port)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_survive_the_way_to_the_kernel_and_back() {
        for text in ["127.0.0.1:0", "[::1]:0"] {
            let address: SocketAddr = text.parse().unwrap();
            let Ok(listener) = listen(address) else { continue };
            let bound = local_address(listener.as_raw_fd()).unwrap();
            assert_eq!(bound.ip(), address.ip());
            assert_ne!(bound.port(), 0);
            let client = std::net::TcpStream::connect(bound).unwrap();
            let (_socket, peer) = accept(listener.as_raw_fd()).unwrap();
            assert_eq!(peer, client.local_addr().unwrap());
        }
    }

    #[test]
    fn two_listeners_share_a_port() {
        let first = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let bound = local_address(first.as_raw_fd()).unwrap();
        listen(bound).unwrap();
    }
}
