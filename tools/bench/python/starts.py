"""CPython's side of W5: a request a line, a figure a line.

Children that are started anew read this file again: it is as short as a program can be."""

import multiprocessing
import sys
import time


def nothing():
    pass


def start_and_join(method, count):
    context = multiprocessing.get_context(method)
    began = time.perf_counter()
    for _ in range(count):
        process = context.Process(target=nothing)
        process.start()
        process.join()
    return count / (time.perf_counter() - began)


def fat_start_and_join(method, count):
    """The same, with a gibibyte touched."""
    fat = b"\1" * (1 << 30)
    try:
        return start_and_join(method, count)
    finally:
        del fat


def main():
    for line in sys.stdin:
        metric, count = line.split()
        _, method, parent = metric.split(".")
        once = fat_start_and_join if parent == "1GiB" else start_and_join
        print(once(method, int(count)), flush=True)


if __name__ == "__main__":
    main()
