"""What the kernel says in /proc, read into numbers. Pure."""

from __future__ import annotations

import msgspec

TICKS_PER_S = 100
"""USER_HZ: the unit of /proc's times on every Linux that people run (proc(5))."""


class Times(msgspec.Struct, frozen=True):
    """One process of /proc/PID/stat. `ticks`: its own user and system time, and that of the
    children it has waited for."""

    pid: int
    state: str
    session: int
    ticks: int


def times(stat: str) -> Times:
    """Read /proc/PID/stat (proc(5)). The name may hold blanks and brackets. Raises ValueError."""
    first, bracket, rest = stat.rpartition(")")
    fields = rest.split()
    if not bracket or len(fields) < 15:
        raise ValueError(f"not a line of /proc/PID/stat: {stat[:60]!r}")
    # After the name: state, ppid, pgrp, session, …; utime is field 14 of the whole line.
    return Times(
        pid=int(first.split(" ", 1)[0]),
        state=fields[0],
        session=int(fields[3]),
        ticks=sum(int(field) for field in fields[11:15]),
    )


class Core(msgspec.Struct, frozen=True):
    """One core of /proc/stat, in ticks since the machine started. `stolen`: by the host."""

    busy: int
    stolen: int


def cores(stat: str) -> dict[int, Core]:
    """Read the lines `cpuN` of /proc/stat (proc(5)): user, nice, system, idle, iowait, irq,
    softirq, steal; guests are in user already."""
    found: dict[int, Core] = {}
    for line in stat.splitlines():
        name, *fields = line.split()
        if name.startswith("cpu") and name[3:].isdecimal() and len(fields) >= 7:
            user, nice, system, _, _, irq, softirq = (int(field) for field in fields[:7])
            steal = int(fields[7]) if len(fields) > 7 else 0
            found[int(name[3:])] = Core(user + nice + system + irq + softirq, steal)
    return found


def resident_bytes(status: str) -> int:
    """Read VmRSS of /proc/PID/status; 0 where there is none (a process that has ended)."""
    for line in status.splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0
