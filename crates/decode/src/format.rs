//! The payload formats: the seam where a format is added. Write a type that implements [`Decoder`] in a file of its
//! own and name it in the list at the end of this file; nothing else knows the formats.

use crate::error::{DecodeError, Reason};
use crate::message::Message;
use crate::sink::Sink;

/// One payload format.
pub trait Decoder: Default {
    /// The MQTT 5 content types that may announce it, in lower case and without parameters. Several formats may
    /// name the same one; then the first byte decides between them.
    const CONTENT_TYPES: &'static [&'static str];

    /// Whether a payload whose first byte that is not white space is this one may be of this format.
    fn recognises(first: u8) -> bool;

    /// Gives the readings of the message to the sink. After an error the caller calls [`Sink::abort`].
    ///
    /// # Errors
    /// The first thing that is wrong with the payload.
    fn decode<S: Sink>(&mut self, message: &Message<'_>, sink: &mut S) -> Result<(), DecodeError>;
}

macro_rules! formats {
    ($($field:ident: $format:ty,)+) => {
        /// All formats; the first that fits is taken.
        #[derive(Debug, Default)]
        pub(crate) struct Formats { $($field: $format,)+ }

        impl Formats {
            /// Gives the readings of the message to the sink; after an error none of them is left there.
            #[inline]
            pub(crate) fn decode<S: Sink>(
                &mut self,
                message: &Message<'_>,
                sink: &mut S,
            ) -> Result<(), DecodeError> {
                let first = first_byte(message.payload)?;
                $(if names::<$format>(message.content_type) && <$format>::recognises(first) {
                    return or_abort(self.$field.decode(message, sink), sink);
                })+
                // The content type says what it should be: that format's own reason says most.
                $(if names::<$format>(message.content_type) {
                    return or_abort(self.$field.decode(message, sink), sink);
                })+
                // Clients announce JSON as text/plain and worse.
                $(if <$format>::recognises(first) {
                    return or_abort(self.$field.decode(message, sink), sink);
                })+
                Err(DecodeError::new(Reason::UnknownFormat, 0))
            }
        }
    };
}

/// True if the content type announces the format.
#[inline]
fn names<D: Decoder>(content_type: &str) -> bool {
    !content_type.is_empty() && announces::<D>(content_type)
}

#[inline(never)]
fn announces<D: Decoder>(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    D::CONTENT_TYPES.iter().any(|known| essence.eq_ignore_ascii_case(known))
}

#[inline]
fn first_byte(payload: &[u8]) -> Result<u8, DecodeError> {
    let blank = |b: &u8| matches!(b, b' ' | b'\t' | b'\n' | b'\r');
    payload.iter().copied().find(|b| !blank(b)).ok_or_else(|| DecodeError::new(Reason::Empty, 0))
}

fn or_abort<S: Sink>(result: Result<(), DecodeError>, sink: &mut S) -> Result<(), DecodeError> {
    if result.is_err() {
        sink.abort();
    }
    result
}

formats! {
    flat_json: crate::flat::FlatJson,
    senml_json: crate::senml::SenmlJson,
}
