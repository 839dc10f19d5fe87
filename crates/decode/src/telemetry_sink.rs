//! Readings into the built-in table `telemetry`.

use crate::batch::quality;
use crate::builder::BatchBuilder;
use crate::error::{DecodeError, Reason};
use crate::message::{Arrivals, Decoded, Message, MetricResolver};
use crate::shape::Shape;
use crate::sink::{Composite, Name, Reading, Sink, Time, Value};
use crate::time::EventTime;

/// The longest metric name, in bytes.
pub const MAX_NAME: usize = 255;

/// Fills a [`BatchBuilder`] with the readings of one message.
pub(crate) struct TelemetrySink<'a, R> {
    builder: &'a mut BatchBuilder,
    resolver: &'a mut R,
    message: &'a Message<'a>,
    time: EventTime<'a>,
    /// The shape of the message before, and how far this one has followed it.
    known: &'a Shape,
    place: usize,
    /// From the first name that differs: this message's own shape.
    own: &'a mut Shape,
    differs: bool,
    recording: bool,
    unique: bool,
    first_row: usize,
    decoded: Decoded,
}

impl<'a, R: MetricResolver> TelemetrySink<'a, R> {
    #[inline]
    pub(crate) fn new(
        message: &'a Message<'a>,
        arrivals: &'a mut Arrivals,
        known: &'a Shape,
        own: &'a mut Shape,
        builder: &'a mut BatchBuilder,
        resolver: &'a mut R,
    ) -> Self {
        Self {
            first_row: builder.rows(),
            builder,
            resolver,
            message,
            time: EventTime::new(message, arrivals),
            known,
            place: 0,
            own,
            differs: false,
            recording: true,
            unique: false,
            decoded: Decoded::default(),
        }
    }

    /// What became of the message, and whether its shape is new.
    #[inline]
    pub(crate) fn into_decoded(self) -> (Decoded, bool) {
        (self.decoded, self.differs && !self.own.is_empty())
    }

    /// The code by comparison with the message before, or by looking it up.
    #[inline]
    fn code(&mut self, name: Name<'_>, at: usize) -> Result<Option<u32>, DecodeError> {
        let text = match name {
            Name::Expected => {
                self.place += 1;
                return Ok(self.known.code(self.place - 1));
            }
            Name::Text(text) => text,
        };
        if !self.differs
            && let Some((key, code)) = self.known.key(self.place)
            && text.as_bytes() == key
        {
            self.place += 1;
            return Ok(Some(code));
        }
        self.look_up(text, at)
    }

    #[cold]
    #[inline(never)]
    fn look_up(&mut self, name: &str, at: usize) -> Result<Option<u32>, DecodeError> {
        if !self.differs {
            self.differs = true;
            self.own.copy_prefix(self.known, self.place);
        }
        // SenML packs repeat a name for each time.
        if let Some((last, code)) = self.own.last()
            && last == name.as_bytes()
            && !self.unique
        {
            return Ok(Some(code));
        }
        check_name(name, at)?;
        let Some(code) = self.resolver.code(self.message.device, name) else {
            self.recording = false;
            return Ok(None);
        };
        if self.unique && self.builder.metrics_since(self.first_row).contains(&code) {
            return Err(DecodeError::new(Reason::DuplicateName, at));
        }
        self.recording = self.recording && self.own.push(name.as_bytes(), code);
        Ok(Some(code))
    }
}

impl<R: MetricResolver> Sink for TelemetrySink<'_, R> {
    #[inline]
    fn begin(&mut self, payload_len: usize, unique: bool) -> Result<(), DecodeError> {
        if self.builder.text_bytes() + payload_len > u32::MAX as usize {
            return Err(DecodeError::new(Reason::BatchFull, 0));
        }
        self.unique = unique;
        Ok(())
    }

    #[inline]
    fn expected(&self) -> &[u8] {
        if self.differs { b"" } else { self.known.key(self.place).map_or(b"", |(key, _)| key) }
    }

    fn claims(&self, _name: &str) -> bool {
        false
    }

    fn composite(&mut self, _name: Name<'_>, array: bool) -> Composite {
        if array { Composite::Refuse } else { Composite::Flatten }
    }

    #[inline(always)]
    fn reading(&mut self, reading: Reading<'_>, at: usize) -> Result<(), DecodeError> {
        if reading.value == Value::Null {
            // The place is followed, so that a sensor that fails for a while does not change the shape.
            if reading.name == Name::Expected {
                self.place += 1;
            }
            return Ok(());
        }
        let Some(code) = self.code(reading.name, at)? else {
            self.decoded.dropped += 1;
            return Ok(());
        };
        match reading.value {
            Value::Number(number, _) => self.builder.push_number(code, number),
            Value::Bool(truth) => self.builder.push_number(code, f64::from(u8::from(truth))),
            Value::Text(text) | Value::Json(text) => self.builder.push_text(code, text),
            Value::Null => {}
        }
        if let Some(time) = reading.time {
            let (ts, quality) = self.time.resolve(time);
            self.decoded.clock_corrected += usize::from(quality == quality::CLOCK);
            self.builder.seal(self.message.device, self.message.table, ts, quality);
        }
        self.decoded.rows += 1;
        Ok(())
    }

    #[inline]
    fn finish(&mut self, time: Option<Time>) {
        let (mut ts, mut quality) = (0, quality::GOOD);
        if let Some(time) = time
            && self.decoded.rows > 0
        {
            (ts, quality) = self.time.resolve(time);
            self.decoded.clock_corrected += if quality == quality::CLOCK { self.decoded.rows } else { 0 };
        }
        self.builder.seal(self.message.device, self.message.table, ts, quality);
    }

    fn abort(&mut self) {
        self.builder.truncate(self.first_row);
    }
}

/// The rule for names of metrics, whatever format they come in.
pub(crate) fn check_name(name: &str, at: usize) -> Result<(), DecodeError> {
    let reason = if name.is_empty() {
        Reason::EmptyName
    } else if name.len() > MAX_NAME {
        Reason::LongName
    } else if name.chars().any(char::is_control) {
        Reason::BadName
    } else {
        return Ok(());
    };
    Err(DecodeError::new(reason, at))
}
