//! A kernel to poke at: each method is one system call.

use crate::errors::Failure;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use runq_core::base::ConfigError;
use runq_core::kernel::{Kernel, KernelError, KernelOptions, MapCall, Pid, Process};
use runq_core::memory::MachineConfig;
use runq_core::vm::Touch;
use runq_core::vm::address_space::{Access, Permissions};
use runq_core::vm::frames::Pfn;
use runq_core::vm::work::FaultKind;
use serde_json::json;

/// A kernel without programs: Python says what every process does.
#[pyclass(name = "Kernel", module = "runq._core")]
pub struct PyKernel {
    kernel: Kernel,
}

/// The fault, whether the stack grew, the frame, log2 of its page's frames.
type TouchTuple = (Option<&'static str>, bool, u64, u32);

#[pymethods]
impl PyKernel {
    #[new]
    fn new(machine: &str, options: &str) -> PyResult<Self> {
        let machine = MachineConfig::from_json(machine).map_err(Failure::from)?;
        let options = KernelOptions::from_json(options).map_err(Failure::from)?;
        KernelOptions::check_machine(&machine).map_err(Failure::from)?;
        let kernel = Kernel::new(&machine, &options).map_err(|error| Failure::Kernel(KernelError::Exhausted(error)))?;
        Ok(Self { kernel })
    }

    fn spawn(&mut self, parent: u32, name: &str) -> PyResult<u32> {
        Ok(self.kernel.spawn(Pid(parent), name).map_err(Failure::Kernel)?.0)
    }

    fn fork(&mut self, pid: u32) -> PyResult<u32> {
        Ok(self.kernel.fork(Pid(pid)).map_err(Failure::Kernel)?.0)
    }

    fn vfork(&mut self, pid: u32) -> PyResult<u32> {
        Ok(self.kernel.vfork(Pid(pid)).map_err(Failure::Kernel)?.0)
    }

    fn clone_vm(&mut self, pid: u32) -> PyResult<u32> {
        Ok(self.kernel.clone_vm(Pid(pid)).map_err(Failure::Kernel)?.0)
    }

    fn exec(&mut self, pid: u32, name: &str) -> PyResult<()> {
        Ok(self.kernel.exec(Pid(pid), name).map_err(Failure::Kernel)?)
    }

    fn exit(&mut self, pid: u32, code: i32) -> PyResult<()> {
        Ok(self.kernel.exit(Pid(pid), code).map_err(Failure::Kernel)?)
    }

    fn kill(&mut self, pid: u32, target: u32) -> PyResult<()> {
        Ok(self.kernel.kill(Pid(pid), Pid(target)).map_err(Failure::Kernel)?)
    }

    fn wait(&mut self, pid: u32) -> PyResult<Option<(u32, i32)>> {
        let reaped = self.kernel.wait(Pid(pid)).map_err(Failure::Kernel)?;
        Ok(reaped.map(|(child, code)| (child.0, code)))
    }

    #[pyo3(signature = (pid, size, address, permissions, page_order, is_shared, name))]
    #[allow(clippy::too_many_arguments, reason = "mmap has as many")]
    fn mmap(
        &mut self,
        pid: u32,
        size: u64,
        address: Option<u64>,
        permissions: &str,
        page_order: u32,
        is_shared: bool,
        name: &str,
    ) -> PyResult<u64> {
        let permissions = parse_permissions(permissions)?;
        let call = MapCall { name, address, size, permissions, page_order, is_shared };
        Ok(self.kernel.mmap(Pid(pid), &call).map_err(Failure::Kernel)?)
    }

    fn munmap(&mut self, pid: u32, address: u64, size: u64) -> PyResult<()> {
        Ok(self.kernel.munmap(Pid(pid), address, size).map_err(Failure::Kernel)?)
    }

    fn discard(&mut self, pid: u32, address: u64, size: u64) -> PyResult<()> {
        Ok(self.kernel.discard(Pid(pid), address, size).map_err(Failure::Kernel)?)
    }

    fn mprotect(&mut self, pid: u32, address: u64, size: u64, permissions: &str) -> PyResult<()> {
        let permissions = parse_permissions(permissions)?;
        Ok(self.kernel.mprotect(Pid(pid), address, size, permissions).map_err(Failure::Kernel)?)
    }

    fn brk(&mut self, pid: u32, size: u64) -> PyResult<u64> {
        Ok(self.kernel.brk(Pid(pid), size).map_err(Failure::Kernel)?)
    }

    fn collapse(&mut self, pid: u32, address: u64) -> PyResult<bool> {
        Ok(self.kernel.collapse(Pid(pid), address).map_err(Failure::Kernel)?)
    }

    fn split(&mut self, pid: u32, address: u64) -> PyResult<bool> {
        Ok(self.kernel.split(Pid(pid), address).map_err(Failure::Kernel)?)
    }

    fn access(&mut self, pid: u32, address: u64, access: &str) -> PyResult<TouchTuple> {
        let access = match access {
            "read" => Access::Read,
            "write" => Access::Write,
            "execute" => Access::Execute,
            other => {
                return Err(Failure::from(ConfigError::new("access", "must be read, write or execute", other)).into());
            }
        };
        Ok(to_tuple(&self.kernel.access(Pid(pid), address, access).map_err(Failure::Kernel)?))
    }

    fn write(&mut self, pid: u32, address: u64, value: u64) -> PyResult<TouchTuple> {
        Ok(to_tuple(&self.kernel.write(Pid(pid), address, value).map_err(Failure::Kernel)?))
    }

    fn read(&mut self, pid: u32, address: u64) -> PyResult<(u64, TouchTuple)> {
        let (value, touch) = self.kernel.read(Pid(pid), address).map_err(Failure::Kernel)?;
        Ok((value, to_tuple(&touch)))
    }

    /// What a page shows, without touching it.
    fn peek(&self, pid: u32, address: u64) -> PyResult<Option<u64>> {
        Ok(self.kernel.peek(Pid(pid), address).map_err(Failure::Kernel)?)
    }

    /// The entries that a walk reads, the last of them, its level.
    fn walk(&self, pid: u32, address: u64) -> PyResult<(Vec<u64>, u64, u32)> {
        Ok(self.kernel.walk(Pid(pid), address).map_err(Failure::Kernel)?)
    }

    /// All regions of a process, as JSON.
    fn regions(&self, pid: u32) -> PyResult<String> {
        Ok(self.kernel.regions(Pid(pid)).map_err(Failure::Kernel)?.to_string())
    }

    /// All processes, or those that were waited for, as JSON.
    fn processes(&self, is_reaped: bool) -> String {
        let row = |process: &Process| self.kernel.row(process);
        let rows: Vec<_> = if is_reaped {
            self.kernel.reaped().iter().map(row).collect()
        } else {
            self.kernel.processes().map(row).collect()
        };
        json!(rows).to_string()
    }

    fn log(&self) -> Vec<String> {
        self.kernel.log().iter().map(|line| line.text.clone()).collect()
    }

    /// Time by account that calls have taken so far, in ns.
    fn ledger<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let ledger = PyDict::new(py);
        for account in runq_core::kernel::Account::ALL {
            ledger.set_item(account.name(), self.kernel.billed()[account].nanos())?;
        }
        Ok(ledger)
    }

    fn references(&self, pfn: u64) -> PyResult<u32> {
        let frames = self.kernel.vm().frames_total();
        if pfn >= frames {
            let rule = format!("must be below the {frames} frames of the machine");
            return Err(Failure::from(ConfigError::new("pfn", rule, pfn)).into());
        }
        Ok(self.kernel.vm().references(Pfn(pfn)))
    }

    fn last_fork(&self) -> String {
        json!(self.kernel.last_fork()).to_string()
    }

    #[getter]
    fn frames_free(&self) -> u64 {
        self.kernel.vm().frames_free()
    }

    #[getter]
    fn frames_total(&self) -> u64 {
        self.kernel.vm().frames_total()
    }

    #[getter]
    fn swap_pages_in_use(&self) -> u64 {
        self.kernel.vm().swap_pages_in_use()
    }

    /// What is wrong with the books of memory, if anything is.
    fn audit(&self) -> Option<String> {
        self.kernel.vm().audit().err()
    }
}

fn to_tuple(touch: &Touch) -> TouchTuple {
    (touch.fault.map(FaultKind::name), touch.stack_grew, touch.pfn.0, touch.order)
}

fn parse_permissions(text: &str) -> PyResult<Permissions> {
    Permissions::parse(text).ok_or_else(|| {
        Failure::from(ConfigError::new("permissions", "must be made of the letters r, w, x and -", text)).into()
    })
}
