"""Statistics apart: what the references of one thread, instruction address or region add up to."""

from typing import Any


def group(key: str, records: list[dict[str, Any]], levels: int) -> dict[str, Any]:
    """The statistics of the references of one thread, instruction address or region."""
    return {
        "key": key,
        "references": len(records),
        "reads": sum(each["kind"] == "read" for each in records),
        "writes": sum(each["kind"] == "write" for each in records),
        "fetches": sum(each["kind"] == "fetch" for each in records),
        "page_walks": sum(each["is_walk"] for each in records),
        "misses": [sum(each["misses"].count(level) for each in records) for level in range(levels)],
        "latency_cycles": sum(each["latency"] for each in records),
    }


def groups(records: list[dict[str, Any]], options: dict[str, Any], levels: int) -> dict[str, list[dict[str, Any]]]:
    def grouped(field: str, value: Any, key: str) -> dict[str, Any]:
        return group(key, [each for each in records if each[field] == value], levels)

    threads = sorted({each["thread"] for each in records}) if options["by_thread"] else []
    names = [region["name"] for region in options["regions"]]
    ips = sorted({each["ip"] for each in records}) if options["by_ip"] else []
    by_ip = [grouped("ip", ip, f"{ip:#x}") for ip in ips]
    return {
        "threads": [grouped("thread", thread, str(thread)) for thread in threads],
        "regions": [grouped("region", name, name) for name in [*names, "other"]] if names else [],
        "ips": sorted(by_ip, key=lambda each: -each["latency_cycles"])[: options["by_ip"]],
    }
