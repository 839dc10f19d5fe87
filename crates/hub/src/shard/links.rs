//! The roads between shards: a ring for each pair and direction, and a socket pair for connections that move.
//!
//! A full ring makes the sender keep what it has in `overflow`, and stop reading sockets until that is gone. Every
//! shard always empties its own rings, so nobody waits in a circle.

use std::collections::VecDeque;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rtrb::{Consumer, Producer, RingBuffer};

use super::connection::Transfer;
use super::turns::{Handover, TakenTurn};
use crate::session::checkpoint::Round;
use crate::shared::Shared;
use crate::sys::handoff::{self, FdReceiver, FdSender};
use crate::topics::message::Message;
use crate::topics::route::Route;
use crate::topics::share::Member;

/// Messages that fit into a ring.
const RING: usize = 8192;

/// What goes from one shard to another.
pub enum Cross {
    /// A message for subscribers there.
    Message(Arc<Message>, Arc<Route>),
    /// A message for the session whose turn it is there.
    Turn(Arc<Message>, TakenTurn),
    /// A message that a session there takes over.
    Handover(Box<Handover>),
    /// A session there is away while another of its group is here.
    Release(Arc<Member>),
    /// A connection that moves; its socket comes by the socket pair.
    Transfer(Box<Transfer>),
    /// Tell the status of this device.
    Status(Arc<str>),
    /// The sender has sent all that it appended to the log below this offset.
    Mark(Arc<Round>, u64),
}

/// All roads of one shard.
pub struct Links {
    me: usize,
    outputs: Vec<Option<Output>>,
    inputs: Vec<Option<Input>>,
}

struct Output {
    ring: Producer<Cross>,
    sockets: FdSender,
    overflow: VecDeque<Cross>,
    moving: VecDeque<(Box<Transfer>, OwnedFd)>,
    woken: bool,
}

struct Input {
    ring: Consumer<Cross>,
    sockets: FdReceiver,
    arrived: VecDeque<Option<OwnedFd>>,
    transfers: VecDeque<Box<Transfer>>,
}

impl Input {
    fn has_arrival(&self) -> bool {
        !self.arrived.is_empty() && !self.transfers.is_empty()
    }
}

/// The roads of all shards, one for each.
pub fn connect(shards: usize) -> std::io::Result<Vec<Links>> {
    let mut links: Vec<Links> =
        (0..shards).map(|me| Links { me, outputs: Vec::new(), inputs: Vec::new() }).collect();
    for from in 0..shards {
        for to in 0..shards {
            let (mut output, mut input) = (None, None);
            if from != to {
                let (producer, consumer) = RingBuffer::new(RING);
                let (sender, receiver) = handoff::pair()?;
                output = Some(Output {
                    ring: producer,
                    sockets: sender,
                    overflow: VecDeque::new(),
                    moving: VecDeque::new(),
                    woken: true,
                });
                input = Some(Input {
                    ring: consumer,
                    sockets: receiver,
                    arrived: VecDeque::new(),
                    transfers: VecDeque::new(),
                });
            }
            links[from].outputs.push(output);
            links[to].inputs.push(input);
        }
    }
    Ok(links)
}

impl Links {
    /// The descriptors that the shard's table keeps.
    pub fn descriptors(&self) -> Vec<RawFd> {
        let outputs = self.outputs.iter().flatten().map(|output| output.sockets.fd());
        let inputs = self.inputs.iter().flatten().map(|input| input.sockets.fd());
        outputs.chain(inputs).collect()
    }

    /// The descriptors to watch: by these, sockets come.
    pub fn incoming(&self) -> Vec<RawFd> {
        self.inputs.iter().flatten().map(|input| input.sockets.fd()).collect()
    }

    /// Sends something to another shard, in order.
    pub fn send(&mut self, to: u16, cross: Cross) {
        let Some(Some(output)) = self.outputs.get_mut(usize::from(to)) else { return };
        output.woken = false;
        if !output.overflow.is_empty() {
            output.overflow.push_back(cross);
        } else if let Err(rtrb::PushError::Full(cross)) = output.ring.push(cross) {
            output.overflow.push_back(cross);
        }
    }

    /// Sends a mark to all others.
    pub fn mark(&mut self, round: &Arc<Round>, end: u64) {
        for to in 0..self.outputs.len() {
            self.send(to as u16, Cross::Mark(round.clone(), end));
        }
    }

    /// Moves a connection to its home shard.
    pub fn transfer(&mut self, to: u16, transfer: Box<Transfer>, socket: OwnedFd) {
        if let Some(Some(output)) = self.outputs.get_mut(usize::from(to)) {
            output.moving.push_back((transfer, socket));
        }
    }

    /// Sends what did not fit before, and wakes who got something. True if all is sent.
    pub fn flush(&mut self, shared: &Shared) -> bool {
        let mut done = true;
        for (to, output) in self.outputs.iter_mut().enumerate() {
            let Some(output) = output else { continue };
            let share = &shared.shards[to];
            if !output.overflow.is_empty() {
                // Before trying: the other side looks at it after it has made room.
                share.starving[self.me].store(true, Ordering::SeqCst);
                output.woken = false;
            }
            while let Some(cross) = output.overflow.pop_front() {
                if let Err(rtrb::PushError::Full(cross)) = output.ring.push(cross) {
                    output.overflow.push_front(cross);
                    break;
                }
            }
            while let Some((transfer, socket)) = output.moving.pop_front() {
                if output.sockets.send(socket.as_raw_fd()).is_err() {
                    output.moving.push_front((transfer, socket));
                    break;
                }
                output.woken = false;
                match output.ring.push(Cross::Transfer(transfer)) {
                    Ok(()) => {}
                    Err(rtrb::PushError::Full(cross)) => output.overflow.push_back(cross),
                }
            }
            if !std::mem::replace(&mut output.woken, true) {
                share.wake.raise();
            }
            done &= output.overflow.is_empty() && output.moving.is_empty();
        }
        done
    }

    /// Is something left that did not fit? Sockets are not read then.
    pub fn is_full(&self) -> bool {
        self.outputs.iter().flatten().any(|output| !output.overflow.is_empty())
    }

    /// Do connections wait to move?
    pub fn is_moving(&self) -> bool {
        self.outputs.iter().flatten().any(|output| !output.moving.is_empty())
    }

    /// What another shard has sent, in order.
    pub fn receive(&mut self, from: u16) -> Option<Cross> {
        self.inputs.get_mut(usize::from(from))?.as_mut()?.ring.pop().ok()
    }

    /// Called when nothing more comes from a shard: wakes it if it waits for room.
    pub fn drained(&self, from: u16, shared: &Shared) {
        if shared.shards[self.me].starving[usize::from(from)].swap(false, Ordering::SeqCst) {
            shared.shards[usize::from(from)].wake.raise();
        }
    }

    /// Notes a connection whose socket comes, or has come, by the other road.
    pub fn expect(&mut self, from: u16, transfer: Box<Transfer>) {
        if let Some(Some(input)) = self.inputs.get_mut(usize::from(from)) {
            input.transfers.push_back(transfer);
        }
    }

    /// Takes in the sockets that have come.
    pub fn receive_sockets(&mut self) {
        for input in self.inputs.iter_mut().flatten() {
            while let Ok(socket) = input.sockets.receive() {
                input.arrived.push_back(socket);
            }
        }
    }

    /// Is there one?
    pub fn has_arrival(&self) -> bool {
        self.inputs.iter().flatten().any(Input::has_arrival)
    }

    /// The next connection with its socket; `None` for a socket that did not fit into this table.
    pub fn arrival(&mut self) -> Option<(Box<Transfer>, Option<OwnedFd>)> {
        let input = self.inputs.iter_mut().flatten().find(|input| input.has_arrival())?;
        Some((input.transfers.pop_front()?, input.arrived.pop_front()?))
    }

    /// The other shards.
    pub fn others(&self) -> impl Iterator<Item = u16> + use<> {
        let me = self.me;
        (0..self.outputs.len()).filter(move |&shard| shard != me).map(|shard| shard as u16)
    }
}
