"""CPython's side of the bench: a request a line, a figure a line."""

import multiprocessing
import sys
import time


def nothing():
    pass


def produce(queue, count):
    message = b"\7" * 64
    for _ in range(count):
        queue.put(message)


def queue_64_bytes(count):
    queue = multiprocessing.Queue()
    process = multiprocessing.Process(target=produce, args=(queue, count))
    began = time.perf_counter()
    process.start()
    for _ in range(count):
        queue.get()
    took = time.perf_counter() - began
    process.join()
    return count / took


def lock_uncontended(count):
    lock = multiprocessing.Lock()
    began = time.perf_counter()
    for _ in range(count):
        lock.acquire()
        lock.release()
    return (time.perf_counter() - began) / count * 1e9


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


def figure(metric, count):
    if metric == "W1.64B":
        return queue_64_bytes(count)
    if metric == "W4.lock.uncontended":
        return lock_uncontended(count)
    work, method, parent = metric.split(".")
    assert work == "W5"
    if parent == "1GiB":
        return fat_start_and_join(method, count)
    return start_and_join(method, count)


def main():
    for line in sys.stdin:
        metric, count = line.split()
        print(figure(metric, int(count)), flush=True)


if __name__ == "__main__":
    main()
