//! What a trace may be: a file, an object to read from, arrays, a table; each as a row of batches.

use crate::arrow_in;
use crate::buffer::{Column, unequal};
use crate::columns::{Scratch, Table};
use crate::errors::{Failure, internal};
use crate::pump::{Position, Pump};
use crate::reader::{About, Origin, Reading};
use arrow_array::ffi_stream::RecordBatchStreamReader;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use runq_core::trace::{Batch, BatchRef, Columns, Format, Place, TraceError};
use std::path::PathBuf;

/// The columns that a trace may have; the address must be there.
pub const COLUMN_NAMES: [&str; 5] = ["address", "size", "kind", "thread", "ip"];

/// Rows that are converted at a time.
const ROWS: usize = 1 << 16;

/// A trace in one of its forms.
pub enum Source<'py> {
    /// A file or pipe, or a Python object with `read`.
    Bytes(Origin<'py>, Option<Format>),
    /// Words of the raw format in memory that is not copied.
    Words(Column),
    /// Arrays of integers.
    Arrays(Table<Column>),
    /// A stream of Arrow batches.
    Arrow(RecordBatchStreamReader, [Option<usize>; 5]),
}

impl<'py> Source<'py> {
    /// Takes a path (`str`), a dict of buffers (`words` alone, or columns), an object with `__arrow_c_stream__`, or
    /// one with `read`. `format` is for bytes; `name` is what messages call an object that is read.
    pub fn new(object: &Bound<'py, PyAny>, format: Option<&str>, name: &str) -> PyResult<Self> {
        let format = format.map(str::parse::<Format>).transpose().map_err(Failure::from)?;
        if let Ok(path) = object.cast::<PyString>() {
            return Ok(Self::Bytes(Origin::Path(PathBuf::from(path.to_str()?)), format));
        }
        if let Ok(columns) = object.cast::<PyDict>() {
            return Self::of_dict(columns);
        }
        if object.hasattr("__arrow_c_stream__")? {
            let reader = arrow_in::open(object)?;
            let places = arrow_in::places(&reader)?;
            return Ok(Self::Arrow(reader, places));
        }
        if object.hasattr("read")? {
            return Ok(Self::Bytes(Origin::File(object.clone(), name.to_owned()), format));
        }
        let kind = object.get_type().name()?.to_string();
        Err(PyTypeError::new_err(format!(
            "trace: must be a path, an array, a dict of arrays, a table or an object with read(), got {kind}"
        )))
    }

    fn of_dict(columns: &Bound<'py, PyDict>) -> PyResult<Self> {
        if columns.len() == 1
            && let Some(words) = columns.get_item("words")?
        {
            return Ok(Self::Words(Column::new(&words, "words")?));
        }
        let names: Vec<String> = columns.keys().extract()?;
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let [address, size, kind, thread, ip] = places(&names)?;
        let take = |place: usize| -> PyResult<Column> {
            let name = names[place];
            let object = columns.get_item(name)?.ok_or_else(|| internal("a dict changed while it was read"))?;
            Column::new(&object, name)
        };
        let address = take(address.expect("places has the address"))?;
        let rows = address.len();
        let take_equal = |place: Option<usize>| -> PyResult<Option<Column>> {
            match place.map(|place| Ok::<_, PyErr>((place, take(place)?))).transpose()? {
                Some((place, column)) if column.len() != rows => Err(unequal(names[place], rows, column.len())),
                other => Ok(other.map(|(_, column)| column)),
            }
        };
        Ok(Self::Arrays(Table {
            address,
            size: take_equal(size)?,
            kind: take_equal(kind)?,
            thread: take_equal(thread)?,
            ip: take_equal(ip)?,
        }))
    }

    /// Hands every batch to `each` until it returns `false` or the trace ends. Returns the seconds spent on reading.
    ///
    /// A batch may be the whole trace; [`Pump::feed`] cuts it.
    pub fn drain(
        self,
        pump: &mut Pump<'_>,
        mut opened: impl FnMut(&mut Pump<'_>, About) -> PyResult<()>,
        mut each: impl FnMut(&mut Pump<'_>, BatchRef<'_>, &dyn Fn(usize) -> Position) -> PyResult<bool>,
    ) -> PyResult<f64> {
        let plain = |columns| About { format: None, compression: None, columns };
        match self {
            Self::Bytes(origin, format) => {
                let mut reading = Reading::start(&origin, format)?;
                reading.drain(&origin, pump, opened, |pump, batch, position| each(pump, batch, &|_| position))?;
                Ok(reading.seconds())
            }
            Self::Words(words) => {
                opened(pump, plain(Columns::default()))?;
                match words.as_slice::<u64>() {
                    Some(slice) => {
                        let total = 8 * slice.len() as u64;
                        has_rows(slice.len())?;
                        let at = |done| Position { consumed: 8 * done as u64, total: Some(total) };
                        each(pump, BatchRef::from_words(slice), &at)?;
                        Ok(0.0)
                    }
                    None => {
                        convert(pump, words.len(), each, |start, end, batch, _| words.load_words(start, end, batch))
                    }
                }
            }
            Self::Arrays(table) => {
                opened(pump, plain(table.columns()))?;
                let rows = table.address.len();
                convert(pump, rows, each, |start, end, batch, scratch| table.fill(0, (start, end), batch, scratch))
            }
            Self::Arrow(reader, places) => drain_arrow(reader, places, pump, opened, each),
        }
    }
}

/// Hands over columns a piece at a time. Returns the seconds spent on converting them.
fn convert(
    pump: &mut Pump<'_>,
    rows: usize,
    mut each: impl FnMut(&mut Pump<'_>, BatchRef<'_>, &dyn Fn(usize) -> Position) -> PyResult<bool>,
    mut fill: impl FnMut(usize, usize, &mut Batch, &mut Scratch) -> Result<(), TraceError> + Send,
) -> PyResult<f64> {
    has_rows(rows)?;
    let (mut batch, mut scratch) = (Batch::default(), Scratch::default());
    let mut clock = Pump::new(pump.py(), None);
    for start in (0..rows).step_by(ROWS) {
        let end = rows.min(start + ROWS);
        clock.work(|| Ok(fill(start, end, &mut batch, &mut scratch)?))?;
        let at = |done| Position { consumed: (start + done) as u64, total: Some(rows as u64) };
        if !each(pump, batch.as_ref(), &at)? {
            break;
        }
    }
    Ok(clock.seconds())
}

fn drain_arrow(
    mut reader: RecordBatchStreamReader,
    places: [Option<usize>; 5],
    pump: &mut Pump<'_>,
    mut opened: impl FnMut(&mut Pump<'_>, About) -> PyResult<()>,
    mut each: impl FnMut(&mut Pump<'_>, BatchRef<'_>, &dyn Fn(usize) -> Position) -> PyResult<bool>,
) -> PyResult<f64> {
    let [_, sizes, fetches, threads, ips] = places.map(|place| place.is_some());
    let about = About { format: None, compression: None, columns: Columns { sizes, fetches, threads, ips } };
    opened(pump, about)?;
    let (mut batch, mut scratch) = (Batch::default(), Scratch::default());
    let mut clock = Pump::new(pump.py(), None);
    let mut first = 0;
    loop {
        let next = clock.work(|| {
            let broken = |error: arrow_schema::ArrowError| {
                TraceError::malformed("array", Place::Record(first), "a batch of rows", error.to_string())
            };
            let record = reader.next().transpose().map_err(broken)?;
            let table = record.as_ref().map(|record| arrow_in::table(record, places, first)).transpose()?;
            Ok(record.map(|record| record.num_rows()).zip(table))
        })?;
        let Some((rows, table)) = next else { break };
        for start in (0..rows).step_by(ROWS) {
            let end = rows.min(start + ROWS);
            clock.work(|| Ok(table.fill(first, (start, end), &mut batch, &mut scratch)?))?;
            let at = |done| Position { consumed: first + (start + done) as u64, total: None };
            if !each(pump, batch.as_ref(), &at)? {
                return Ok(clock.seconds());
            }
        }
        first += rows as u64;
        pump.pause(Position { consumed: first, total: None })?;
    }
    has_rows(usize::from(first > 0))?;
    Ok(clock.seconds())
}

/// A trace without an access is an error.
fn has_rows(rows: usize) -> PyResult<()> {
    if rows == 0 { Err(Failure::from(TraceError::empty("array")).into()) } else { Ok(()) }
}

/// Where each of [`COLUMN_NAMES`] stands among `names`. `vaddr` and `addr` are the address too.
pub fn places(names: &[&str]) -> PyResult<[Option<usize>; 5]> {
    let malformed = |expected: &str, got: String| {
        PyErr::from(Failure::from(TraceError::malformed("array", Place::Whole, expected, got)))
    };
    let mut places = [None; 5];
    for (index, name) in names.iter().enumerate() {
        let known = if matches!(*name, "vaddr" | "addr") { "address" } else { name };
        let Some(column) = COLUMN_NAMES.iter().position(|column| *column == known) else {
            return Err(malformed("columns among address, size, kind, thread, ip", format!("a column {name:?}")));
        };
        if places[column].replace(index).is_some() {
            return Err(malformed("each column once", format!("{name:?} again")));
        }
    }
    match places[0] {
        None => Err(malformed("a column address", format!("{names:?}"))),
        Some(_) => Ok(places),
    }
}
