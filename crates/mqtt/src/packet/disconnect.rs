//! DISCONNECT (3.14).

use crate::error::DecodeError;
use crate::packet::{PacketType, Version, write_packet};
use crate::property::{Properties, place};
use crate::reason::ReasonCode::{self, *};
use crate::wire::{EncodeError, Reader};

/// The last packet of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disconnect<'a> {
    /// Why; success in 3.1.1.
    pub code: ReasonCode,
    /// The properties; none in 3.1.1.
    pub properties: Properties<'a>,
}

const CODES: &[ReasonCode] = &[
    Success,
    DisconnectWithWill,
    UnspecifiedError,
    MalformedPacket,
    ProtocolError,
    ImplementationSpecificError,
    NotAuthorized,
    ServerBusy,
    ServerShuttingDown,
    KeepAliveTimeout,
    SessionTakenOver,
    TopicFilterInvalid,
    TopicNameInvalid,
    ReceiveMaximumExceeded,
    TopicAliasInvalid,
    PacketTooLarge,
    MessageRateTooHigh,
    QuotaExceeded,
    AdministrativeAction,
    PayloadFormatInvalid,
    RetainNotSupported,
    QosNotSupported,
    UseAnotherServer,
    ServerMoved,
    SharedSubscriptionsNotSupported,
    ConnectionRateExceeded,
    MaximumConnectTime,
    SubscriptionIdentifiersNotSupported,
    WildcardSubscriptionsNotSupported,
];

impl<'a> Disconnect<'a> {
    /// The code if DISCONNECT can carry it, else "unspecified error".
    pub(crate) fn permitted(code: ReasonCode) -> ReasonCode {
        super::permitted(code, CODES)
    }

    pub(super) fn decode(body: &'a [u8], version: Version) -> Result<Disconnect<'a>, DecodeError> {
        let mut r = Reader::new(body);
        if version == Version::V4 || r.is_empty() {
            r.end()?;
            return Ok(Disconnect { code: Success, properties: Properties::EMPTY });
        }
        let code = super::read_code(&mut r, CODES)?;
        let properties =
            if r.is_empty() { Properties::EMPTY } else { Properties::read(&mut r, place::DISCONNECT)? };
        r.end()?;
        Ok(Disconnect { code, properties })
    }

    /// Appends the packet; 3.1.1 says nothing but that it ends.
    pub fn encode(&self, version: Version, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        write_packet(out, PacketType::Disconnect, |out| {
            if version == Version::V5 && (self.code != Success || !self.properties.is_empty()) {
                out.push(self.code as u8);
                if !self.properties.is_empty() {
                    self.properties.write(out);
                }
            }
            Ok(())
        })
    }
}
