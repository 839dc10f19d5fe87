//! Reads back the Parquet files that [`crate::encode`] writes, for merging them.

use bytes::Bytes;
use parquet::column::reader::get_typed_column_reader;
use parquet::data_type::{ByteArray, ByteArrayType, DataType, DoubleType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, RowGroupReader};
use parquet::file::serialized_reader::SerializedFileReader;

use crate::encode::COLUMNS;
use crate::rows::{Reading, Rows};

/// Appends all rows of a file.
pub(crate) fn decode(file: Vec<u8>, rows: &mut Rows) -> Result<(), ParquetError> {
    let reader = SerializedFileReader::new(Bytes::from(file))?;
    let schema = reader.metadata().file_metadata().schema_descr();
    let names = schema.columns().iter().map(|column| column.name());
    if !names.eq(COLUMNS) {
        return Err(ParquetError::General("its columns are not those of the history".into()));
    }
    for index in 0..reader.num_row_groups() {
        append(reader.get_row_group(index)?.as_ref(), rows)?;
    }
    Ok(())
}

fn append(group: &dyn RowGroupReader, rows: &mut Rows) -> Result<(), ParquetError> {
    let codes = |column| -> Result<Vec<u32>, ParquetError> {
        let values = read::<Int32Type>(group, column)?.values;
        Ok(values.into_iter().map(|value| value as u32).collect())
    };
    let (device, metric, table) = (codes(0)?, codes(1)?, codes(2)?);
    let ts = read::<Int64Type>(group, 3)?.values;
    let num = read::<DoubleType>(group, 4)?;
    let text = read::<ByteArrayType>(group, 5)?;
    let quality: Vec<u8> = read::<Int32Type>(group, 6)?.values.into_iter().map(|value| value as u8).collect();
    let arrival = read::<Int64Type>(group, 7)?.values;
    let count = ts.len();
    let of_one_length =
        [device.len(), metric.len(), table.len(), quality.len(), arrival.len(), num.rows(), text.rows()];
    if of_one_length.iter().any(|&len| len != count) {
        return Err(ParquetError::General("its columns have different lengths".into()));
    }
    let (mut nums, mut texts) = (num.iter(), text.iter());
    for row in 0..count {
        rows.push(&Reading {
            ts: ts[row],
            arrival: arrival[row],
            num: nums.next().flatten().copied(),
            device: device[row],
            metric: metric[row],
            table: table[row],
            quality: quality[row],
            text: texts.next().flatten().map(ByteArray::data),
        });
    }
    Ok(())
}

/// The values of a column that are not NULL, and a level per row: 0 where it is NULL.
struct Values<T> {
    values: Vec<T>,
    levels: Option<Vec<i16>>,
}

impl<T> Values<T> {
    fn rows(&self) -> usize {
        self.levels.as_ref().map_or(self.values.len(), Vec::len)
    }

    /// The value of each row, `None` where it is NULL.
    fn iter(&self) -> impl Iterator<Item = Option<&T>> {
        let mut values = self.values.iter();
        (0..self.rows()).map(move |row| {
            let null = self.levels.as_ref().is_some_and(|levels| levels[row] == 0);
            if null { None } else { values.next() }
        })
    }
}

fn read<T: DataType>(group: &dyn RowGroupReader, column: usize) -> Result<Values<T::T>, ParquetError> {
    let description = group.metadata().column(column).column_descr();
    let expected = T::get_physical_type();
    if description.physical_type() != expected {
        let reason = format!("its column {} is not {expected}", description.name());
        return Err(ParquetError::General(reason));
    }
    let nullable = description.max_def_level() > 0;
    let rows = group.metadata().num_rows().max(0) as usize;
    let mut reader = get_typed_column_reader::<T>(group.get_column_reader(column)?);
    let mut values = Vec::with_capacity(rows);
    let mut levels = nullable.then(|| Vec::with_capacity(rows));
    let mut got = 0;
    while got < rows {
        let (records, _, _) = reader.read_records(rows - got, levels.as_mut(), None, &mut values)?;
        if records == 0 {
            break;
        }
        got += records;
    }
    Ok(Values { values, levels })
}
