//! QoS 0 allocates nothing, neither way; a test of its own, for it counts all that the process allocates.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests, which clippy does not know as such"
)]

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use mohhos_mqtt::packet::{Connect, Publish, Subscribe, Unsubscribe};
use mohhos_mqtt::session::{
    Accept, Close, Delivered, Delivery, Effects, Limits, Ready, Session, Verdict, Will,
};
use mohhos_mqtt::{Property, ReasonCode, Version};
use support::{connect, delivery, properties, publish};

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: all is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller keeps the contract.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

struct Sink(Vec<u8>);

impl Effects for Sink {
    fn output(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }
    fn connect(&mut self, _: &Connect<'_>) {}
    fn publish(&mut self, _: &Publish<'_>) -> Verdict {
        Verdict::Accept
    }
    fn released(&mut self, _: u16) -> Ready {
        Ready::Now
    }
    fn subscribe(&mut self, _: &Subscribe<'_>, _: &mut Vec<ReasonCode>) -> Ready {
        Ready::Now
    }
    fn unsubscribe(&mut self, _: &Unsubscribe<'_>, _: &mut Vec<ReasonCode>) -> Ready {
        Ready::Now
    }
    fn received(&mut self, _: u64) -> Ready {
        Ready::Now
    }
    fn settled(&mut self, _: u64, _: ReasonCode) {}
    fn will(&mut self, _: Will) {}
    fn close(&mut self, cause: Close) {
        panic!("{cause:?}");
    }
}

#[test]
fn qos_0_allocates_nothing_and_plain_acknowledgements_neither() {
    for version in [Version::V4, Version::V5] {
        let mut sink = Sink(Vec::with_capacity(1 << 16));
        let mut session = Session::new(Limits::default(), 0);
        let mut bytes = Vec::new();
        connect(version).encode(&mut bytes).unwrap();
        session.read(&bytes, 0, &mut sink);
        session.accept(&Accept::default(), None, 0, &mut sink);
        let list = properties(&[Property::UserProperty("a", "b"), Property::ContentType("c")]);
        let mut bytes = Vec::new();
        for qos in [0, 1] {
            Publish { properties: list.view(), ..publish("t", qos, u16::from(qos)) }
                .encode(version, &mut bytes)
                .unwrap();
        }
        let message = Delivery { properties: list.view(), expiry_s: Some(9), ..delivery(0, 0) };

        let before = COUNT.with(Cell::get);
        for _ in 0..100 {
            assert_eq!(session.read(&bytes, 0, &mut sink), bytes.len());
            assert_eq!(session.deliver(&message, &mut sink), Delivered::Sent);
        }
        assert_eq!(COUNT.with(Cell::get) - before, 0);
    }
}
