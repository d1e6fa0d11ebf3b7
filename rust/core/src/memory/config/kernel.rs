//! What the kernel of a machine does and what its single events cost. All times are in nanoseconds.
//!
//! The defaults are those of Linux 6.x on a server core of the 2020s, rounded; presets carry measured ones.

use super::Size;
use crate::base::Picos;
use serde::{Deserialize, Serialize};

/// The kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KernelConfig {
    /// A system call that does nothing.
    pub syscall_ns: Picos,
    /// A change of regions (mmap, munmap, mprotect, brk, madvise), without what it does to entries.
    pub map_ns: Picos,
    /// A region that mprotect cuts off or joins again.
    pub region_ns: Picos,
    /// One page-table entry that mprotect changes.
    pub pte_change_ns: Picos,
    /// A signal: sent and delivered.
    pub signal_ns: Picos,
    /// Processes that may exist at a time, zombies included.
    pub processes_max: u32,
    /// Threads that may exist at a time, first ones of processes included.
    pub threads_max: u32,
    /// Levels of page tables, 4 or 5.
    pub page_table_levels: u32,
    /// The most that a stack grows to.
    pub stack_limit: Size,
    /// Swap space; 0 for none.
    pub swap_size: Size,
    /// Context switches.
    pub switch: SwitchCosts,
    /// The timer.
    pub timer: TimerConfig,
    /// Waiting for one another.
    pub sync: SyncCosts,
    /// What the kernel's own data takes of caches.
    pub footprint: FootprintConfig,
    /// Faults.
    pub fault: FaultCosts,
    /// New processes.
    pub fork: ForkCosts,
    /// Ends of processes and mappings.
    pub teardown: TeardownCosts,
    /// Invalidation of translations.
    pub shootdown: ShootdownCosts,
}

/// What a context switch costs, step by step: an interrupt or a system call brings the cpu into the kernel; then it saves,
/// picks, restores and returns. Caches are warm: what they miss comes on top.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SwitchCosts {
    /// Putting the registers of the one that leaves away.
    pub save_ns: Picos,
    /// Choosing who runs.
    pub pick_ns: Picos,
    /// Stack and registers of the one that comes.
    pub restore_ns: Picos,
    /// Back to the program.
    pub return_ns: Picos,
    /// Another address space: loading its root.
    pub space_ns: Picos,
    /// An address space without an identifier that TLBs know: dropping translations.
    pub flush_ns: Picos,
    /// Address spaces that the TLBs of a cpu tell apart, given out in turn; 0 if every change drops all translations.
    pub asids: u32,
    /// Beginning to wait: off the run queue.
    pub block_ns: Picos,
    /// Waking another: onto a run queue.
    pub wake_ns: Picos,
    /// What waking costs more where the queue had really let go of the one that waits: EEVDF keeps who slept while it was
    /// ahead.
    pub dequeue_ns: Picos,
    /// From waking a thread on another cpu, which idles, until that one begins.
    pub wake_remote_ns: Picos,
    /// What the waker spends on the interrupt for that, while it is under way.
    pub wake_interrupt_ns: Picos,
}

/// The timer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TimerConfig {
    /// Its period; 0 if there is none. Idle cpus take no ticks.
    pub tick_ns: Picos,
    /// What a tick takes of who runs.
    pub interrupt_ns: Picos,
}

/// Waiting for one another: system calls without blocking and waking, and what user space does by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SyncCosts {
    /// `futex(FUTEX_WAKE)` that finds nobody.
    pub futex_wake_ns: Picos,
    /// `futex(FUTEX_WAIT)` that need not wait.
    pub futex_wait_ns: Picos,
    /// A write to a pipe that has room.
    pub pipe_write_ns: Picos,
    /// A read from a pipe that has something.
    pub pipe_read_ns: Picos,
    /// Taking a free mutex and giving it back, whose line the cpu has.
    pub mutex_ns: Picos,
    /// The same in a process of one thread, which needs no atomic operations.
    pub mutex_alone_ns: Picos,
    /// Taking a free spin lock and giving it back, whose line the cpu has.
    pub spin_ns: Picos,
    /// What a cpu waits between two looks at a lock.
    pub pause_ns: Picos,
}

/// Data of the kernel that its paths go through.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FootprintConfig {
    /// Of a cpu: run queue, timers, counters. At each switch and tick.
    pub cpu: Size,
    /// Of a thread: control block and kernel stack. When it is switched to.
    pub thread: Size,
    /// Of an address space, when it is switched to.
    pub space: Size,
    /// Of a thread, at each system call that waits, wakes or yields.
    pub syscall: Size,
    /// How many of its misses the kernel has under way at a time.
    pub mlp: u32,
}

/// What faults cost, from the access to its return.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FaultCosts {
    /// A fault that maps the zero page.
    pub bare_ns: Picos,
    /// A fault that maps a page of an object which is there already: of the page cache, of shared memory.
    pub file_ns: Picos,
    /// A fresh zeroed page, next to the page that faulted last.
    pub fresh_page_ns: Picos,
    /// A fresh zeroed page elsewhere.
    pub fresh_page_random_ns: Picos,
    /// A copy, next to the page that faulted last.
    pub copy_ns: Picos,
    /// A copy elsewhere.
    pub copy_random_ns: Picos,
    /// A page that becomes writable in place.
    pub reuse_ns: Picos,
    /// The first write to a shared huge page: it is split and 4 KiB are copied.
    pub huge_split_ns: Picos,
    /// A page that comes back from swap.
    pub swap_in_ns: Picos,
    /// A page that has to go to swap first.
    pub swap_out_ns: Picos,
}

/// What new processes cost their parent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ForkCosts {
    /// fork of a small process.
    pub base_ns: Picos,
    /// An entry that was not written since the last fork.
    pub pte_clean_ns: Picos,
    /// An entry that was.
    pub pte_dirtied_ns: Picos,
    /// An entry that was, and whose frame is not beside the one before.
    pub pte_scattered_ns: Picos,
    /// A huge entry that was not written since the last fork.
    pub huge_clean_ns: Picos,
    /// A huge entry that was.
    pub huge_dirtied_ns: Picos,
    /// A table that on-demand fork shares.
    pub table_shared_ns: Picos,
    /// What the first fork of a process costs beside that.
    pub first_ns: Picos,
    /// What a fork costs more when another program has run since the last one: the kernel's data left the caches.
    pub after_exec_ns: Picos,
    /// vfork, the end of the child included.
    pub vfork_ns: Picos,
    /// clone with a shared address space.
    pub clone_vm_ns: Picos,
    /// pthread_create.
    pub thread_ns: Picos,
    /// posix_spawn.
    pub spawn_ns: Picos,
    /// exec, until the new program's first instruction.
    pub exec_ns: Picos,
}

/// What it costs to give memory back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TeardownCosts {
    /// The end of a small process until its parent has waited for it. Who leaves its address space to others ends for
    /// an empty system call.
    pub exit_ns: Picos,
    /// An entry of a page that others keep.
    pub pte_shared_ns: Picos,
    /// An entry whose page is freed.
    pub page_private_ns: Picos,
    /// A huge entry of a page that others keep.
    pub huge_shared_ns: Picos,
    /// A huge entry whose page is freed.
    pub huge_private_ns: Picos,
}

/// What it costs to make TLBs forget.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ShootdownCosts {
    /// One page.
    pub invlpg_ns: Picos,
    /// All pages.
    pub flush_ns: Picos,
    /// From how many pages on all of them are flushed.
    pub flush_ceiling_pages: u32,
    /// Another cpu that has to do the same: what the sender waits.
    pub ipi_ns: Picos,
    /// What the other cpu loses.
    pub ipi_receive_ns: Picos,
}

const fn ns(nanos: u64) -> Picos {
    Picos::from_nanos(nanos)
}

impl Default for KernelConfig {
    fn default() -> Self {
        Self {
            syscall_ns: ns(90),
            map_ns: ns(700),
            region_ns: ns(200),
            pte_change_ns: ns(20),
            signal_ns: ns(250),
            processes_max: 32_768,
            threads_max: 1 << 22,
            page_table_levels: 4,
            stack_limit: Size::from_bytes(8 << 20),
            swap_size: Size::from_bytes(0),
            switch: SwitchCosts::default(),
            timer: TimerConfig::default(),
            sync: SyncCosts::default(),
            footprint: FootprintConfig::default(),
            fault: FaultCosts::default(),
            fork: ForkCosts::default(),
            teardown: TeardownCosts::default(),
            shootdown: ShootdownCosts::default(),
        }
    }
}

impl Default for SwitchCosts {
    fn default() -> Self {
        Self {
            save_ns: ns(100),
            pick_ns: ns(85),
            restore_ns: ns(200),
            return_ns: ns(40),
            space_ns: ns(120),
            flush_ns: ns(250),
            asids: 6,
            block_ns: ns(40),
            wake_ns: ns(110),
            dequeue_ns: ns(400),
            wake_remote_ns: ns(3000),
            wake_interrupt_ns: ns(0),
        }
    }
}

impl Default for TimerConfig {
    fn default() -> Self {
        Self { tick_ns: ns(4_000_000), interrupt_ns: ns(2500) }
    }
}

impl Default for SyncCosts {
    fn default() -> Self {
        Self {
            futex_wake_ns: ns(105),
            futex_wait_ns: ns(150),
            pipe_write_ns: ns(180),
            pipe_read_ns: ns(180),
            mutex_ns: ns(14),
            mutex_alone_ns: ns(3),
            spin_ns: ns(9),
            pause_ns: ns(40),
        }
    }
}

impl Default for FootprintConfig {
    fn default() -> Self {
        Self {
            cpu: Size::from_bytes(4 << 10),
            thread: Size::from_bytes(8 << 10),
            space: Size::from_bytes(1 << 10),
            syscall: Size::from_bytes(1 << 10),
            mlp: 4,
        }
    }
}

impl Default for FaultCosts {
    fn default() -> Self {
        Self {
            bare_ns: ns(450),
            file_ns: ns(650),
            fresh_page_ns: ns(900),
            fresh_page_random_ns: ns(1000),
            copy_ns: ns(1800),
            copy_random_ns: ns(2100),
            reuse_ns: ns(500),
            huge_split_ns: ns(6000),
            swap_in_ns: ns(80_000),
            swap_out_ns: ns(20_000),
        }
    }
}

impl Default for ForkCosts {
    fn default() -> Self {
        Self {
            base_ns: ns(25_000),
            pte_clean_ns: Picos(23_500),
            pte_dirtied_ns: ns(47),
            pte_scattered_ns: ns(90),
            huge_clean_ns: ns(500),
            huge_dirtied_ns: ns(1000),
            table_shared_ns: ns(150),
            first_ns: ns(50_000),
            after_exec_ns: ns(10_000),
            vfork_ns: ns(8000),
            clone_vm_ns: ns(5000),
            thread_ns: ns(3500),
            spawn_ns: ns(45_000),
            exec_ns: ns(500_000),
        }
    }
}

impl Default for TeardownCosts {
    fn default() -> Self {
        Self {
            exit_ns: ns(37_000),
            pte_shared_ns: ns(30),
            page_private_ns: ns(85),
            huge_shared_ns: ns(250),
            huge_private_ns: ns(4500),
        }
    }
}

impl Default for ShootdownCosts {
    fn default() -> Self {
        Self {
            invlpg_ns: ns(230),
            flush_ns: ns(300),
            flush_ceiling_pages: 33,
            ipi_ns: ns(2500),
            ipi_receive_ns: ns(2000),
        }
    }
}
