//! The policies, one a file.

mod cfs;
mod eevdf;
mod eevdf_queue;
mod fifo;
mod lottery;
mod mlfq;
mod priority;
mod round_robin;
mod sjf;
mod stcf;
mod stride;

pub use cfs::{Cfs, CfsConfig};
pub use eevdf::{Eevdf, EevdfConfig};
pub use fifo::{Fifo, FifoConfig};
pub use lottery::{Lottery, LotteryConfig};
pub use mlfq::{Mlfq, MlfqConfig};
pub use priority::{Priority, PriorityConfig};
pub use round_robin::{RoundRobin, RoundRobinConfig};
pub use sjf::{Sjf, SjfConfig};
pub use stcf::{Stcf, StcfConfig};
pub use stride::{Stride, StrideConfig};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Picos;
    use crate::sched::{Enqueue, Leave, Scheduler, Task, TaskId};

    const NOW: Picos = Picos(7_000_000);

    fn task(id: u32) -> Task {
        Task { id: TaskId(id), burst: NOW, weight: 1024, tickets: 3, priority: 1 }
    }

    /// Whoever is queued is picked once; who was removed or given away is not.
    fn queues_everybody_once(mut queue: impl Scheduler, name: &str) {
        for id in 0..6 {
            queue.enqueue(&task(id), Enqueue::New, NOW);
        }
        queue.remove(TaskId(4), NOW);
        let (given, carry) = queue.give_away(NOW).expect("somebody is queued");
        queue.enqueue(&task(given.0), Enqueue::Migrated(carry), NOW);
        queue.remove(given, NOW);
        let mut picked = Vec::new();
        while let Some(id) = queue.pick(NOW) {
            assert!(queue.runs_until(id, NOW) > NOW, "{name}");
            queue.charge(id, Picos(5), NOW);
            if picked.is_empty() {
                queue.enqueue(&task(id.0), Enqueue::Yielded, NOW);
                let again = queue.pick(NOW).expect("somebody is queued");
                queue.leave(again, Leave::Ended, NOW);
                picked.push(again.0);
            } else {
                queue.leave(id, Leave::Ended, NOW);
                picked.push(id.0);
            }
        }
        picked.sort_unstable();
        let left: Vec<u32> = (0..6).filter(|&id| id != 4 && id != given.0).collect();
        assert_eq!(picked, left, "{name}");
    }

    #[test]
    fn every_policy_queues_everybody_once() {
        queues_everybody_once(Fifo::default(), "fifo");
        queues_everybody_once(Sjf::default(), "sjf");
        queues_everybody_once(Stcf::default(), "stcf");
        queues_everybody_once(RoundRobin::new(&RoundRobinConfig::default()), "round-robin");
        queues_everybody_once(Mlfq::new(&MlfqConfig::default()), "mlfq");
        queues_everybody_once(Lottery::new(&LotteryConfig::default(), 1, 0), "lottery");
        queues_everybody_once(Stride::new(&StrideConfig::default()), "stride");
        queues_everybody_once(Priority::new(&PriorityConfig::default()), "priority");
        queues_everybody_once(Cfs::new(&CfsConfig::default(), 1), "cfs");
        queues_everybody_once(Eevdf::new(&EevdfConfig::default(), 1), "eevdf");
    }
}
