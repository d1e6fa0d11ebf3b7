//! What is found out of a scenario before it runs: who may run where, and who makes tasks.

use crate::base::ConfigError;
use crate::kernel::Share;
use crate::memory::config::MachineConfig;
use crate::workload::code::Attributes;
use crate::workload::{Code, Instruction, Scenario};

/// What a scheduler is told: what is said, and the rest as it is of the maker.
pub(super) fn share(maker: Share, attributes: &Attributes) -> Share {
    Share {
        nice: attributes.nice.unwrap_or(maker.nice),
        tickets: attributes.tickets.unwrap_or(maker.tickets),
        priority: attributes.priority.unwrap_or(maker.priority),
        affinity: attributes.affinity.unwrap_or(maker.affinity),
    }
}

/// Whether some thread may not run everywhere; all may run somewhere.
pub(super) fn check_affinities(
    machine: &MachineConfig,
    attributes: &[Attributes],
    code: &Code,
) -> Result<bool, ConfigError> {
    let all = if machine.cpus >= 64 { u64::MAX } else { (1 << machine.cpus) - 1 };
    let of_processes =
        attributes.iter().enumerate().map(|(index, each)| (format!("processes[{index}].affinity"), each));
    let is_thread = |instruction: &&Instruction| matches!(instruction, Instruction::Thread(_) | Instruction::Task(_));
    debug_assert_eq!(code.instructions.iter().filter(is_thread).count(), code.threads.len(), "one entry each");
    let of_threads = code.threads.iter().map(|thread| ("the affinity of a thread".to_owned(), &thread.attributes));
    let mut has_affinity = false;
    for (path, attributes) in of_processes.chain(of_threads) {
        let Some(mask) = attributes.affinity else { continue };
        if mask & !all != 0 {
            let rule = format!("must name cpus of the machine, which has {}", machine.cpus);
            return Err(ConfigError::new(path, rule, u64::BITS - 1 - mask.leading_zeros()));
        }
        has_affinity |= mask != all;
    }
    Ok(has_affinity)
}

/// Which processes make tasks. A runtime has those of one process.
pub(super) fn tasks_of(scenario: &Scenario, code: &Code, entries: &[u32]) -> Result<Vec<bool>, ConfigError> {
    let ends = entries.iter().skip(1).copied().chain([u32::MAX]);
    let is_task = |instruction: &Instruction| matches!(instruction, Instruction::Task(_));
    let makes = |(&start, end): (&u32, u32)| {
        let end = code.instructions.len().min(end as usize);
        code.instructions[start as usize..end].iter().any(is_task)
    };
    let has_tasks: Vec<bool> = entries.iter().zip(ends).map(makes).collect();
    let with = |&index: &usize| has_tasks[index];
    let makers: u64 = (0..has_tasks.len()).filter(with).map(|index| u64::from(scenario.processes[index].copies)).sum();
    if makers > 1 && scenario.model.as_ref().is_some_and(crate::runtime::Model::has_runtime) {
        let second = (0..has_tasks.len()).rfind(with).unwrap_or(0);
        let rule = "must be the only process that makes tasks under this model";
        return Err(ConfigError::new(format!("processes[{second}].program"), rule, makers));
    }
    Ok(has_tasks)
}
