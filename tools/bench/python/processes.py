"""What processes take, as the kernel counts it: time of CPUs, and memory that is shared in proportion."""

import os


def tree():
    """This process and all that descend from it."""
    parents = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat") as stat:
                parents[int(name)] = int(stat.read().rpartition(")")[2].split()[1])
        except OSError:
            pass
    found = [os.getpid()]
    for above in found:
        found += [pid for pid, parent in parents.items() if parent == above]
    return found


def cpu_time(pids):
    """Seconds that they have had of the CPUs so far, all their threads."""
    nanoseconds = 0
    for pid in pids:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/schedstat") as stat:
                nanoseconds += int(stat.read().split()[0])
    return nanoseconds / 1e9


def proportional_share(pids):
    """Their memory in MiB, what they share counted in proportion."""
    kibibytes = 0
    for pid in pids:
        with open(f"/proc/{pid}/smaps_rollup") as rollup:
            kibibytes += next(int(line.split()[1]) for line in rollup if line.startswith("Pss:"))
    return kibibytes / 1024
