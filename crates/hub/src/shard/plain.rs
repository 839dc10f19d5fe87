//! The host of calls into the protocol that bring nothing in: they only write, or end the connection.

use mohhos_mqtt::ReasonCode;
use mohhos_mqtt::packet::{Connect, Publish, Subscribe, Unsubscribe};
use mohhos_mqtt::session::{Close, Effects, Ready, Verdict, Will};

/// Takes output, a will and the end.
pub struct Plain<'a> {
    out: &'a mut Vec<u8>,
    /// A will is to be published.
    pub will: Option<Box<Will>>,
    /// The connection is over.
    pub close: Option<Close>,
}

impl<'a> Plain<'a> {
    /// Writes to this buffer.
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out, will: None, close: None }
    }
}

/// Packets come through `read` alone, which is called with another host; if one came here it would be refused.
impl Effects for Plain<'_> {
    #[inline]
    fn output(&mut self) -> &mut Vec<u8> {
        self.out
    }

    fn connect(&mut self, _: &Connect<'_>) {}

    fn publish(&mut self, _: &Publish<'_>) -> Verdict {
        Verdict::Refuse(ReasonCode::UnspecifiedError, "")
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

    fn will(&mut self, will: Will) {
        self.will = Some(Box::new(will));
    }

    fn close(&mut self, cause: Close) {
        self.close = Some(cause);
    }
}
