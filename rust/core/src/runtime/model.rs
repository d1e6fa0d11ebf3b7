//! An execution model: what a task becomes, who waits when it waits, and what each step of a runtime costs.

use super::config::RuntimeConfig;
use crate::base::{ConfigError, Picos};
use serde::{Deserialize, Serialize};

/// What a task is to the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TaskKind {
    /// A process with a copy of the address space.
    Process,
    /// A thread.
    Thread,
    /// A job that a thread of a pool runs to its end: what it waits for, the thread waits for.
    Job,
    /// A task in user space: where it waits, its carrier goes on with another.
    User,
}

/// Who looks after time and input for tasks that wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Poller {
    /// A carrier that has nothing to do.
    Carrier,
    /// A thread of its own.
    Thread,
}

/// What happens to a slot whose carrier is in a blocking call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HandOff {
    /// It waits too.
    None,
    /// A monitor takes it once it has seen it block twice, as Go's sysmon does.
    Monitor,
    /// A slot that idles is woken, or another carrier takes this one at once, as long as carriers may be made. Who comes back
    /// goes on with its task all the same (fork-join pools compensate so).
    Compensate,
}

/// What the steps of a runtime cost on a cpu with warm caches, in nanoseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TaskCosts {
    /// Making a task whose memory was used before, up to where it can run.
    pub create_ns: Picos,
    /// Its end.
    pub end_ns: Picos,
    /// From one task to the next that is at hand.
    pub switch_ns: Picos,
    /// Beginning to wait.
    pub park_ns: Picos,
    /// Letting another task be able to run.
    pub ready_ns: Picos,
    /// Setting a timer.
    pub timer_ns: Picos,
    /// A timer that fires, or input that has come, each.
    pub expire_ns: Picos,
    /// Asking the kernel what input has come.
    pub poll_ns: Picos,
    /// Putting something into the queue that all share, or taking it from there.
    pub global_ns: Picos,
    /// Looking at the queue of another slot.
    pub visit_ns: Picos,
    /// Taking tasks of another slot.
    pub steal_ns: Picos,
    /// Sleeping a little before taking what another slot is about to run.
    pub nap_ns: Picos,
    /// Looking for work again and again before a carrier parks.
    pub spin_ns: Picos,
    /// Doubling a stack: new memory, copying, adjusting pointers.
    pub grow_ns: Picos,
    /// Marking a task when garbage is collected.
    pub mark_ns: Picos,
    /// Putting a timer into the heap, by the thread that looks after time if that is one of its own.
    pub insert_ns: Picos,
    /// Making a running task give way: the signal and its handler.
    pub preempt_ns: Picos,
}

impl Model {
    /// Whether tasks are more than processes and threads of the kernel.
    pub fn has_runtime(&self) -> bool {
        matches!(self.tasks, TaskKind::Job | TaskKind::User)
    }

    /// Whether a task that holds a lock, or waits for one, keeps its carrier.
    pub fn pins_in_monitors(&self) -> bool {
        matches!(&self.queues, RuntimeConfig::WorkStealing(queues) if queues.pins_in_monitors)
    }

    /// Checks all rules.
    ///
    /// # Errors
    /// The first rule that is broken, with its path and the value.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.workers == Some(0) || self.workers.is_some_and(|workers| workers > WORKERS_MAX) {
            let rule = format!("must be 1 to {WORKERS_MAX}");
            return Err(ConfigError::new("workers", rule, self.workers.unwrap_or(0)));
        }
        if self.threads_max == 0 {
            return Err(ConfigError::new("threads_max", "must be at least 1", 0));
        }
        if self.poll_interval == 0 {
            return Err(ConfigError::new("poll_interval", "must be at least 1", 0));
        }
        if self.tasks_max == 0 {
            return Err(ConfigError::new("tasks_max", "must be at least 1", 0));
        }
        if self.operations_max == Some(0) {
            return Err(ConfigError::new("operations_max", "must be at least 1", 0));
        }
        let below = |error: ConfigError| ConfigError { path: format!("queues.{}", error.path), ..error };
        self.queues.check().map_err(below)
    }
}

/// The most threads that run tasks.
const WORKERS_MAX: u16 = 4096;

/// What tasks hold of memory, in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TaskMemory {
    /// The runtime itself.
    pub base_bytes: u64,
    /// The kernel's part of a thread: its stack, its control block.
    pub thread_kernel_bytes: u64,
    /// What of a thread's own stack is used.
    pub thread_stack_bytes: u64,
    /// The record of a task.
    pub task_bytes: u64,
    /// The stack that a task starts with; it doubles by copying until what it uses fits. 0: as large as what is used.
    pub stack_bytes: u64,
    /// Whether garbage is collected each time that tasks hold twice as much as the last time.
    pub collects: bool,
    /// Whether memory of new tasks comes from the kernel page by page, so that it costs faults.
    pub faults: bool,
}

/// An execution model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// What results call it.
    pub name: String,
    /// What tasks are.
    pub tasks: TaskKind,
    /// Threads that run tasks; as many as cpus if absent.
    #[serde(default)]
    pub workers: Option<u16>,
    /// The most threads that the runtime makes.
    pub threads_max: u32,
    /// Tasks that may exist at a time.
    #[serde(default = "tasks_max")]
    pub tasks_max: u64,
    /// Whether the program's first thread is a carrier too, and what it does a task.
    pub main_is_task: bool,
    /// Whether each slot has a carrier of its own.
    pub is_bound: bool,
    /// Who looks after time and input.
    pub poller: Poller,
    /// After how many tasks a carrier looks after time and input, if tasks wait.
    pub poll_interval: u32,
    /// What happens at blocking calls.
    pub hand_off: HandOff,
    /// After which time the monitor makes a task give way; never if absent.
    #[serde(default)]
    pub preempt_after_ns: Option<Picos>,
    /// Operations that could wait and do not, after which a task has to give way; without a limit if absent. What runs as a
    /// part of the task before it shares those with it (Tokio's cooperative budget).
    #[serde(default)]
    pub operations_max: Option<u32>,
    /// The queues.
    pub queues: RuntimeConfig,
    /// What steps cost.
    #[serde(default)]
    pub costs: TaskCosts,
    /// What tasks hold.
    #[serde(default)]
    pub memory: TaskMemory,
}

/// Tasks that exist at a time where nothing else is said: a few GiB of them.
fn tasks_max() -> u64 {
    1 << 24
}

impl TaskMemory {
    /// Bytes of a task that uses so much stack, and how often its stack had to double.
    pub fn of_task(&self, stack: u64) -> (u64, u64) {
        if self.stack_bytes == 0 {
            return (self.task_bytes + stack, 0);
        }
        let (mut bytes, mut doublings) = (self.stack_bytes, 0);
        while bytes <= stack {
            bytes *= 2;
            doublings += 1;
        }
        // Large stacks come from the kernel: what was never used holds no memory.
        let held = if bytes < LARGE_STACK { bytes } else { stack };
        (self.task_bytes + held, doublings)
    }
}

/// Stacks from this size on are no parts of larger pieces.
const LARGE_STACK: u64 = 32 << 10;
