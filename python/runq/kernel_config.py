"""What a machine's kernel does and what its single events cost: the tables `[kernel]` of a machine file.

All times are in nanoseconds. What is None is the default of the simulator, which `Machine.check` fills in.
"""

import msgspec

__all__ = ["FaultCosts", "ForkCosts", "KernelConfig", "ShootdownCosts", "TeardownCosts"]


class FaultCosts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What faults cost, from the access to its return."""

    bare_ns: float | None = None
    file_ns: float | None = None
    fresh_page_ns: float | None = None
    fresh_page_random_ns: float | None = None
    copy_ns: float | None = None
    copy_random_ns: float | None = None
    reuse_ns: float | None = None
    huge_split_ns: float | None = None
    swap_in_ns: float | None = None
    swap_out_ns: float | None = None


class ForkCosts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What new processes cost their parent: a base, and so much an entry of the page tables by its state."""

    base_ns: float | None = None
    pte_clean_ns: float | None = None
    pte_dirtied_ns: float | None = None
    pte_scattered_ns: float | None = None
    huge_clean_ns: float | None = None
    huge_dirtied_ns: float | None = None
    table_shared_ns: float | None = None
    first_ns: float | None = None
    after_exec_ns: float | None = None
    vfork_ns: float | None = None
    clone_vm_ns: float | None = None
    thread_ns: float | None = None
    spawn_ns: float | None = None
    exec_ns: float | None = None


class TeardownCosts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What it costs to give memory back."""

    exit_ns: float | None = None
    pte_shared_ns: float | None = None
    page_private_ns: float | None = None
    huge_shared_ns: float | None = None
    huge_private_ns: float | None = None


class ShootdownCosts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What it costs to make TLBs forget; above `flush_ceiling_pages` pages one flush of everything."""

    invlpg_ns: float | None = None
    flush_ns: float | None = None
    flush_ceiling_pages: int | None = None
    ipi_ns: float | None = None
    ipi_receive_ns: float | None = None


class KernelConfig(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The kernel of a machine.

    >>> import runq
    >>> runq.machines.load("granite-rapids-vm").kernel.fork.pte_clean_ns
    23.5
    """

    syscall_ns: float | None = None
    map_ns: float | None = None
    region_ns: float | None = None
    pte_change_ns: float | None = None
    context_switch_ns: float | None = None
    time_slice_ns: float | None = None
    signal_ns: float | None = None
    processes_max: int | None = None
    page_table_levels: int | None = None
    stack_limit: str | int | None = None
    swap_size: str | int | None = None
    fault: FaultCosts = FaultCosts()
    fork: ForkCosts = ForkCosts()
    teardown: TeardownCosts = TeardownCosts()
    shootdown: ShootdownCosts = ShootdownCosts()
