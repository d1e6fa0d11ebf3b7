//! Ops as a user writes them.

use super::arrivals::Load;
use super::distribution::Duration;
use crate::base::Picos;
use crate::memory::config::{PageSize, Size};
use crate::vm::address_space::Access;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One step of a program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub enum Op {
    /// Runs for a time.
    Compute {
        /// How long.
        ns: Duration,
    },
    /// A system call.
    Syscall {
        /// How long; an empty one if absent.
        #[serde(default)]
        ns: Option<Picos>,
    },
    /// Waits for a time.
    Sleep {
        /// How long.
        ns: Duration,
    },
    /// Waits for a device or another machine: without its thread where the model allows that.
    Io {
        /// How long.
        ns: Duration,
    },
    /// Waits in a system call that takes its thread along under every model.
    Block {
        /// How long.
        ns: Duration,
    },
    /// Calls a dependency of the scenario and waits for its answer as `io` waits, or until it gives up.
    Call {
        /// Its name.
        to: String,
        /// What it does about slow and failed calls, as services have it: nothing if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        policy: Option<Value>,
    },
    /// Makes a region.
    Mmap {
        /// What the program calls it.
        region: String,
        /// How large.
        size: Size,
        /// What its first touch maps.
        #[serde(default)]
        page_size: PageSize,
        /// Letters of `rwx`.
        #[serde(default = "read_write")]
        permissions: String,
        /// Whether a child of a fork sees what the parent writes.
        #[serde(default)]
        shared: bool,
        /// Where; the kernel chooses if absent.
        #[serde(default)]
        address: Option<u64>,
    },
    /// Removes a part of a region.
    Munmap(Part),
    /// Gives the memory of a part back.
    Discard(Part),
    /// Changes what a part allows.
    Mprotect {
        /// The region.
        region: String,
        /// Letters of `rwx`.
        permissions: String,
        /// Where the part begins.
        #[serde(default)]
        offset: Size,
        /// How large it is; the rest if absent.
        #[serde(default)]
        size: Option<Size>,
    },
    /// Sets the size of the heap.
    Brk {
        /// How large it is to be.
        size: Size,
    },
    /// Accesses memory.
    Touch(Box<Touch>),
    /// A child with a copy of the address space.
    Fork {
        /// What the child runs; what the parent runs if absent.
        #[serde(default)]
        child: Option<Vec<Op>>,
    },
    /// A child in the same address space for which the parent waits.
    Vfork {
        /// What the child runs.
        #[serde(default)]
        child: Option<Vec<Op>>,
    },
    /// A child in the same address space.
    CloneVm {
        /// What the child runs.
        #[serde(default)]
        child: Option<Vec<Op>>,
    },
    /// A thread of the same process, as `pthread_create` makes it.
    Thread(Box<Thread>),
    /// A task: a process, a thread, a job of a pool or a task in user space, as the model says.
    Task(Box<TaskSpec>),
    /// A task for each request of a load, until there are no more.
    Serve(Box<Serve>),
    /// Waits until threads of the process have ended.
    Join {
        /// Those of this name; all that this thread has made if absent.
        #[serde(default)]
        name: Option<String>,
    },
    /// Lets others run.
    YieldNow {},
    /// Takes one of a semaphore, or waits for it.
    Acquire {
        /// Its name, the same in all processes.
        semaphore: String,
    },
    /// Adds one to a semaphore, and wakes who waits for it.
    Release {
        /// Its name.
        semaphore: String,
    },
    /// Takes a lock, or waits for it.
    Lock {
        /// Its name, the same in all processes.
        lock: String,
    },
    /// Takes a reader-writer lock together with other readers.
    ReadLock {
        /// Its name.
        lock: String,
    },
    /// Takes a reader-writer lock alone.
    WriteLock {
        /// Its name.
        lock: String,
    },
    /// Gives a lock back.
    Unlock {
        /// Its name.
        lock: String,
    },
    /// Ends a lock that nobody uses any more.
    Destroy {
        /// Its name.
        lock: String,
    },
    /// Gives a lock back, waits for a condition, and takes the lock again.
    Wait {
        /// The name of the condition, the same in all processes.
        condition: String,
        /// The lock that is held.
        lock: String,
    },
    /// Wakes one who waits for a condition.
    Signal {
        /// Its name.
        condition: String,
    },
    /// Wakes all who wait for a condition.
    Broadcast {
        /// Its name.
        condition: String,
    },
    /// Waits until so many have come.
    Barrier {
        /// Its name, the same in all processes.
        barrier: String,
        /// How many.
        parties: u32,
    },
    /// Sends a message, or waits for room.
    Send {
        /// Its name, the same in all processes.
        channel: String,
        /// How long the message is; a queue holds pointers, whatever they point to.
        #[serde(default = "one")]
        bytes: u64,
    },
    /// Receives a message, or waits for one.
    Recv {
        /// Its name.
        channel: String,
    },
    /// A child with a fresh image.
    Spawn {
        /// Its name.
        name: String,
        /// What it runs.
        #[serde(default)]
        program: Vec<Op>,
    },
    /// Replaces the image.
    Exec {
        /// The program's name.
        name: String,
        /// What it runs.
        #[serde(default)]
        program: Vec<Op>,
    },
    /// Ends the process.
    Exit {
        /// What the parent is told.
        #[serde(default)]
        code: i32,
    },
    /// Waits for one child.
    WaitChild {},
    /// Waits for all children.
    WaitChildren {},
    /// Ends the youngest child that lives.
    Kill {},
    /// Does something several times.
    Repeat {
        /// How often.
        times: u64,
        /// What.
        body: Vec<Op>,
    },
    /// Does one of several things, drawn from the seed.
    Choose {
        /// How likely each is, relative to the others.
        weights: Vec<u32>,
        /// What each is.
        bodies: Vec<Vec<Op>>,
    },
    /// Adds one to a shared variable.
    Increment {
        /// Its name, the same in all processes.
        variable: String,
        /// By which instructions.
        #[serde(default)]
        how: How,
        /// Under which lock; one of the name of the variable if absent.
        #[serde(default)]
        lock: Option<String>,
        /// How often.
        #[serde(default = "one")]
        times: u64,
        /// What is computed after each.
        #[serde(default)]
        work_ns: Picos,
    },
    /// Loads a shared variable into the thread's register.
    Load {
        /// Its name.
        variable: String,
        /// How often.
        #[serde(default = "one")]
        times: u64,
        /// Whether it orders threads, as an acquiring load or a releasing store does.
        #[serde(default)]
        atomic: bool,
        /// What is computed after each.
        #[serde(default)]
        work_ns: Picos,
    },
    /// Stores to a shared variable.
    Store {
        /// Its name.
        variable: String,
        /// What; the thread's register if absent.
        #[serde(default)]
        value: Option<i64>,
        /// How often.
        #[serde(default = "one")]
        times: u64,
        /// Whether it orders threads, as an acquiring load or a releasing store does.
        #[serde(default)]
        atomic: bool,
        /// What is computed after each.
        #[serde(default)]
        work_ns: Picos,
    },
    /// Adds to the thread's register.
    Add {
        /// What.
        value: i64,
    },
    /// Loads a shared variable until it has a value.
    SpinUntil {
        /// Its name.
        variable: String,
        /// The value.
        value: i64,
    },
    /// Waits until all stores before are visible.
    Fence {},
    /// Notes how long something took.
    Measure {
        /// What results call it.
        name: String,
        /// What is measured.
        body: Vec<Op>,
    },
    /// Has to be done within a time: calls within give up when it is over, and so do those of tasks that are made there.
    Deadline {
        /// From the beginning on.
        ns: Picos,
        /// What has to be done.
        body: Vec<Op>,
    },
}

/// How a shared variable is incremented.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// By one instruction, which no interrupt parts.
    #[default]
    Plain,
    /// By a load, an addition and a store.
    Split,
    /// By one atomic instruction.
    Atomic,
    /// By a load and a compare-exchange, again until nobody came between.
    CompareExchange,
    /// By one instruction, under a lock.
    Locked,
}

/// A thread to be made. What is absent is as it is of who makes it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Thread {
    /// What it runs; what its maker runs if absent.
    pub child: Option<Vec<Op>>,
    /// What `join` calls it.
    pub name: Option<String>,
    /// From -20, first, to 19.
    pub nice: Option<i32>,
    /// Its tickets in a lottery.
    pub tickets: Option<u32>,
    /// How urgent it is: smaller goes first.
    pub priority: Option<u32>,
    /// The cpus that it may run on.
    pub affinity: Option<Vec<u32>>,
}

/// A task to be made.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TaskSpec {
    /// What it runs; what its maker runs if absent.
    pub child: Option<Vec<Op>>,
    /// What `join` calls it.
    pub name: Option<String>,
    /// How much stack it uses.
    pub stack: Size,
}

/// Requests, and what answers one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Serve {
    /// When they arrive.
    pub load: Load,
    /// What the task of a request does.
    pub request: Vec<Op>,
    /// What results call the load.
    #[serde(default = "requests")]
    pub name: String,
    /// How long after its arrival an answer is of use; for ever if absent. One that comes to be answered later is not begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_ns: Option<Picos>,
    /// How much stack such a task uses.
    #[serde(default)]
    pub stack: Size,
}

/// A part of a region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// The region.
    pub region: String,
    /// Where the part begins.
    #[serde(default)]
    pub offset: Size,
    /// How large it is; the rest if absent.
    #[serde(default)]
    pub size: Option<Size>,
}

/// Accesses to a region.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Touch {
    /// The region.
    pub region: String,
    /// What is done.
    #[serde(default = "write")]
    pub access: Access,
    /// The distance of units.
    #[serde(default)]
    pub unit: Unit,
    /// How many accesses; as many as there are units if absent.
    #[serde(default)]
    pub count: Option<u64>,
    /// In which order.
    #[serde(default)]
    pub pattern: PatternKind,
    /// Where the part begins.
    #[serde(default)]
    pub offset: Size,
    /// How large it is; the rest if absent.
    #[serde(default)]
    pub size: Option<Size>,
    /// Units between two of a strided pattern.
    #[serde(default = "one")]
    pub stride: u64,
    /// How uneven a zipf pattern is.
    #[serde(default = "unit_skew")]
    pub skew: f64,
    /// How large the hot part is.
    #[serde(default = "hot_fraction")]
    pub hot_fraction: f64,
    /// How likely the hot part is.
    #[serde(default = "hot_probability")]
    pub hot_probability: f64,
    /// Whether units lie at places drawn from the seed.
    #[serde(default)]
    pub scatter: bool,
    /// The name of its random numbers: equal names draw equal ones.
    #[serde(default)]
    pub stream: String,
    /// Whether each access waits for the one before.
    #[serde(default)]
    pub dependent: bool,
    /// Units of a list.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub indices: Vec<u64>,
}

/// The order of accesses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PatternKind {
    /// In order.
    #[default]
    Sequential,
    /// Every so many, then those after.
    Strided,
    /// Drawn.
    Uniform,
    /// Drawn, the first ones more often.
    Zipf,
    /// Drawn, a hot part more often.
    Hot,
    /// A cycle in an order drawn from the seed.
    Chase,
    /// As listed.
    List,
}

/// The distance of units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Unit {
    /// That many bytes.
    Bytes(u64),
    /// A word for it.
    #[default]
    #[serde(skip)]
    DefaultPage,
    /// A word for it.
    Named(UnitName),
}

/// A word for the distance of units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnitName {
    /// 4 KiB.
    Page,
    /// 64 bytes.
    Line,
}

impl Unit {
    /// In bytes.
    pub fn bytes(self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::DefaultPage | Self::Named(UnitName::Page) => 4096,
            Self::Named(UnitName::Line) => 64,
        }
    }
}

fn requests() -> String {
    "requests".into()
}

fn read_write() -> String {
    "rw".into()
}

fn write() -> Access {
    Access::Write
}

fn one() -> u64 {
    1
}

fn unit_skew() -> f64 {
    1.0
}

fn hot_fraction() -> f64 {
    0.1
}

fn hot_probability() -> f64 {
    0.9
}
