//! Traces in Arrow tables, through the C stream that their objects hand out in a capsule.

use crate::columns::{Rows, Table};
use arrow_array::cast::AsArray;
use arrow_array::ffi_stream::{FFI_ArrowArrayStream, RecordBatchStreamReader};
use arrow_array::types::{
    ArrowPrimitiveType, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchReader};
use arrow_schema::DataType;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyCapsule;
use runq_core::trace::{Place, TraceError};

/// The name that the protocol gives the capsule.
pub const CAPSULE_NAME: &std::ffi::CStr = c"arrow_array_stream";

/// Takes the stream out of the capsule that `object.__arrow_c_stream__()` returns.
#[allow(unsafe_code, reason = "the capsule holds a C struct")]
pub fn open(object: &Bound<'_, PyAny>) -> PyResult<RecordBatchStreamReader> {
    let capsule = object.call_method0("__arrow_c_stream__")?.cast_into::<PyCapsule>()?;
    let stream = capsule.pointer_checked(Some(CAPSULE_NAME))?.cast::<FFI_ArrowArrayStream>();
    // SAFETY: a capsule of this name points to a stream, which the protocol lets its consumer move out; what is left
    // behind is marked as released.
    let stream = unsafe { FFI_ArrowArrayStream::from_raw(stream.as_ptr()) };
    RecordBatchStreamReader::try_new(stream)
        .map_err(|error| PyTypeError::new_err(format!("trace: must be a table of columns ({error})")))
}

/// The columns of a schema in the order of [`crate::source::COLUMN_NAMES`]: the place of each that there is.
pub fn places(reader: &RecordBatchStreamReader) -> PyResult<[Option<usize>; 5]> {
    let schema = reader.schema();
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    crate::source::places(&names)
}

/// The columns of a batch. `first` is the row it starts at.
pub fn table(batch: &RecordBatch, places: [Option<usize>; 5], first: u64) -> Result<Table<ArrowColumn>, TraceError> {
    let take = |place: Option<usize>| -> Result<Option<ArrowColumn>, TraceError> {
        place.map(|place| ArrowColumn::new(batch.column(place), first)).transpose()
    };
    let [address, size, kind, thread, ip] = places;
    let address = ArrowColumn::new(batch.column(address.expect("places has the address")), first)?;
    Ok(Table { address, size: take(size)?, kind: take(kind)?, thread: take(thread)?, ip: take(ip)? })
}

/// A column of a batch.
pub struct ArrowColumn {
    array: ArrayRef,
    /// Which of the dictionary's values each row is, if the column has one.
    keys: Option<Vec<usize>>,
}

impl ArrowColumn {
    fn new(array: &ArrayRef, first: u64) -> Result<Self, TraceError> {
        if let Some(nulls) = array.logical_nulls().filter(|nulls| nulls.null_count() > 0) {
            let row = nulls.iter().position(|is_valid| !is_valid).unwrap_or(0);
            return Err(TraceError::malformed("array", Place::Record(first + row as u64), "a value", "null"));
        }
        let keys = match array.as_any_dictionary_opt() {
            Some(dictionary) if !array.is_empty() => Some(dictionary.normalized_keys()),
            _ => None,
        };
        Ok(Self { array: array.clone(), keys })
    }

    fn extend<T: ArrowPrimitiveType>(&self, start: usize, end: usize, out: &mut Vec<u64>) -> Result<(), (usize, String)>
    where
        T::Native: TryInto<u64> + std::fmt::Display,
    {
        for (row, &value) in self.array.as_primitive::<T>().values()[start..end].iter().enumerate() {
            out.push(value.try_into().map_err(|_| (start + row, value.to_string()))?);
        }
        Ok(())
    }
}

impl Rows for ArrowColumn {
    fn is_text(&self) -> bool {
        match self.array.data_type() {
            DataType::Dictionary(_, values) => is_string(values),
            other => is_string(other),
        }
    }

    fn load(&self, start: usize, end: usize, out: &mut Vec<u64>) -> Result<(), (usize, String)> {
        match self.array.data_type() {
            DataType::UInt64 => self.extend::<UInt64Type>(start, end, out),
            DataType::UInt32 => self.extend::<UInt32Type>(start, end, out),
            DataType::UInt16 => self.extend::<UInt16Type>(start, end, out),
            DataType::UInt8 => self.extend::<UInt8Type>(start, end, out),
            DataType::Int64 => self.extend::<Int64Type>(start, end, out),
            DataType::Int32 => self.extend::<Int32Type>(start, end, out),
            DataType::Int16 => self.extend::<Int16Type>(start, end, out),
            DataType::Int8 => self.extend::<Int8Type>(start, end, out),
            other => Err((start, format!("a value of type {other}"))),
        }
    }

    fn text(&self, row: usize, out: &mut String) -> Result<(), String> {
        let (array, row) = match (&self.keys, self.array.as_any_dictionary_opt()) {
            (Some(keys), Some(dictionary)) => (dictionary.values(), keys[row]),
            _ => (&self.array, row),
        };
        out.push_str(match array.data_type() {
            DataType::Utf8 => array.as_string::<i32>().value(row),
            DataType::LargeUtf8 => array.as_string::<i64>().value(row),
            DataType::Utf8View => array.as_string_view().value(row),
            other => return Err(format!("a value of type {other}")),
        });
        Ok(())
    }
}

fn is_string(kind: &DataType) -> bool {
    matches!(kind, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}
