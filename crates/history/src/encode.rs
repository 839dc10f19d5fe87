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
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::{ColumnPath, Type, TypePtr};

use crate::error::HistoryError;
use crate::order::in_file_order;
use crate::rows::{Reading, Rows};

/// Rows per row group: what a reader skips or reads as a whole.
pub(crate) const ROW_GROUP: usize = 128 * 1024;

/// The columns, in their order.
pub(crate) const COLUMNS: [&str; 8] =
    ["device", "metric", "table", "ts", "num", "text", "quality", "arrival"];

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

/// A Parquet file in memory.
#[derive(Debug)]
pub(crate) struct Encoded {
    pub bytes: Vec<u8>,
    pub extent: Extent,
}

/// Rows that are together by device as a Parquet file, without duplicates; `None` if there are no rows.
pub(crate) fn encode(rows: &Rows) -> Result<Option<Encoded>, HistoryError> {
    if rows.is_empty() {
        return Ok(None);
    }
    let dense = rows.all_numbers();
    let buffer = Vec::with_capacity(rows.len() * 6 + 4096);
    let mut file = SerializedFileWriter::new(buffer, schema(dense)?, Arc::new(properties()?))?;
    let mut group = Group::new(rows.len().min(ROW_GROUP));
    let mut extent = Extent {
        rows: 0,
        min_ts: i64::MAX,
        max_ts: i64::MIN,
        min_arrival: i64::MAX,
        max_arrival: i64::MIN,
        min_device: u32::MAX,
        max_device: 0,
    };
    in_file_order(rows, |reading| {
        group.push(&reading);
        if group.device.len() == ROW_GROUP { group.write(&mut file, dense, &mut extent) } else { Ok(()) }
    })?;
    if !group.device.is_empty() {
        group.write(&mut file, dense, &mut extent)?;
    }
    Ok(Some(Encoded { bytes: file.into_inner()?, extent }))
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

/// The columns of one row group.
struct Group {
    device: Vec<i32>,
    metric: Vec<i32>,
    table: Vec<i32>,
    ts: Vec<i64>,
    /// Those that are not NULL.
    num: Vec<f64>,
    /// 1 where the number is not NULL.
    num_levels: Vec<i16>,
    text: Vec<ByteArray>,
    text_levels: Vec<i16>,
    quality: Vec<i32>,
    arrival: Vec<i64>,
}

impl Group {
    fn new(rows: usize) -> Self {
        Group {
            device: Vec::with_capacity(rows),
            metric: Vec::with_capacity(rows),
            table: Vec::with_capacity(rows),
            ts: Vec::with_capacity(rows),
            num: Vec::with_capacity(rows),
            num_levels: Vec::with_capacity(rows),
            text: Vec::new(),
            text_levels: Vec::with_capacity(rows),
            quality: Vec::with_capacity(rows),
            arrival: Vec::with_capacity(rows),
        }
    }

    #[inline]
    fn push(&mut self, reading: &Reading<'_>) {
        self.device.push(reading.device as i32);
        self.metric.push(reading.metric as i32);
        self.table.push(reading.table as i32);
        self.ts.push(reading.ts);
        self.num.extend(reading.num);
        self.num_levels.push(i16::from(reading.num.is_some()));
        self.text.extend(reading.text.map(|text| ByteArray::from(text.to_vec())));
        self.text_levels.push(i16::from(reading.text.is_some()));
        self.quality.push(i32::from(reading.quality));
        self.arrival.push(reading.arrival);
    }

    /// Writes the rows as a row group, adds them to the extent and starts again.
    fn write(&mut self, file: &mut Writer, dense: bool, extent: &mut Extent) -> Result<(), HistoryError> {
        let mut group = file.next_row_group()?;
        let num_levels = (!dense).then_some(self.num_levels.as_slice());
        write::<Int32Type>(&mut group, &self.device, None)?;
        write::<Int32Type>(&mut group, &self.metric, None)?;
        write::<Int32Type>(&mut group, &self.table, None)?;
        write::<Int64Type>(&mut group, &self.ts, None)?;
        write::<DoubleType>(&mut group, &self.num, num_levels)?;
        write::<ByteArrayType>(&mut group, &self.text, Some(&self.text_levels))?;
        write::<Int32Type>(&mut group, &self.quality, None)?;
        write::<Int64Type>(&mut group, &self.arrival, None)?;
        group.close()?;
        self.extend(extent);
        for codes in [&mut self.device, &mut self.metric, &mut self.table, &mut self.quality] {
            codes.clear();
        }
        self.ts.clear();
        self.arrival.clear();
        self.num.clear();
        self.text.clear();
        self.num_levels.clear();
        self.text_levels.clear();
        Ok(())
    }

    fn extend(&self, extent: &mut Extent) {
        extent.rows += self.device.len() as u64;
        for &ts in &self.ts {
            extent.min_ts = extent.min_ts.min(ts);
            extent.max_ts = extent.max_ts.max(ts);
        }
        for &arrival in &self.arrival {
            extent.min_arrival = extent.min_arrival.min(arrival);
            extent.max_arrival = extent.max_arrival.max(arrival);
        }
        for &device in &self.device {
            extent.min_device = extent.min_device.min(device as u32);
            extent.max_device = extent.max_device.max(device as u32);
        }
    }
}

type Writer = SerializedFileWriter<Vec<u8>>;

fn write<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
    values: &[T::T],
    levels: Option<&[i16]>,
) -> Result<(), HistoryError> {
    let Some(mut column) = group.next_column()? else {
        return Err(ParquetError::General("more columns than the schema has".into()).into());
    };
    column.typed::<T>().write_batch(values, levels, None)?;
    column.close()?;
    Ok(())
}
