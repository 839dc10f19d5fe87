//! Readings of one message into one row of a declared table.

use crate::error::{DecodeError, Reason};
use crate::message::{Arrivals, Decoded, Message};
use crate::schema::ColumnType;
use crate::sink::{Composite, Name, Reading, Sink, Time, Value};
use crate::telemetry_sink::MAX_NAME;
use crate::time::EventTime;

use super::cell::{self, Cell};
use super::{MAX_KEYS, TableBuilder};

/// Fills one row of a [`TableBuilder`].
pub(crate) struct TableSink<'a> {
    builder: &'a mut TableBuilder,
    message: &'a Message<'a>,
    time: EventTime<'a>,
    /// How many members were looked at.
    place: usize,
    unique: bool,
    rowtime: Option<i64>,
    latest: Option<Time>,
    decoded: Decoded,
}

impl<'a> TableSink<'a> {
    pub(super) fn new(
        builder: &'a mut TableBuilder,
        message: &'a Message<'a>,
        arrivals: &'a mut Arrivals,
    ) -> Self {
        let time = EventTime::new(message, arrivals);
        let decoded = Decoded::default();
        Self { builder, message, time, place: 0, unique: false, rowtime: None, latest: None, decoded }
    }

    pub(crate) fn into_decoded(self) -> Decoded {
        self.decoded
    }

    /// The column that takes a member, and remembers it for the next message.
    fn column(&mut self, name: Name<'_>) -> Option<usize> {
        let place = self.place;
        self.place += 1;
        let known = self.builder.members.get(place);
        let text = match (name, known) {
            (Name::Expected, known) => return known.and_then(|(_, column)| *column),
            (Name::Text(text), Some((name, column))) if name == text && !text.is_empty() => return *column,
            (Name::Text(text), _) => text,
        };
        let column = self.builder.by_name.get(text).copied();
        // A name that needs escapes cannot be compared with the bytes of a payload.
        let escaped = text.bytes().any(|b| b == b'"' || b == b'\\' || b < 0x20);
        let text = if escaped || text.len() > MAX_NAME { "" } else { text };
        if let Some(member) = self.builder.members.get_mut(place) {
            member.0.clear();
            member.0.push_str(text);
            member.1 = column;
        } else if place < MAX_KEYS && place == self.builder.members.len() {
            self.builder.members.push((text.to_owned(), column));
        }
        column
    }

    fn look_up(&self, name: Name<'_>) -> Option<usize> {
        match name {
            Name::Expected => self.builder.members.get(self.place).and_then(|(_, column)| *column),
            Name::Text(text) => self.builder.by_name.get(text).copied(),
        }
    }

    fn has_columns_below(&self, name: Name<'_>) -> bool {
        let outer = match name {
            Name::Expected => self.builder.members.get(self.place).map_or("", |(name, _)| name),
            Name::Text(text) => text,
        };
        self.builder.by_name.keys().any(|c| c.strip_prefix(outer).is_some_and(|rest| rest.starts_with('.')))
    }
}

impl Sink for TableSink<'_> {
    fn begin(&mut self, payload_len: usize, unique: bool) -> Result<(), DecodeError> {
        self.unique = unique;
        self.abort();
        let text = self.builder.columns.iter().map(super::ColumnBuilder::text_bytes).max().unwrap_or(0);
        if text + payload_len > u32::MAX as usize {
            return Err(DecodeError::new(Reason::BatchFull, 0));
        }
        Ok(())
    }

    fn expected(&self) -> &[u8] {
        self.builder.members.get(self.place).map_or(b"", |(name, _)| name.as_bytes())
    }

    fn claims(&self, name: &str) -> bool {
        self.builder.by_name.contains_key(name)
    }

    fn composite(&mut self, name: Name<'_>, array: bool) -> Composite {
        let Some(column) = self.look_up(name) else {
            let wanted = !array && self.has_columns_below(name);
            return if wanted { Composite::Flatten } else { Composite::Skip };
        };
        if self.builder.schema.columns[column].kind == ColumnType::Text {
            return Composite::Text;
        }
        self.decoded.misfits += 1;
        Composite::Skip
    }

    fn reading(&mut self, reading: Reading<'_>, at: usize) -> Result<(), DecodeError> {
        if let Some(time) = reading.time {
            self.latest = Some(later(self.latest, time, self.message.arrival_us));
        }
        let Some(column) = self.column(reading.name) else { return Ok(()) };
        if self.unique && self.builder.cells[column] != Cell::Unset {
            return Err(DecodeError::new(Reason::DuplicateName, at));
        }
        if column == self.builder.schema.rowtime {
            if reading.value != Value::Null {
                let time = cell::timestamp(reading.value, true);
                let time = time.ok_or_else(|| DecodeError::new(Reason::BadTime, at))?;
                self.rowtime = Some(time);
                self.builder.cells[column] = Cell::I64(time);
            }
            return Ok(());
        }
        let kind = self.builder.schema.columns[column].kind;
        let converted = cell::convert(reading.value, kind, &mut self.builder.text);
        self.decoded.misfits += usize::from(converted.is_none());
        self.builder.cells[column] = converted.unwrap_or(Cell::Null);
        Ok(())
    }

    fn finish(&mut self, time: Option<Time>) {
        let own = self.rowtime.map(Time::At);
        let (ts, quality) = self.time.resolve(own.or(time).or(self.latest).unwrap_or(Time::Arrival(0)));
        self.decoded.clock_corrected = usize::from(quality == crate::batch::quality::CLOCK);
        let builder = &mut *self.builder;
        let schema = builder.schema.columns.iter().zip(&mut builder.columns);
        for (index, ((schema, column), cell)) in schema.zip(&mut builder.cells).enumerate() {
            let cell = std::mem::replace(cell, Cell::Unset);
            let cell = match schema.kind {
                ColumnType::Device => Cell::Code(self.message.device),
                ColumnType::Quality => Cell::Byte(quality),
                _ if index == builder.schema.rowtime => Cell::I64(ts),
                _ => cell,
            };
            column.push(cell, &builder.text);
        }
        builder.rows += 1;
        self.decoded.rows = 1;
    }

    fn abort(&mut self) {
        self.builder.cells.fill(Cell::Unset);
        self.builder.text.clear();
    }
}

/// The later of two times.
fn later(before: Option<Time>, time: Time, arrival_us: i64) -> Time {
    let us = |time| match time {
        Time::At(us) => us,
        Time::Arrival(offset) => arrival_us.saturating_add(offset),
    };
    before.filter(|&before| us(before) >= us(time)).unwrap_or(time)
}
