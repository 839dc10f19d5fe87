//! CONNACK (3.2).

use crate::error::DecodeError;
use crate::packet::{PacketType, Version, write_packet};
use crate::property::{Properties, place};
use crate::reason::ReasonCode::{self, *};
use crate::wire::{EncodeError, Reader};

/// The server's answer to CONNECT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnAck<'a> {
    /// The server goes on with a session that it has.
    pub session_present: bool,
    /// Accepted or why not. The return codes of 3.1.1 stand as the reason codes of the same meaning.
    pub code: ReasonCode,
    /// The properties; none in 3.1.1.
    pub properties: Properties<'a>,
}

const CODES: &[ReasonCode] = &[
    Success,
    UnspecifiedError,
    MalformedPacket,
    ProtocolError,
    ImplementationSpecificError,
    UnsupportedProtocolVersion,
    ClientIdentifierNotValid,
    BadUserNameOrPassword,
    NotAuthorized,
    ServerUnavailable,
    ServerBusy,
    Banned,
    BadAuthenticationMethod,
    TopicNameInvalid,
    PacketTooLarge,
    QuotaExceeded,
    PayloadFormatInvalid,
    RetainNotSupported,
    QosNotSupported,
    UseAnotherServer,
    ServerMoved,
    ConnectionRateExceeded,
];

/// The reason codes for the return codes 0 to 5 of 3.1.1.
const V4: [ReasonCode; 6] = [
    Success,
    UnsupportedProtocolVersion,
    ClientIdentifierNotValid,
    ServerUnavailable,
    BadUserNameOrPassword,
    NotAuthorized,
];

impl<'a> ConnAck<'a> {
    /// The code if CONNACK can carry it, else "unspecified error".
    pub(crate) fn permitted(code: ReasonCode) -> ReasonCode {
        super::permitted(code, CODES)
    }

    pub(super) fn decode(body: &'a [u8], version: Version) -> Result<ConnAck<'a>, DecodeError> {
        let mut r = Reader::new(body);
        let flags = r.u8()?;
        if flags > 1 {
            return Err(DecodeError::malformed("reserved flags of CONNACK are set"));
        }
        let (code, properties) = match version {
            Version::V5 => (super::read_code(&mut r, CODES)?, Properties::read(&mut r, place::CONNACK)?),
            Version::V4 => {
                let code = *V4
                    .get(usize::from(r.u8()?))
                    .ok_or(DecodeError::malformed("a return code that 3.1.1 does not have"))?;
                (code, Properties::EMPTY)
            }
        };
        r.end()?;
        Ok(ConnAck { session_present: flags == 1, code, properties })
    }

    /// Appends the packet. An error that has no return code in 3.1.1 cannot be encoded there.
    pub fn encode(&self, version: Version, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        write_packet(out, PacketType::ConnAck, |out| {
            out.push(u8::from(self.session_present));
            match version {
                Version::V5 => {
                    out.push(self.code as u8);
                    self.properties.write(out);
                }
                Version::V4 => out.push(
                    self.code.connack_v4().ok_or(EncodeError("3.1.1 has no return code for this error"))?,
                ),
            }
            Ok(())
        })
    }
}
