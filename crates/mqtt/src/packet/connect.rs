//! CONNECT (3.1).

use crate::error::DecodeError;
use crate::packet::{PacketType, QoS, Version, write_packet};
use crate::property::{Properties, place};
use crate::reason::ReasonCode;
use crate::topic;
use crate::wire::{self, EncodeError, Reader};

const CLEAN: u8 = 1 << 1;
const WILL: u8 = 1 << 2;
const WILL_RETAIN: u8 = 1 << 5;
const PASSWORD: u8 = 1 << 6;
const USER_NAME: u8 = 1 << 7;

/// Set in the protocol level by bridges: not of the standard, but what Mosquitto sends first and others know
/// (`try_private` in its configuration).
const BRIDGE: u8 = 0x80;

/// A client's request to connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connect<'a> {
    /// The version that the client speaks.
    pub version: Version,
    /// It is another broker's bridge: it wants no message back that it published itself, and the RETAIN flag as it was
    /// published.
    pub bridge: bool,
    /// Clean start; in 3.1.1 clean session.
    pub clean_start: bool,
    /// The keep-alive in seconds; 0 for none.
    pub keep_alive: u16,
    /// The client identifier; empty if the server is to choose one.
    pub client_id: &'a str,
    /// The properties; none in 3.1.1.
    pub properties: Properties<'a>,
    /// The will, if there is one.
    pub will: Option<WillView<'a>>,
    /// The user name.
    pub user_name: Option<&'a str>,
    /// The password.
    pub password: Option<&'a [u8]>,
}

/// The will in a CONNECT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WillView<'a> {
    /// Where to publish it.
    pub topic: &'a str,
    /// The payload.
    pub payload: &'a [u8],
    /// The quality of service.
    pub qos: QoS,
    /// To be retained.
    pub retain: bool,
    /// The will properties; none in 3.1.1.
    pub properties: Properties<'a>,
}

impl<'a> Connect<'a> {
    pub(super) fn decode(body: &'a [u8]) -> Result<Connect<'a>, DecodeError> {
        let mut r = Reader::new(body);
        let (version, bridge) = read_version(&mut r)?;
        Connect::decode_rest(&mut r, version, bridge).map_err(|e| DecodeError { connack: Some(version), ..e })
    }

    fn decode_rest(r: &mut Reader<'a>, version: Version, bridge: bool) -> Result<Connect<'a>, DecodeError> {
        let flags = r.u8()?;
        check_flags(flags, version)?;
        let keep_alive = r.u16()?;
        let v5 = version == Version::V5;
        let properties = if v5 { Properties::read(r, place::CONNECT)? } else { Properties::EMPTY };
        if properties.authentication_data().is_some() && properties.authentication_method().is_none() {
            return Err(DecodeError::protocol("authentication data without a method"));
        }
        let client_id = r.text()?;
        let will = if flags & WILL != 0 { Some(WillView::decode(r, flags, v5)?) } else { None };
        let user_name = if flags & USER_NAME != 0 { Some(r.text()?) } else { None };
        let password = if flags & PASSWORD != 0 { Some(r.binary()?) } else { None };
        r.end()?;
        Ok(Connect {
            version,
            bridge,
            clean_start: flags & CLEAN != 0,
            keep_alive,
            client_id,
            properties,
            will,
            user_name,
            password,
        })
    }

    /// Appends the packet, in the version that it names.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let v5 = self.version == Version::V5;
        if !v5 && self.password.is_some() && self.user_name.is_none() {
            return Err(EncodeError("MQTT 3.1.1 has no password without a user name"));
        }
        write_packet(out, PacketType::Connect, |out| {
            wire::put_binary(out, b"MQTT");
            out.push(self.version as u8 | if self.bridge { BRIDGE } else { 0 });
            let mut flags = 0;
            flags |= if self.clean_start { CLEAN } else { 0 };
            flags |= if self.user_name.is_some() { USER_NAME } else { 0 };
            flags |= if self.password.is_some() { PASSWORD } else { 0 };
            if let Some(will) = &self.will {
                flags |= WILL | (will.qos as u8) << 3 | if will.retain { WILL_RETAIN } else { 0 };
            }
            out.push(flags);
            wire::put_u16(out, self.keep_alive);
            if v5 {
                self.properties.write(out);
            }
            put(out, self.client_id.as_bytes())?;
            if let Some(will) = &self.will {
                if v5 {
                    will.properties.write(out);
                }
                put(out, will.topic.as_bytes())?;
                put(out, will.payload)?;
            }
            if let Some(name) = self.user_name {
                put(out, name.as_bytes())?;
            }
            if let Some(password) = self.password {
                put(out, password)?;
            }
            Ok(())
        })
    }
}

impl<'a> WillView<'a> {
    fn decode(r: &mut Reader<'a>, flags: u8, v5: bool) -> Result<WillView<'a>, DecodeError> {
        let properties = if v5 { Properties::read(r, place::WILL)? } else { Properties::EMPTY };
        let topic = r.text()?;
        if !topic::is_name(topic) {
            return Err(DecodeError::malformed("the will's topic name is empty or has wildcards"));
        }
        let payload = r.binary()?;
        let qos = QoS::from_u8(flags >> 3 & 3).ok_or(DecodeError::malformed("a will with QoS 3"))?;
        Ok(WillView { topic, payload, qos, retain: flags & WILL_RETAIN != 0, properties })
    }
}

fn put(out: &mut Vec<u8>, bytes: &[u8]) -> Result<(), EncodeError> {
    wire::field_len(bytes)?;
    wire::put_binary(out, bytes);
    Ok(())
}

/// Protocol name and level (3.1.2.1, 3.1.2.2), and whether the level is a bridge's. The CONNACK about an unknown level
/// is in the nearest version that the client may understand: a bridge tries again as an ordinary client.
fn read_version(r: &mut Reader<'_>) -> Result<(Version, bool), DecodeError> {
    let name = r.binary()?;
    if name != b"MQTT" && name != b"MQIsdp" {
        return Err(DecodeError::new(
            ReasonCode::UnsupportedProtocolVersion,
            "the protocol name is not MQTT",
        ));
    }
    match (name, r.u8()?) {
        (b"MQTT", level) if level & !BRIDGE == 4 => Ok((Version::V4, level & BRIDGE != 0)),
        (b"MQTT", level) if level & !BRIDGE == 5 => Ok((Version::V5, level & BRIDGE != 0)),
        (_, level) => Err(DecodeError {
            code: ReasonCode::UnsupportedProtocolVersion,
            what: "only MQTT 3.1.1 and 5 are spoken here",
            connack: Some(if level & !BRIDGE > 5 { Version::V5 } else { Version::V4 }),
        }),
    }
}

fn check_flags(flags: u8, version: Version) -> Result<(), DecodeError> {
    if flags & 1 != 0 {
        return Err(DecodeError::malformed("the reserved flag of CONNECT is set"));
    }
    if flags & WILL == 0 && flags & (WILL_RETAIN | 3 << 3) != 0 {
        return Err(DecodeError::malformed("will flags without a will"));
    }
    if flags >> 3 & 3 == 3 {
        return Err(DecodeError::malformed("a will with QoS 3"));
    }
    if version == Version::V4 && flags & PASSWORD != 0 && flags & USER_NAME == 0 {
        return Err(DecodeError::malformed("a password without a user name"));
    }
    Ok(())
}
