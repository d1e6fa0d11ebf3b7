//! Memory of Python objects, through the buffer protocol and without copying it.
//!
//! The GIL is not held while a replay reads the memory. The buffer keeps the memory where it is and alive; that no
//! other thread writes to it meanwhile is asked of the caller in the documentation, as NumPy asks it.

use crate::columns::Rows;
use pyo3::buffer::PyUntypedBuffer;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use runq_core::trace::{Batch, Place, TraceError};
use std::ffi::CStr;

/// What the items of a buffer are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element {
    /// Signed integers of 1, 2, 4 or 8 bytes.
    Signed,
    /// Unsigned integers of 1, 2, 4 or 8 bytes.
    Unsigned,
    /// One byte, 0 or 1.
    Bool,
    /// Text of UCS-4 characters, padded with zeros.
    Utf32,
    /// Text of single bytes, padded with zeros.
    Bytes,
}

/// A one-dimensional buffer, held until it is dropped.
pub struct Column {
    buffer: PyUntypedBuffer,
    element: Element,
    is_swapped: bool,
    stride: isize,
}

/// Items that any bits are a valid value of.
pub trait Plain: Copy {
    /// What the buffer must hold.
    const ELEMENT: Element;
}

impl Plain for u64 {
    const ELEMENT: Element = Element::Unsigned;
}

impl Plain for u32 {
    const ELEMENT: Element = Element::Unsigned;
}

impl Plain for u8 {
    const ELEMENT: Element = Element::Unsigned;
}

impl Column {
    /// Takes hold of the buffer of `object`; messages call it `name`.
    pub fn new(object: &Bound<'_, PyAny>, name: &str) -> PyResult<Self> {
        let buffer = PyUntypedBuffer::get(object)?;
        if buffer.dimensions() != 1 {
            let message = format!("{name}: must have one dimension, got {}", buffer.dimensions());
            return Err(PyTypeError::new_err(message));
        }
        if buffer.suboffsets().is_some() {
            return Err(PyTypeError::new_err(format!("{name}: must not be an indirect buffer")));
        }
        let Some((element, is_swapped)) = element(buffer.format(), buffer.item_size()) else {
            let format = buffer.format().to_string_lossy();
            let message = format!("{name}: must hold integers, got items of format '{format}'");
            return Err(PyTypeError::new_err(message));
        };
        let stride = buffer.strides()[0];
        Ok(Self { buffer, element, is_swapped, stride })
    }

    /// Number of items.
    pub fn len(&self) -> usize {
        self.buffer.shape()[0]
    }

    /// The whole as a slice, if the items are `T` and lie side by side in native order.
    pub fn as_slice<T: Plain>(&self) -> Option<&[T]> {
        let is_bool_byte = self.element == Element::Bool && size_of::<T>() == 1;
        let fits = (self.element == T::ELEMENT || is_bool_byte)
            && self.buffer.item_size() == size_of::<T>()
            && !(self.is_swapped && size_of::<T>() > 1);
        if self.len() == 0 && fits {
            return Some(&[]);
        }
        let start = self.buffer.buf_ptr().cast::<T>();
        if !fits || !self.buffer.is_c_contiguous() || !start.is_aligned() {
            return None;
        }
        // SAFETY: the exporter promises `len` items of this size, side by side, for as long as the buffer is held,
        // which is at least as long as the slice lives; the pointer is aligned, and any bits are a `T`.
        Some(unsafe { std::slice::from_raw_parts(start, self.len()) })
    }

    fn load_unsigned<T: Into<u64>, const N: usize>(
        &self,
        start: usize,
        end: usize,
        out: &mut Vec<u64>,
        read: impl Fn([u8; N]) -> T,
    ) {
        out.extend((start..end).map(|row| read(self.item(row)).into()));
    }

    fn load_signed<T: Into<i64>, const N: usize>(
        &self,
        start: usize,
        end: usize,
        out: &mut Vec<u64>,
        read: impl Fn([u8; N]) -> T,
    ) -> Result<(), (usize, String)> {
        for row in start..end {
            let value: i64 = read(self.item(row)).into();
            out.push(u64::try_from(value).map_err(|_| (row, value.to_string()))?);
        }
        Ok(())
    }

    /// The bytes of an item, in native order.
    #[inline]
    fn item<const N: usize>(&self, row: usize) -> [u8; N] {
        let mut bytes: [u8; N] = self.raw(row);
        if self.is_swapped {
            bytes.reverse();
        }
        bytes
    }

    #[inline]
    fn raw<const N: usize>(&self, row: usize) -> [u8; N] {
        debug_assert!(row < self.len() && N <= self.buffer.item_size(), "the item lies within the buffer");
        let offset = self.stride.wrapping_mul(row as isize);
        // SAFETY: callers ask for rows below `len` and for no more bytes than an item has. The exporter promises that
        // item `row` lies at `buf + row * stride` for as long as the buffer is held; bytes need no alignment.
        unsafe { self.buffer.buf_ptr().cast::<u8>().wrapping_offset(offset).cast::<[u8; N]>().read_unaligned() }
    }

    /// Clears `batch` and fills it with words of the raw format, from `start` to `end`.
    ///
    /// # Errors
    /// The first negative one, with its row: signed arrays are taken for addresses.
    pub fn load_words(&self, start: usize, end: usize, batch: &mut Batch) -> Result<(), TraceError> {
        batch.clear();
        self.load(start, end, &mut batch.words).map_err(|(row, got)| {
            TraceError::malformed("array", Place::Record(row as u64), "an address below 2^63 (8 EiB)", got)
        })
    }

    /// The bytes of a whole item.
    fn bytes(&self, row: usize) -> &[u8] {
        assert!(row < self.len(), "rows lie within the column");
        let offset = self.stride.wrapping_mul(row as isize);
        let start = self.buffer.buf_ptr().cast::<u8>().wrapping_offset(offset);
        // SAFETY: as in `raw`; an item has `item_size` bytes.
        unsafe { std::slice::from_raw_parts(start, self.buffer.item_size()) }
    }
}

impl Rows for Column {
    fn is_text(&self) -> bool {
        matches!(self.element, Element::Utf32 | Element::Bytes)
    }

    fn load(&self, start: usize, end: usize, out: &mut Vec<u64>) -> Result<(), (usize, String)> {
        assert!(start <= end && end <= self.len(), "rows lie within the column");
        match (self.element, self.buffer.item_size()) {
            (Element::Unsigned | Element::Bool, 1) => self.load_unsigned(start, end, out, u8::from_ne_bytes),
            (Element::Unsigned, 2) => self.load_unsigned(start, end, out, u16::from_ne_bytes),
            (Element::Unsigned, 4) => self.load_unsigned(start, end, out, u32::from_ne_bytes),
            (Element::Unsigned, _) => self.load_unsigned(start, end, out, u64::from_ne_bytes),
            (_, 1) => return self.load_signed(start, end, out, i8::from_ne_bytes),
            (_, 2) => return self.load_signed(start, end, out, i16::from_ne_bytes),
            (_, 4) => return self.load_signed(start, end, out, i32::from_ne_bytes),
            (_, _) => return self.load_signed(start, end, out, i64::from_ne_bytes),
        }
        Ok(())
    }

    fn text(&self, row: usize, out: &mut String) -> Result<(), String> {
        let width = if self.element == Element::Utf32 { 4 } else { 1 };
        let characters = self.bytes(row).chunks_exact(width).map(|character| match *character {
            [a, b, c, d] if self.is_swapped => u32::from_ne_bytes([d, c, b, a]),
            [a, b, c, d] => u32::from_ne_bytes([a, b, c, d]),
            _ => u32::from(character[0]),
        });
        for character in characters.take_while(|&character| character != 0) {
            out.push(char::from_u32(character).ok_or("text that is not Unicode")?);
        }
        Ok(())
    }
}

/// What a `struct` format of one item stands for, and whether its bytes are in the other order.
fn element(format: &CStr, item_size: usize) -> Option<(Element, bool)> {
    let format = format.to_bytes();
    let (order, kind) = match format {
        [order @ (b'@' | b'=' | b'<' | b'>' | b'!' | b'^'), kind @ ..] => (*order, kind),
        kind => (b'@', kind),
    };
    let element = match kind {
        [b'b' | b'h' | b'i' | b'l' | b'q' | b'n'] => Element::Signed,
        [b'B' | b'H' | b'I' | b'L' | b'Q' | b'N'] => Element::Unsigned,
        [b'?'] => Element::Bool,
        [digits @ .., b'w'] if digits.iter().all(u8::is_ascii_digit) => Element::Utf32,
        [digits @ .., b's'] if digits.iter().all(u8::is_ascii_digit) => Element::Bytes,
        _ => return None,
    };
    let is_number = matches!(element, Element::Signed | Element::Unsigned | Element::Bool);
    if is_number && !matches!(item_size, 1 | 2 | 4 | 8) {
        return None;
    }
    let is_swapped = match order {
        b'<' => cfg!(target_endian = "big"),
        b'>' | b'!' => cfg!(target_endian = "little"),
        _ => false,
    };
    Some((element, is_swapped))
}

/// The error of a column that is longer or shorter than the first.
pub fn unequal(name: &str, expected: usize, got: usize) -> PyErr {
    PyValueError::new_err(format!("{name}: must have as many rows as address ({expected}), got {got}"))
}
