"""W7: a dict of a manager, used by one process or several."""

import multiprocessing
import os
import time

EVERYWHERE = sorted(os.sched_getaffinity(0))


def use(shared, op, seconds, cpu, gate, answer):
    if cpu is not None:
        os.sched_setaffinity(0, {cpu})
    shared["k"]
    gate.wait()
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        if op == "get":
            shared["k"]
        else:
            shared["k"] = count
        count += 1
    answer.put(count / (time.perf_counter() - began))


def rate(metric, milliseconds):
    """Calls a second of all clients: the metric is `W7.op.clients` and perhaps `.two` or `.one`."""
    _, op, clients, *place = metric.split(".")
    server = {(): None, ("two",): 1, ("one",): 0}[tuple(place)]
    if server is not None:
        os.sched_setaffinity(0, {EVERYWHERE[server]})
    try:
        with multiprocessing.Manager() as manager:
            os.sched_setaffinity(0, EVERYWHERE)
            shared = manager.dict(k=0)
            gate, answer = multiprocessing.Barrier(int(clients)), multiprocessing.SimpleQueue()
            cpu = None if server is None else EVERYWHERE[0]
            arguments = (shared, op, milliseconds / 1000, cpu, gate, answer)
            processes = [multiprocessing.Process(target=use, args=arguments) for _ in range(int(clients))]
            for process in processes:
                process.start()
            total = sum(answer.get() for _ in processes)
            for process in processes:
                process.join()
            return total
    finally:
        os.sched_setaffinity(0, EVERYWHERE)
