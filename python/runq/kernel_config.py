"""What single events of a machine cost: the tables `[kernel]` and `[atomics]` of a machine file.

All times are in nanoseconds. The defaults are those of Linux 6.x on a server core of the 2020s, rounded; presets carry
measured ones.
"""

import msgspec

__all__ = [
    "AtomicsConfig",
    "FaultCosts",
    "FootprintConfig",
    "ForkCosts",
    "KernelConfig",
    "ShootdownCosts",
    "SwitchCosts",
    "SyncCosts",
    "TeardownCosts",
    "TimerConfig",
]


class AtomicsConfig(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What accesses to words that cpus share cost, beside lines that move: the table `[atomics]` of a machine file.

    Attributes:
        add_ns: an atomic read-modify-write in a loop, on a line that the cpu owns.
        compare_exchange_ns: a load and the compare-exchange behind it in a loop, on such a line.
        increment_ns: a plain increment in a loop, one instruction.
        forward_ns: a load of what the cpu stored just before.
        load_ns: a load in a loop, from a line that the cpu has.
        store_ns: a store in a loop, into the store buffer.
        commit_ns: how long a store stays in the buffer at least.
        hold_ns: how long a line stays at least where it came to.
        store_buffer: entries of the store buffer; stores to one line in a row share one.
        load_buffer: entries of the load buffer: loads that wait for a line together.
    """

    add_ns: float = 5
    compare_exchange_ns: float = 10
    increment_ns: float = 1.4
    forward_ns: float = 1.4
    load_ns: float = 0.3
    store_ns: float = 0.3
    commit_ns: float = 5
    hold_ns: float = 10
    store_buffer: int = 64
    load_buffer: int = 128


class SwitchCosts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a context switch costs, step by step, while caches are warm.

    Attributes:
        save_ns: putting the registers of the one that leaves away.
        pick_ns: choosing who runs.
        restore_ns: stack and registers of the one that comes.
        return_ns: back to the program.
        space_ns: another address space.
        flush_ns: an address space without an identifier that TLBs know.
        asids: address spaces that the TLBs of a cpu tell apart, given out in turn; with 0 every change drops all
            translations.
        block_ns: beginning to wait.
        wake_ns: waking another thread.
        dequeue_ns: what waking costs more where the run queue had really let go of the one that waits.
        wake_remote_ns: from waking a thread on another cpu, which idles, until it begins there.
        wake_interrupt_ns: what the waker spends on the interrupt for that, while it is under way.
    """

    save_ns: float = 100
    pick_ns: float = 85
    restore_ns: float = 200
    return_ns: float = 40
    space_ns: float = 120
    flush_ns: float = 250
    asids: int = 6
    block_ns: float = 40
    wake_ns: float = 110
    dequeue_ns: float = 400
    wake_remote_ns: float = 3_000
    wake_interrupt_ns: float = 0


class TimerConfig(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The timer: its period (0 for none) and what a tick takes of who runs. Idle cpus take no ticks."""

    tick_ns: float = 4_000_000
    interrupt_ns: float = 2_500


class SyncCosts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Waiting for one another: system calls without blocking and waking, and what user space does by itself.

    Attributes:
        futex_wake_ns: a call that finds nobody.
        futex_wait_ns: a call that need not wait.
        pipe_write_ns: a write to a pipe that has room.
        pipe_read_ns: a read from a pipe that has something.
        mutex_ns: taking a free mutex and giving it back, whose line the cpu has.
        mutex_alone_ns: the same in a process of one thread, which needs no atomic operations.
        spin_ns: taking a free spin lock and giving it back.
        pause_ns: what a cpu waits between two looks at a lock.
    """

    futex_wake_ns: float = 105
    futex_wait_ns: float = 150
    pipe_write_ns: float = 180
    pipe_read_ns: float = 180
    mutex_ns: float = 14
    mutex_alone_ns: float = 3
    spin_ns: float = 9
    pause_ns: float = 40


class FootprintConfig(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Data of the kernel that its paths go through.

    Attributes:
        cpu: of a cpu, at each switch and tick.
        thread: of a thread, when it is switched to.
        space: of an address space, when it is switched to.
        syscall: of a thread, at each system call that waits, wakes or yields.
        mlp: how many misses the kernel has under way at a time.
    """

    cpu: str | int = "4KiB"
    thread: str | int = "8KiB"
    space: str | int = "1KiB"
    syscall: str | int = "1KiB"
    mlp: int = 4


class FaultCosts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What faults cost, from the access to its return."""

    bare_ns: float = 450
    file_ns: float = 650
    fresh_page_ns: float = 900
    fresh_page_random_ns: float = 1_000
    copy_ns: float = 1_800
    copy_random_ns: float = 2_100
    reuse_ns: float = 500
    huge_split_ns: float = 6_000
    swap_in_ns: float = 80_000
    swap_out_ns: float = 20_000


class ForkCosts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What new processes cost their parent: a base, and so much an entry of the page tables by its state."""

    base_ns: float = 25_000
    pte_clean_ns: float = 23.5
    pte_dirtied_ns: float = 47
    pte_scattered_ns: float = 90
    huge_clean_ns: float = 500
    huge_dirtied_ns: float = 1_000
    table_shared_ns: float = 150
    first_ns: float = 50_000
    after_exec_ns: float = 10_000
    vfork_ns: float = 8_000
    clone_vm_ns: float = 5_000
    thread_ns: float = 3_500
    spawn_ns: float = 45_000
    exec_ns: float = 500_000


class TeardownCosts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What it costs to give memory back."""

    exit_ns: float = 37_000
    pte_shared_ns: float = 30
    page_private_ns: float = 85
    huge_shared_ns: float = 250
    huge_private_ns: float = 4_500


class ShootdownCosts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What it costs to make TLBs forget; above `flush_ceiling_pages` pages one flush of everything."""

    invlpg_ns: float = 230
    flush_ns: float = 300
    flush_ceiling_pages: int = 33
    ipi_ns: float = 2_500
    ipi_receive_ns: float = 2_000


class KernelConfig(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The kernel of a machine.

    >>> import runq
    >>> runq.machines.load("granite-rapids-vm").kernel.fork.pte_clean_ns
    23.5
    """

    syscall_ns: float = 90
    map_ns: float = 700
    region_ns: float = 200
    pte_change_ns: float = 20
    signal_ns: float = 250
    processes_max: int = 32_768
    threads_max: int = 4_194_304
    page_table_levels: int = 4
    stack_limit: str | int = "8MiB"
    swap_size: str | int = "0B"
    switch: SwitchCosts = SwitchCosts()
    timer: TimerConfig = TimerConfig()
    sync: SyncCosts = SyncCosts()
    footprint: FootprintConfig = FootprintConfig()
    fault: FaultCosts = FaultCosts()
    fork: ForkCosts = ForkCosts()
    teardown: TeardownCosts = TeardownCosts()
    shootdown: ShootdownCosts = ShootdownCosts()
