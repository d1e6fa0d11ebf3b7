"""What a machine's kernel does and what its single events cost: the tables `[kernel]` of a machine file.

All times are in nanoseconds. The defaults are those of Linux 6.x on a server core of the 2020s, rounded; presets carry
measured ones.
"""

import msgspec

__all__ = ["FaultCosts", "ForkCosts", "KernelConfig", "ShootdownCosts", "TeardownCosts"]


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
    context_switch_ns: float = 1_000
    time_slice_ns: float = 4_000_000
    signal_ns: float = 250
    processes_max: int = 32_768
    page_table_levels: int = 4
    stack_limit: str | int = "8MiB"
    swap_size: str | int = "0B"
    fault: FaultCosts = FaultCosts()
    fork: ForkCosts = ForkCosts()
    teardown: TeardownCosts = TeardownCosts()
    shootdown: ShootdownCosts = ShootdownCosts()
