//! Input that has come for several tasks at once: which queues they join, and which slots are woken for them.
//!
//! Source: golang/go `src/runtime/proc.go`, `injectglist` and what calls it; `netpoll.go`, whose list has the last that came
//! in front.

use super::WorkStealing;
use crate::kernel::Tid;
use crate::runtime::discipline::{Pushed, Slot, Status};

impl WorkStealing {
    /// Puts the tasks of a look into queues. `started` are the slots that were idle and run from now on.
    pub(super) fn spread(&mut self, tasks: &[Tid], by: Option<Slot>, started: &mut Vec<Slot>) -> Pushed {
        self.queued += tasks.len();
        let mut tasks = tasks.iter().rev().copied();
        let by = by.filter(|&slot| self.slots.status(slot) != Status::Idle);
        if let Some(slot) = by.filter(|&slot| !self.own[slot.index()].has_work()) {
            self.own[slot.index()].queue.extend(tasks.next());
        }
        let others = tasks.len();
        let to_shared = by.map_or(others, |_| self.slots.idle().min(others));
        let queue = self.shared.queue_of(by);
        for task in tasks.by_ref().take(to_shared) {
            self.shared.push(queue, task);
        }
        for _ in 0..to_shared {
            let Some(slot) = self.slots.claim(None) else {
                self.is_wake_missed |= self.config.remembers_wakes;
                break;
            };
            started.push(slot);
        }
        let mut overflowed = 0;
        if let Some(slot) = by {
            let own = &mut self.own[slot.index()];
            let room = own.room();
            own.queue.extend(tasks.by_ref().take(room));
        }
        for task in tasks {
            self.shared.push(queue, task);
            overflowed += 1;
        }
        Pushed { is_global: to_shared > 0, overflowed, notifies: by.is_some() && others > 0, ..Pushed::default() }
    }
}
