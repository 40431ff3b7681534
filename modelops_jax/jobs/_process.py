"""Which process owns a job, and whether that process still lives.

A pid alone proves nothing: pids are reused, every container counts its own, and a reboot starts
over. So an owner is host, boot (with the pid namespace), pid and the process's start time. Where
the system does not tell these (no Linux /proc), the answer is "unknown" and the job's heartbeat
decides instead.
"""

import os
import socket
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")


@dataclass(frozen=True)
class ProcessIdentity:
    """One process, told apart from every other one that ever had its pid.

    Attributes:
        host: the machine's network name.
        boot: the kernel's boot id and the pid namespace; None where the system has neither.
        pid: the process id.
        started: start time in clock ticks since that boot; None where it cannot be read.
    """

    host: str
    boot: str | None
    pid: int
    started: str | None


def current_process() -> ProcessIdentity:
    """This process. Read anew at every call, since a fork changes the answer."""
    pid = os.getpid()
    return ProcessIdentity(socket.gethostname(), _boot(), pid, _start_time(pid))


def is_alive(owner: ProcessIdentity) -> bool | None:
    """Tell whether a process still runs.

    Args:
        owner: the process, as `current_process` described it while it ran.

    Returns:
        True or False where this machine can tell; None for a process of another host, boot or
        container, and on a system without /proc.

    Example:
        >>> is_alive(ProcessIdentity("elsewhere", "another boot", 1, "7")) is None
        True
    """
    if owner.boot is None or owner.started is None:
        return None
    if (owner.host, owner.boot) != (socket.gethostname(), _boot()):
        return None
    return _start_time(owner.pid) == owner.started


def _boot() -> str | None:
    try:
        boot_id = (_PROC / "sys/kernel/random/boot_id").read_text("ascii").strip()
        return f"{boot_id} {(_PROC / 'self/ns/pid').readlink()}"
    except FileNotFoundError:
        return None


def _start_time(pid: int) -> str | None:
    """Clock ticks from boot to the start of a process; None when it is gone."""
    try:
        stat = (_PROC / str(pid) / "stat").read_text("utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The second field is the program's name in parentheses and may itself hold ") ".
    fields = stat.rpartition(")")[2].split()
    state, started = fields[0], fields[19]
    # A killed process whose parent has not yet asked for its exit code is a zombie: it is dead.
    return None if state in "ZX" else started
