//! Execution models by name.
//!
//! Costs are single events on the reference machine (a Redwood Cove core at 3.6 GHz): switches of tasks, creation,
//! wake-ups. `docs/runtimes.md` says where each comes from.

use super::config::RuntimeConfig;
use super::fifo::FifoConfig;
use super::model::{HandOff, Model, Poller, TaskCosts, TaskKind, TaskMemory};
use super::per_slot::PerSlotConfig;
use super::work_stealing::WorkStealingConfig;
use crate::base::Picos;

/// Kernel stack, control block and the like of a thread.
const THREAD_KERNEL_BYTES: u64 = 22 << 10;

/// What of a thread's own stack is in use.
const THREAD_STACK_BYTES: u64 = 8 << 10;

/// Threads of a runtime that has no limit of its own: that of the machine comes first.
const THREADS_MAX: u32 = 1 << 22;

const fn ns(nanos: u64) -> Picos {
    Picos::from_nanos(nanos)
}

impl Model {
    /// All models by name, in the order in which they are compared.
    pub fn presets() -> [Self; 10] {
        [
            Self::process_per_task(),
            Self::thread_per_task(),
            Self::thread_pool(),
            Self::event_loop(),
            Self::event_loop_per_cpu(),
            Self::go(),
            Self::tokio(),
            Self::java(),
            Self::java_21(),
            Self::work_stealing(),
        ]
    }

    /// A process for each task.
    pub fn process_per_task() -> Self {
        Self { name: "process-per-task".into(), tasks: TaskKind::Process, ..Self::thread_per_task() }
    }

    /// A thread for each task.
    pub fn thread_per_task() -> Self {
        Self {
            name: "thread-per-task".into(),
            tasks: TaskKind::Thread,
            workers: None,
            threads_max: THREADS_MAX,
            tasks_max: 1 << 24,
            main_is_task: false,
            is_bound: true,
            poller: Poller::Carrier,
            poll_interval: 1,
            hand_off: HandOff::None,
            preempt_after_ns: None,
            operations_max: None,
            queues: RuntimeConfig::Fifo(FifoConfig::default()),
            costs: TaskCosts::default(),
            memory: TaskMemory {
                thread_kernel_bytes: THREAD_KERNEL_BYTES,
                thread_stack_bytes: THREAD_STACK_BYTES,
                ..TaskMemory::default()
            },
        }
    }

    /// 64 threads that take tasks from one queue.
    pub fn thread_pool() -> Self {
        let costs = TaskCosts {
            create_ns: ns(80),
            end_ns: ns(20),
            switch_ns: ns(30),
            global_ns: ns(20),
            ..TaskCosts::default()
        };
        let memory = TaskMemory { task_bytes: 128, ..Self::thread_per_task().memory };
        Self {
            name: "thread-pool".into(),
            tasks: TaskKind::Job,
            workers: Some(64),
            costs,
            memory,
            ..Self::thread_per_task()
        }
    }

    /// One thread that runs all tasks; none may block.
    pub fn event_loop() -> Self {
        let costs = TaskCosts {
            create_ns: ns(150),
            end_ns: ns(30),
            switch_ns: ns(40),
            park_ns: ns(30),
            ready_ns: ns(40),
            timer_ns: ns(60),
            expire_ns: ns(40),
            poll_ns: ns(300),
            ..TaskCosts::default()
        };
        let memory = TaskMemory { task_bytes: 1024, ..Self::thread_per_task().memory };
        Self {
            name: "event-loop".into(),
            tasks: TaskKind::User,
            workers: Some(1),
            main_is_task: true,
            poll_interval: 61,
            costs,
            memory,
            ..Self::thread_per_task()
        }
    }

    /// An event loop for each cpu; a task stays where it was put.
    pub fn event_loop_per_cpu() -> Self {
        Self {
            name: "event-loop-per-cpu".into(),
            workers: None,
            queues: RuntimeConfig::PerSlot(PerSlotConfig::default()),
            ..Self::event_loop()
        }
    }

    /// Go 1.27.
    pub fn go() -> Self {
        let costs = TaskCosts {
            create_ns: ns(220),
            end_ns: ns(75),
            switch_ns: ns(55),
            park_ns: ns(55),
            ready_ns: ns(60),
            timer_ns: ns(150),
            expire_ns: ns(60),
            poll_ns: ns(300),
            global_ns: ns(20),
            visit_ns: ns(20),
            steal_ns: ns(60),
            nap_ns: ns(3000),
            spin_ns: ns(0),
            preempt_ns: ns(2000),
            mark_ns: ns(650),
            insert_ns: ns(0),
            grow_ns: ns(300),
        };
        let memory = TaskMemory {
            base_bytes: 2_500_000,
            task_bytes: 748,
            stack_bytes: 2048,
            faults: true,
            collects: true,
            ..Self::thread_per_task().memory
        };
        Self {
            name: "go".into(),
            tasks: TaskKind::User,
            threads_max: 10_000,
            main_is_task: true,
            is_bound: false,
            hand_off: HandOff::Monitor,
            preempt_after_ns: Some(ns(10_000_000)),
            queues: RuntimeConfig::WorkStealing(WorkStealingConfig::go()),
            costs,
            memory,
            ..Self::thread_per_task()
        }
    }

    /// Tokio's multi-threaded runtime.
    pub fn tokio() -> Self {
        let costs = TaskCosts {
            create_ns: ns(150),
            end_ns: ns(40),
            switch_ns: ns(35),
            park_ns: ns(20),
            ready_ns: ns(50),
            timer_ns: ns(80),
            expire_ns: ns(60),
            poll_ns: ns(300),
            global_ns: ns(30),
            visit_ns: ns(15),
            steal_ns: ns(60),
            ..TaskCosts::default()
        };
        let memory = TaskMemory { base_bytes: 3_000_000, task_bytes: 512, ..Self::thread_per_task().memory };
        Self {
            name: "tokio".into(),
            tasks: TaskKind::User,
            poll_interval: 61,
            operations_max: Some(128),
            queues: RuntimeConfig::WorkStealing(WorkStealingConfig::tokio()),
            costs,
            memory,
            ..Self::thread_per_task()
        }
    }

    /// Virtual threads of Java 25.
    pub fn java() -> Self {
        let costs = TaskCosts {
            create_ns: ns(250),
            end_ns: ns(60),
            switch_ns: ns(90),
            park_ns: ns(60),
            ready_ns: ns(60),
            timer_ns: ns(200),
            expire_ns: ns(150),
            insert_ns: ns(150),
            poll_ns: ns(300),
            global_ns: ns(30),
            visit_ns: ns(20),
            steal_ns: ns(60),
            spin_ns: ns(2000),
            ..TaskCosts::default()
        };
        let memory = TaskMemory { base_bytes: 45 << 20, task_bytes: 2400, ..Self::thread_per_task().memory };
        Self {
            name: "java".into(),
            tasks: TaskKind::User,
            threads_max: 256,
            poller: Poller::Thread,
            queues: RuntimeConfig::WorkStealing(WorkStealingConfig::java()),
            costs,
            memory,
            ..Self::thread_per_task()
        }
    }

    /// Virtual threads of Java 21: a monitor keeps the carrier.
    pub fn java_21() -> Self {
        Self {
            name: "java-21".into(),
            hand_off: HandOff::Compensate,
            queues: RuntimeConfig::WorkStealing(WorkStealingConfig::java_21()),
            ..Self::java()
        }
    }

    /// Work stealing with every choice open; what is not said is as in a plain textbook runtime.
    pub fn work_stealing() -> Self {
        Self {
            name: "work-stealing".into(),
            operations_max: None,
            queues: RuntimeConfig::WorkStealing(WorkStealingConfig::default()),
            ..Self::tokio()
        }
    }
}
