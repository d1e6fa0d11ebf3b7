//! `runq._core`: converts, calls `runq-core` without the GIL, converts back. No simulation logic.
use pyo3::prelude::*;

/// The extension module.
#[pymodule]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))
}
