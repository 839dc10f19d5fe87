//! Rows to one Parquet file.
//!
//! Columns, in this order: `device`, `metric`, `table` INT32 (codes); `ts` INT64 (TIMESTAMP, microseconds, UTC);
//! `num` DOUBLE; `text` BYTE_ARRAY (STRING); `quality` INT32 (UINT_8); `arrival` INT64 (TIMESTAMP, microseconds,
//! UTC). `num` and `text` are nullable; `num` is written as required where no row is NULL. Rows are in the order of
//! [`crate::order`], row groups have [`ROW_GROUP`] rows and carry statistics of every column, so that readers skip
//! by device and time. The file metadata has `mohhos.history` = `1`, the version of this layout.

use std::sync::Arc;

use parquet::basic::{Compression, Encoding, LogicalType, Repetition, TimeUnit, Type as Physical, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, DoubleType, Int32Type, Int64Type};
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::{ColumnPath, Type, TypePtr};

use crate::error::HistoryError;
use crate::mask::Mask;
use crate::rows::Rows;

/// Rows per row group: what a reader skips or reads as a whole.
pub(crate) const ROW_GROUP: usize = 128 * 1024;

/// The key of the layout's version in the file metadata.
const VERSION_KEY: &str = "mohhos.history";
/// The version of the layout.
const VERSION: &str = "1";

/// Which rows a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    /// The number of rows, never 0.
    pub rows: u64,
    pub min_ts: i64,
    pub max_ts: i64,
    pub min_arrival: i64,
    pub max_arrival: i64,
    pub min_device: u32,
    pub max_device: u32,
}

impl Extent {
    /// The extent of the rows chosen; `None` if there are none.
    pub fn of(rows: &Rows, order: &[u32]) -> Option<Extent> {
        let (&first, &last) = (order.first()?, order.last()?);
        let mut extent = Extent {
            rows: order.len() as u64,
            min_ts: i64::MAX,
            max_ts: i64::MIN,
            min_arrival: i64::MAX,
            max_arrival: i64::MIN,
            min_device: rows.device[first as usize],
            max_device: rows.device[last as usize],
        };
        for &row in order {
            let (ts, arrival) = (rows.ts[row as usize], rows.arrival[row as usize]);
            extent.min_ts = extent.min_ts.min(ts);
            extent.max_ts = extent.max_ts.max(ts);
            extent.min_arrival = extent.min_arrival.min(arrival);
            extent.max_arrival = extent.max_arrival.max(arrival);
        }
        Some(extent)
    }
}

/// The rows at `order`, in that order, as a Parquet file.
pub(crate) fn encode(rows: &Rows, order: &[u32]) -> Result<Vec<u8>, HistoryError> {
    let dense = matches!(rows.num_mask, Mask::All(_));
    let buffer = Vec::with_capacity(order.len() * 12 + 4096);
    let mut file = SerializedFileWriter::new(buffer, schema(dense)?, Arc::new(properties()?))?;
    let mut scratch = Scratch::default();
    for chosen in order.chunks(ROW_GROUP) {
        let mut group = file.next_row_group()?;
        scratch.codes(&mut group, &rows.device, chosen)?;
        scratch.codes(&mut group, &rows.metric, chosen)?;
        scratch.codes(&mut group, &rows.table, chosen)?;
        scratch.times(&mut group, &rows.ts, chosen)?;
        scratch.numbers(&mut group, rows, chosen, dense)?;
        scratch.texts(&mut group, rows, chosen)?;
        scratch.bytes(&mut group, &rows.quality, chosen)?;
        scratch.times(&mut group, &rows.arrival, chosen)?;
        group.close()?;
    }
    Ok(file.into_inner()?)
}

fn schema(dense: bool) -> Result<TypePtr, HistoryError> {
    let int = |name, logical| {
        Type::primitive_type_builder(name, Physical::INT32)
            .with_repetition(Repetition::REQUIRED)
            .with_logical_type(logical)
            .build()
    };
    let time = |name| {
        Type::primitive_type_builder(name, Physical::INT64)
            .with_repetition(Repetition::REQUIRED)
            .with_logical_type(Some(LogicalType::timestamp(true, TimeUnit::MICROS)))
            .build()
    };
    let num = Type::primitive_type_builder("num", Physical::DOUBLE)
        .with_repetition(if dense { Repetition::REQUIRED } else { Repetition::OPTIONAL })
        .build();
    let text = Type::primitive_type_builder("text", Physical::BYTE_ARRAY)
        .with_repetition(Repetition::OPTIONAL)
        .with_logical_type(Some(LogicalType::String))
        .build();
    let fields = [
        int("device", None)?,
        int("metric", None)?,
        int("table", None)?,
        time("ts")?,
        num?,
        text?,
        int("quality", Some(LogicalType::integer(8, false)))?,
        time("arrival")?,
    ];
    let fields = fields.into_iter().map(Arc::new).collect();
    Ok(Arc::new(Type::group_type_builder("telemetry").with_fields(fields).build()?))
}

fn ascending(column_idx: i32) -> SortingColumn {
    SortingColumn { column_idx, descending: false, nulls_first: false }
}

fn properties() -> Result<WriterProperties, HistoryError> {
    let column = |name: &str| ColumnPath::from(name);
    let mut builder = WriterProperties::builder()
        .set_created_by(concat!("mohhos ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_key_value_metadata(Some(vec![KeyValue::new(VERSION_KEY.to_owned(), VERSION.to_owned())]))
        .set_sorting_columns(Some((0..4).map(ascending).collect()))
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_dictionary_enabled(false)
        .set_offset_index_disabled(true)
        .set_max_row_group_row_count(None)
        .set_write_batch_size(ROW_GROUP)
        .set_data_page_row_count_limit(ROW_GROUP)
        .set_data_page_size_limit(8 << 20);
    for name in ["device", "metric", "table", "quality", "ts", "arrival"] {
        builder = builder.set_column_encoding(column(name), Encoding::DELTA_BINARY_PACKED);
    }
    builder = builder.set_column_dictionary_enabled(column("text"), true);
    Ok(builder.build())
}

/// Buffers for one column of one row group, used again and again.
#[derive(Default)]
struct Scratch {
    ints: Vec<i32>,
    longs: Vec<i64>,
    doubles: Vec<f64>,
    levels: Vec<i16>,
}

type Group<'a> = SerializedRowGroupWriter<'a, Vec<u8>>;

impl Scratch {
    fn codes(&mut self, group: &mut Group<'_>, codes: &[u32], chosen: &[u32]) -> Result<(), HistoryError> {
        self.ints.clear();
        self.ints.extend(chosen.iter().map(|&row| codes[row as usize] as i32));
        write::<Int32Type>(group, &self.ints, None)
    }

    fn bytes(&mut self, group: &mut Group<'_>, bytes: &[u8], chosen: &[u32]) -> Result<(), HistoryError> {
        self.ints.clear();
        self.ints.extend(chosen.iter().map(|&row| i32::from(bytes[row as usize])));
        write::<Int32Type>(group, &self.ints, None)
    }

    fn times(&mut self, group: &mut Group<'_>, times: &[i64], chosen: &[u32]) -> Result<(), HistoryError> {
        self.longs.clear();
        self.longs.extend(chosen.iter().map(|&row| times[row as usize]));
        write::<Int64Type>(group, &self.longs, None)
    }

    fn numbers(
        &mut self,
        group: &mut Group<'_>,
        rows: &Rows,
        chosen: &[u32],
        dense: bool,
    ) -> Result<(), HistoryError> {
        self.doubles.clear();
        if dense {
            self.doubles.extend(chosen.iter().map(|&row| rows.num[row as usize]));
            return write::<DoubleType>(group, &self.doubles, None);
        }
        self.levels(&rows.num_mask, chosen);
        let valid = chosen.iter().filter(|&&row| rows.num_mask.is_valid(row as usize));
        self.doubles.extend(valid.map(|&row| rows.num[row as usize]));
        write::<DoubleType>(group, &self.doubles, Some(&self.levels))
    }

    fn texts(&mut self, group: &mut Group<'_>, rows: &Rows, chosen: &[u32]) -> Result<(), HistoryError> {
        self.levels(&rows.text.mask, chosen);
        let valid = chosen.iter().filter(|&&row| rows.text.mask.is_valid(row as usize));
        let texts: Vec<ByteArray> =
            valid.map(|&row| ByteArray::from(rows.text.get(row as usize).to_vec())).collect();
        write::<ByteArrayType>(group, &texts, Some(&self.levels))
    }

    fn levels(&mut self, mask: &Mask, chosen: &[u32]) {
        self.levels.clear();
        match mask {
            Mask::All(_) => self.levels.resize(chosen.len(), 1),
            Mask::None(_) => self.levels.resize(chosen.len(), 0),
            Mask::Each(each) => self.levels.extend(chosen.iter().map(|&row| i16::from(each[row as usize]))),
        }
    }
}

fn write<T: DataType>(
    group: &mut Group<'_>,
    values: &[T::T],
    levels: Option<&[i16]>,
) -> Result<(), HistoryError> {
    let Some(mut column) = group.next_column()? else {
        return Err(parquet::errors::ParquetError::General("more columns than the schema has".into()).into());
    };
    column.typed::<T>().write_batch(values, levels, None)?;
    column.close()?;
    Ok(())
}
