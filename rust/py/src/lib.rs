//! `runq._core`: converts, calls `runq-core` without the GIL, converts back. No simulation logic.

#![deny(unsafe_code)]

mod allocator;
mod arrow_in;
mod arrow_out;
#[allow(unsafe_code, reason = "the memory of another object is read through the buffer protocol")]
mod buffer;
mod columns;
mod config;
mod errors;
mod kernel;
mod one_pass;
mod pump;
mod reader;
mod replay;
mod replay_json;
mod schedule;
mod schedule_policy;
mod service;
mod simulate;
mod source;
mod sweep;
mod trace;

use pyo3::prelude::*;

/// The extension module.
#[pymodule]
mod _core {
    #[pymodule_export]
    use super::arrow_out::arrow_stream;
    #[pymodule_export]
    use super::config::{machine_check, machine_resolve, machine_set};
    #[pymodule_export]
    use super::kernel::PyKernel;
    #[pymodule_export]
    use super::one_pass::{all_associativity, miss_ratio_curve};
    #[pymodule_export]
    use super::replay::{Replayed, replay};
    #[pymodule_export]
    use super::replay_json::replay_json;
    #[pymodule_export]
    use super::schedule::{policy_check, queue_fcfs, schedule, schedule_open};
    #[pymodule_export]
    use super::service::{service_contention, service_simulate};
    #[pymodule_export]
    use super::simulate::{Simulated, page_replacement, processes_at, simulate, tasks_at};
    #[pymodule_export]
    use super::sweep::{SweepPool, SweepTrace};
    #[pymodule_export]
    use super::trace::{trace_convert, trace_info};
    use super::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        module.add("model_version", runq_core::MODEL_VERSION)
    }
}
