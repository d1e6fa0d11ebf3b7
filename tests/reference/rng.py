"""Named random streams: SplitMix64 (Steele, Lea, Flood 2014) started from a seed, a name and an index."""

U64 = (1 << 64) - 1


def mix(value: int) -> int:
    """The output function of SplitMix64, without the increment."""
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & U64
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & U64
    return value ^ (value >> 31)


def fnv1a64(name: str) -> int:
    """FNV-1a over the UTF-8 bytes of `name`."""
    digest = 0xCBF29CE484222325
    for byte in name.encode():
        digest = ((digest ^ byte) * 0x100000001B3) & U64
    return digest


class Stream:
    """The stream of one consumer: a new consumer never shifts an old one."""

    def __init__(self, seed: int, name: str, index: int) -> None:
        self.state = mix((mix(seed ^ fnv1a64(name)) + index) & U64)

    def next_u64(self) -> int:
        self.state = (self.state + 0x9E3779B97F4A7C15) & U64
        return mix(self.state)
