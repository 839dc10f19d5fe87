//! AUTH (3.15), of MQTT 5 alone.

use crate::error::DecodeError;
use crate::packet::{PacketType, Version, write_packet};
use crate::property::{Properties, place};
use crate::reason::ReasonCode::{self, *};
use crate::wire::{EncodeError, Reader};

/// A step of extended authentication.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Auth<'a> {
    /// Success, continue or re-authenticate.
    pub code: ReasonCode,
    /// The properties.
    pub properties: Properties<'a>,
}

const CODES: &[ReasonCode] = &[Success, ContinueAuthentication, Reauthenticate];

impl<'a> Auth<'a> {
    pub(super) fn decode(body: &'a [u8], version: Version) -> Result<Auth<'a>, DecodeError> {
        if version == Version::V4 {
            return Err(DecodeError::malformed("AUTH is unknown in 3.1.1"));
        }
        let mut r = Reader::new(body);
        if r.is_empty() {
            return Ok(Auth { code: Success, properties: Properties::EMPTY });
        }
        let code = super::read_code(&mut r, CODES)?;
        let properties = Properties::read(&mut r, place::AUTH)?;
        r.end()?;
        Ok(Auth { code, properties })
    }

    /// Appends the packet.
    pub fn encode(&self, version: Version, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        if version == Version::V4 {
            return Err(EncodeError("3.1.1 has no AUTH packet"));
        }
        write_packet(out, PacketType::Auth, |out| {
            if self.code != Success || !self.properties.is_empty() {
                out.push(self.code as u8);
                self.properties.write(out);
            }
            Ok(())
        })
    }
}
