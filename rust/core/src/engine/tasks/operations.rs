//! Operations that could wait: after so many that did not, a task gives way, and others get their turn.
//!
//! An operation takes a unit of the task's budget, and gives it back if it has to wait; once what it waited for has come it
//! takes one again. With nothing left the next one makes the task give way instead. Tasks that run as a part of the one
//! before them go on with what that has left. Source: tokio `task/coop/mod.rs` (`poll_proceed`), and
//! `scheduler/multi_thread/worker.rs` (`run_task`). Left out: what looks at several things at once, and operations on what
//! is no part of Tokio.

use super::CarrierId;
use crate::engine::run::Run;
use crate::engine::task::Wait;
use crate::kernel::Tid;
use crate::workload::Instruction;

impl Run {
    /// A task begins its turn on a carrier; what it waited for has come, if anything.
    pub(super) fn count_operations(&mut self, id: CarrierId, task: Tid, is_part: bool) {
        let runtime = self.runtime();
        let Some(most) = runtime.model.operations_max else { return };
        let carrier = &mut runtime.carriers[id as usize];
        if !is_part {
            carrier.operations = most;
        }
        let state = &mut self.tasks[task.index()];
        if state.waits == Wait::Over {
            state.waits = Wait::Nothing;
            let carrier = &mut self.runtime().carriers[id as usize];
            carrier.operations = carrier.operations.saturating_sub(1);
        }
    }

    /// The last operation of a task waits.
    pub(super) fn give_operation_back(&mut self, id: CarrierId) {
        let runtime = self.runtime();
        let Some(most) = runtime.model.operations_max else { return };
        let carrier = &mut runtime.carriers[id as usize];
        carrier.operations = most.min(carrier.operations + 1);
    }

    /// Whether operations of who runs are counted.
    pub(in crate::engine) fn counts_operations(&self, tid: Tid) -> bool {
        let counts = self.runtime.as_ref().is_some_and(|runtime| runtime.model.operations_max.is_some());
        counts && self.is_user_task(tid)
    }

    /// Whether a task may go on with an instruction: if that could wait, it takes a unit.
    pub(in crate::engine) fn may_operate(&mut self, task: Tid, instruction: &Instruction) -> bool {
        // Who tries to take a lock again has been counted.
        if !could_wait(instruction) || self.tasks[task.index()].is_trying {
            return true;
        }
        let carrier = self.threads[task.index()].carrier;
        let runtime = self.runtime();
        let id = runtime.id_of(carrier);
        let operations = &mut runtime.carriers[id as usize].operations;
        let has_one = *operations > 0;
        *operations = operations.saturating_sub(1);
        has_one
    }
}

fn could_wait(instruction: &Instruction) -> bool {
    matches!(
        instruction,
        Instruction::Sleep(_)
            | Instruction::Io(_)
            | Instruction::Join(_)
            | Instruction::Acquire(_)
            | Instruction::Lock(_)
            | Instruction::ReadLock(_)
            | Instruction::WriteLock(_)
            | Instruction::Await(..)
            | Instruction::Barrier(_)
            | Instruction::Send(..)
            | Instruction::Recv(_)
    )
}
