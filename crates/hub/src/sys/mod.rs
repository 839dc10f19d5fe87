//! What the hub asks of Linux: epoll, eventfd, sockets, descriptor tables, passing descriptors between threads.

pub mod descriptors;
pub mod epoll;
pub mod event_fd;
pub mod handoff;
pub mod socket;
