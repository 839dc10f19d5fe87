//! What a shard calls: a message in, rows out.

use crate::builder::BatchBuilder;
use crate::error::DecodeError;
use crate::format::Formats;
use crate::message::{Decoded, DeviceState, Message, MetricResolver};
use crate::shape::{Shape, Shapes};
use crate::table::TableBuilder;
use crate::telemetry_sink::TelemetrySink;

/// The decoders of one shard with what they remember between messages.
#[derive(Debug, Default)]
pub struct Decoders {
    formats: Formats,
    shapes: Shapes,
    scratch: Shape,
}

impl Decoders {
    /// Decoders that remember nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Decodes a message into rows of `telemetry`, one per reading. All or nothing: after an error the builder is
    /// as it was.
    ///
    /// # Errors
    /// The first thing that is wrong with the payload.
    pub fn telemetry<R: MetricResolver>(
        &mut self,
        message: &Message<'_>,
        device: &mut DeviceState,
        resolver: &mut R,
        builder: &mut BatchBuilder,
    ) -> Result<Decoded, DecodeError> {
        static NO_SHAPE: Shape = Shape::new();
        let known = self.shapes.get(device.shape).unwrap_or(&NO_SHAPE);
        let mut sink =
            TelemetrySink::new(message, &mut device.arrivals, known, &mut self.scratch, builder, resolver);
        self.formats.decode(message, &mut sink)?;
        let (decoded, differs) = sink.into_decoded();
        if differs {
            device.shape = self.shapes.intern(&self.scratch);
        }
        Ok(decoded)
    }

    /// Decodes a message into one row of a declared table. All or nothing, as above.
    ///
    /// # Errors
    /// The first thing that is wrong with the payload; a value that only does not fit its column is NULL and
    /// counted in [`Decoded::misfits`].
    pub fn row(
        &mut self,
        message: &Message<'_>,
        device: &mut DeviceState,
        builder: &mut TableBuilder,
    ) -> Result<Decoded, DecodeError> {
        let mut sink = builder.sink(message, &mut device.arrivals);
        self.formats.decode(message, &mut sink)?;
        Ok(sink.into_decoded())
    }
}
