//! `runq._core`: converts, calls `runq-core` without the GIL, converts back. No simulation logic.

#![deny(unsafe_code)]

#[allow(unsafe_code, reason = "the memory of another object is read through the buffer protocol")]
mod buffer;
mod config;
mod errors;
mod replay_json;

use pyo3::prelude::*;

/// The extension module.
#[pymodule]
mod _core {
    #[pymodule_export]
    use super::config::{machine_check, machine_set};
    #[pymodule_export]
    use super::replay_json::replay_json;
    use super::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
