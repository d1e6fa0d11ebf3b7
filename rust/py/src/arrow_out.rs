//! Columns of a result as an Arrow C stream in a capsule.

use crate::arrow_in::CAPSULE_NAME;
use crate::errors::internal;
use arrow_array::ffi_stream::FFI_ArrowArrayStream;
use arrow_array::{ArrayRef, Float64Array, RecordBatch, RecordBatchIterator, StringArray, UInt64Array};
use pyo3::prelude::*;
use pyo3::types::PyCapsule;
use std::sync::Arc;

/// A column: its name and its values, all numbers or all texts.
#[derive(FromPyObject)]
pub enum Values {
    /// Unsigned numbers.
    Numbers(Vec<Option<u64>>),
    /// Numbers of any kind.
    Reals(Vec<f64>),
    /// Texts.
    Texts(Vec<String>),
}

/// Makes the capsule of `__arrow_c_stream__` from columns of equal length.
#[pyfunction]
pub fn arrow_stream<'py>(py: Python<'py>, columns: Vec<(String, Values)>) -> PyResult<Bound<'py, PyCapsule>> {
    let columns = columns.into_iter().map(|(name, values)| {
        let array: ArrayRef = match values {
            Values::Numbers(values) => Arc::new(UInt64Array::from(values)),
            Values::Reals(values) => Arc::new(Float64Array::from(values)),
            Values::Texts(values) => Arc::new(StringArray::from(values)),
        };
        (name, array)
    });
    let batch = RecordBatch::try_from_iter(columns).map_err(|error| internal(&error.to_string()))?;
    let schema = batch.schema();
    let stream = FFI_ArrowArrayStream::new(Box::new(RecordBatchIterator::new([Ok(batch)], schema)));
    PyCapsule::new_with_value(py, stream, CAPSULE_NAME)
}
