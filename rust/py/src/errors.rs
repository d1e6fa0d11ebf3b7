//! Errors of the core as the exceptions of `runq.errors`.

use pyo3::call::PyCallArgs;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use runq_core::base::ConfigError;
use runq_core::engine::RunError;
use runq_core::kernel::KernelError;
use runq_core::replay::ReplayError;
use runq_core::replay::one_pass::OnePassError;
use runq_core::sched::JobsError;
use runq_core::service::ServiceError;
use runq_core::trace::TraceError;
use std::io::ErrorKind;

/// What can go wrong behind the boundary.
#[derive(Debug)]
pub enum Failure {
    /// A configuration that breaks a rule.
    Config(ConfigError),
    /// A trace that cannot be read or written.
    Trace(TraceError),
    /// A trace that the machine cannot replay to its end.
    Replay(ReplayError),
    /// A trace that cannot be passed over to its end.
    OnePass(OnePassError),
    /// A system call that was refused, or that ended its process.
    Kernel(KernelError),
    /// A scenario that cannot be run to its end.
    Run(RunError),
    /// A service that cannot be run to its end.
    Service(ServiceError),
    /// Jobs that a policy does not bring to their end.
    Jobs(JobsError),
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

impl From<TraceError> for Failure {
    fn from(error: TraceError) -> Self {
        Self::Trace(error)
    }
}

impl From<ReplayError> for Failure {
    fn from(error: ReplayError) -> Self {
        Self::Replay(error)
    }
}

impl From<OnePassError> for Failure {
    fn from(error: OnePassError) -> Self {
        Self::OnePass(error)
    }
}

impl From<Failure> for PyErr {
    fn from(failure: Failure) -> Self {
        Python::attach(|py| match failure {
            Failure::Config(error) => raise(py, "ConfigError", (error.path, error.rule, error.value)),
            Failure::Replay(error) => raise(py, "ReplayError", (error.to_string(),)),
            Failure::OnePass(error) => raise(py, "ReplayError", (error.to_string(),)),
            Failure::Kernel(error) => raise_kernel(py, &error),
            Failure::Service(ServiceError::Config(error)) => {
                raise(py, "ConfigError", (error.path, error.rule, error.value))
            }
            Failure::Service(error) => raise(py, "SimulationError", (error.to_string(),)),
            Failure::Jobs(error) => raise(py, "SimulationError", (error.to_string(),)),
            Failure::Run(error) => raise(py, "SimulationError", (error.to_string(),)),
            Failure::Trace(error) => raise(py, trace_class(&error), (error.to_string(),)),
        })
    }
}

/// The exception for a trace; one that the file system refuses is an `OSError` too.
fn trace_class(error: &TraceError) -> &'static str {
    match error {
        TraceError::Io { source, .. } => match source.kind() {
            ErrorKind::NotFound => "TraceNotFoundError",
            ErrorKind::BrokenPipe => "TracePipeError",
            // These say that the content is damaged, not that the system failed.
            ErrorKind::InvalidData | ErrorKind::UnexpectedEof => "TraceError",
            _ => "TraceFileError",
        },
        TraceError::Malformed { .. } => "TraceError",
    }
}

/// The exception of a system call.
fn raise_kernel(py: Python<'_>, error: &KernelError) -> PyErr {
    let text = error.to_string();
    match error {
        KernelError::Segmentation { pid, fault, .. } => {
            let details = (text, pid.0, fault.vaddr, fault.access.to_string(), fault.region.clone());
            raise(py, "SegmentationFault", details)
        }
        KernelError::OutOfMemory { pid, .. } => raise(py, "OutOfMemory", (text, Some(pid.0))),
        KernelError::Exhausted(_) => raise(py, "OutOfMemory", (text, None::<u32>)),
        _ => raise(py, "KernelError", (text,)),
    }
}

/// Makes the exception of that name.
fn raise<'py>(py: Python<'py>, name: &str, arguments: impl PyCallArgs<'py>) -> PyErr {
    let class = py.import("runq.errors").and_then(|module| module.getattr(name));
    let made = class.and_then(|class| class.call1(arguments));
    made.map_or_else(|error| error, PyErr::from_value)
}

/// A broken invariant of ours that did not stop the process.
pub fn internal(what: &str) -> PyErr {
    PyRuntimeError::new_err(format!("internal error, please report it: {what}"))
}
