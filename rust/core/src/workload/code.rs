//! Compiled programs: instructions in one row, with jumps instead of bodies.

use super::arrivals::Load;
use super::distribution::Sampler;
use super::locks::LockUse;
use super::pattern::Pattern;
use super::sharing::{ShareCode, Variable};
use crate::base::Picos;
use crate::vm::address_space::{Access, Permissions};
use serde_json::Value;

/// Where in the code something begins.
pub type Address = u32;

/// How long something takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Time {
    /// Always the same.
    Fixed(Picos),
    /// Drawn anew each time: an index into [`Code::samplers`].
    Drawn(u32),
}

/// One step.
#[derive(Clone, Debug, PartialEq)]
pub enum Instruction {
    /// Runs for a time.
    Compute(Time),
    /// A system call; an empty one without a time.
    Syscall(Option<Picos>),
    /// Waits for a time.
    Sleep(Time),
    /// Waits for a device or another machine, without its thread where the model allows that.
    Io(Time),
    /// Waits in a system call that takes its thread along.
    Block(Time),
    /// Calls a dependency: an index into [`Code::calls`].
    Call(u32),
    /// Makes a region.
    Mmap(Mmap),
    /// Removes a part of a region.
    Munmap(Range),
    /// Gives the memory of a part back.
    Discard(Range),
    /// Changes what a part allows.
    Mprotect(Range, Permissions),
    /// Sets the size of the heap.
    Brk(u64),
    /// Accesses memory: an index into [`Code::touches`].
    Touch(u32),
    /// Makes a child, which begins at an address or with the next instruction.
    Child(ChildKind, Option<Address>),
    /// Takes the next request of a load, an index into [`Code::loads`], or waits for it; goes to `end` behind the last.
    Accept {
        /// The load.
        load: u32,
        /// What follows the last request.
        end: Address,
    },
    /// The end of a task: the answer to a request of a load, an index into [`Code::loads`], if it is one.
    Complete(u32),
    /// Makes a task, whatever that is under the model: an index into [`Code::threads`].
    Task(u32),
    /// Makes a thread: an index into [`Code::threads`].
    Thread(u32),
    /// Waits for threads of a name, an index into [`Code::names`], or for all that this one made.
    Join(Option<u32>),
    /// Lets others run.
    YieldNow,
    /// Takes one of a semaphore.
    Acquire(u32),
    /// Adds one to a semaphore.
    Release(u32),
    /// Takes a lock: an index into [`Code::locks`].
    Lock(u32),
    /// Takes a reader-writer lock for reading.
    ReadLock(u32),
    /// Takes a reader-writer lock for writing.
    WriteLock(u32),
    /// Gives a lock back.
    Unlock(u32),
    /// Ends a lock.
    Destroy(u32),
    /// Waits for a condition, an index into [`Code::conditions`], under a lock.
    Await(u32, u32),
    /// Wakes one who waits for a condition.
    Signal(u32),
    /// Wakes all who wait for a condition.
    Broadcast(u32),
    /// Waits for others: an index into [`Code::barriers`].
    Barrier(u32),
    /// Sends so many bytes to a channel.
    Send(u32, u64),
    /// Receives a message from a channel.
    Recv(u32),
    /// Makes a child with a fresh image.
    Spawn(String, Address),
    /// Replaces the image.
    Exec(String, Address),
    /// Ends the process.
    Exit(i32),
    /// The end of a program: that of a thread, and of its process if it is the first.
    Finish,
    /// Waits for one child; is repeated until there is none if `all`.
    Wait {
        /// Whether all are waited for.
        all: bool,
    },
    /// Ends the youngest child that lives.
    Kill,
    /// Begins a loop: goes to `end` if `times` is 0.
    Loop {
        /// How often.
        times: u64,
        /// What follows the loop.
        end: Address,
    },
    /// Ends a round of a loop: goes to its first instruction or on.
    Next {
        /// Its first instruction.
        start: Address,
    },
    /// Goes on elsewhere.
    Jump(Address),
    /// Goes to one of several places, drawn by weight.
    Choose(Vec<(u32, Address)>),
    /// Accesses a shared variable: an index into [`Code::shares`].
    Share(u32),
    /// Notes the time: an index into [`Code::measures`].
    Begin(u32),
    /// Notes how long it is since then.
    End(u32),
    /// Has until a time from now on for what follows.
    BeginDeadline(Picos),
    /// Has as long as before.
    EndDeadline,
    /// Begins a request of a load, an index into [`Code::loads`]: goes to `end` if its deadline has passed.
    Expire {
        /// The load.
        load: u32,
        /// The end of its task.
        end: Address,
    },
}

/// How a child is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChildKind {
    /// With a copy of the address space.
    Fork,
    /// In the same one, the parent waits.
    Vfork,
    /// In the same one.
    CloneVm,
}

/// A thread to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThreadCode {
    /// Where it begins; with the next instruction if absent.
    pub entry: Option<Address>,
    /// An index into [`Code::names`].
    pub name: Option<u32>,
    /// Who it is to the scheduler.
    pub attributes: Attributes,
    /// Of a task: bytes of stack that it uses.
    pub stack: u64,
}

/// A load, and where it was written.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadCode {
    /// What results call it.
    pub name: String,
    /// When requests arrive.
    pub load: Load,
    /// How long an answer is of use.
    pub deadline: Option<Picos>,
    /// Its path, for errors.
    pub path: String,
}

/// A call to a dependency. Whether there is one, and what the policy says, is the engine's to check: services know programs,
/// not the other way round.
#[derive(Clone, Debug, PartialEq)]
pub struct CallCode {
    /// The name of the dependency.
    pub to: String,
    /// What is done about slow and failed calls.
    pub policy: Option<Value>,
    /// Its path, for errors.
    pub path: String,
}

/// What a scheduler is told of a thread; what is absent is as it is of who makes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// From -20 to 19.
    pub nice: Option<i8>,
    /// Its tickets in a lottery.
    pub tickets: Option<u32>,
    /// How urgent it is.
    pub priority: Option<u32>,
    /// A bit for each cpu that it may run on.
    pub affinity: Option<u64>,
}

/// What mmap is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mmap {
    /// The region's name.
    pub region: String,
    /// Bytes.
    pub size: u64,
    /// log2 of the frames of its pages.
    pub page_order: u32,
    /// What accesses pass.
    pub permissions: Permissions,
    /// Whether children see writes.
    pub is_shared: bool,
    /// Where.
    pub address: Option<u64>,
}

/// A part of a region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// The region's name.
    pub region: String,
    /// Where it begins, in bytes.
    pub offset: u64,
    /// Bytes; the rest if absent.
    pub size: Option<u64>,
}

/// Accesses.
#[derive(Clone, Debug, PartialEq)]
pub struct TouchCode {
    /// Where.
    pub range: Range,
    /// What is done.
    pub access: Access,
    /// Bytes of a unit.
    pub unit: u64,
    /// How many; as many as there are units if absent.
    pub count: Option<u64>,
    /// In which order.
    pub pattern: Pattern,
    /// Whether each waits for the one before.
    pub is_dependent: bool,
}

/// All programs of a scenario.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Code {
    /// The instructions.
    pub instructions: Vec<Instruction>,
    /// What [`Time::Drawn`] refers to.
    pub samplers: Vec<Sampler>,
    /// What `Touch` refers to.
    pub touches: Vec<TouchCode>,
    /// By touch: the first one that goes through its units in the same order, whatever it does to them.
    pub orders: Vec<Address>,
    /// What `Accept` and `Complete` refer to.
    pub loads: Vec<LoadCode>,
    /// What `Call` refers to.
    pub calls: Vec<CallCode>,
    /// What `Thread` refers to.
    pub threads: Vec<ThreadCode>,
    /// Names of what is measured, in order of first mention.
    pub measures: Vec<String>,
    /// Names of threads.
    pub names: Vec<String>,
    /// Names of semaphores.
    pub semaphores: Vec<String>,
    /// Locks in order of first mention.
    pub locks: Vec<LockUse>,
    /// Names of conditions.
    pub conditions: Vec<String>,
    /// Names of barriers, and how many each waits for.
    pub barriers: Vec<(String, u32)>,
    /// Names of channels.
    pub channels: Vec<String>,
    /// Shared variables.
    pub variables: Vec<Variable>,
    /// Names of their lines.
    pub lines: Vec<String>,
    /// What `Share` refers to.
    pub shares: Vec<ShareCode>,
}
