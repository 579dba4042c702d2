"""CPython's connections in W10 and W11."""

import multiprocessing
import multiprocessing.connection
import os
import resource
import signal
import statistics
import sys
import time


def on_cpu(number):
    """Runs on one only of those that it may use."""
    os.sched_setaffinity(0, [sorted(os.sched_getaffinity(0))[number]])


# A number, another one, and a name.
RECORDS = [(2**64 - 1 - number, float(number), f"record {number:09}") for number in range(32)]


def send_all(connection, size, count):
    on_cpu(0)
    for _ in range(count):
        connection.send(b"\7" * size if size else RECORDS)


def receive_all(connection, answer, length, count):
    on_cpu(1)
    connection.recv()
    began = time.perf_counter()
    for _ in range(count - 1):
        assert len(connection.recv()) == length
    answer.send((count - 1) / (time.perf_counter() - began))


def rate(size, count):
    """Objects a second, one way, as the receiver sees it from the first on; both have a CPU. Bytes, or the records."""
    receiver, sender = multiprocessing.Pipe(False)
    answer, theirs = multiprocessing.Pipe(False)
    length = size or len(RECORDS)
    parts = [(send_all, (sender, size, count)), (receive_all, (receiver, theirs, length, count))]
    return asked(parts, answer)


def give_back(there, back, count):
    on_cpu(1)
    for _ in range(count):
        back.send(there.recv())


def object_and_back(answer, there, back, size, count):
    on_cpu(0)
    took = []
    for _ in range(count):
        began = time.perf_counter()
        there.send(b"\7" * size)
        assert len(back.recv()) == size
        took.append(time.perf_counter() - began)
    answer.send(statistics.median(took) * 1e6)


def round_trip(size, count):
    """Microseconds of an object there and back, each side on a CPU of its own."""
    there, back, answer = [multiprocessing.Pipe(False) for _ in range(3)]
    parts = [
        (give_back, (there[0], back[1], count)),
        (object_and_back, (answer[1], there[1], back[0], size, count)),
    ]
    return asked(parts, answer[0])


def asked(parts, answer):
    """What one of the processes that play the parts answers."""
    processes = [multiprocessing.Process(target=part, args=arguments) for part, arguments in parts]
    for process in processes:
        process.start()
    answered = answer.recv()
    for process in processes:
        process.join()
    return answered


def echo(connection, count):
    on_cpu(0)
    for _ in range(count):
        connection.send_bytes(connection.recv_bytes())


BATCH = 1_000
OTHERS = 400


def idle_connections(count):
    """So many connections on which nothing comes; forked children have the other ends, some of them each."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if count > most - BATCH - OTHERS:
        count = most - BATCH - OTHERS
        print(f"CPython: only {count + 1} connections: no more files may be open", file=sys.stderr)
    context, ours = multiprocessing.get_context("fork"), []
    while len(ours) < count:
        pairs = [multiprocessing.Pipe() for _ in range(min(BATCH, count - len(ours)))]
        # They go with this process.
        context.Process(target=signal.pause, daemon=True).start()
        for here, there in pairs:
            ours.append(here)
            there.close()
    return ours


def measure_wait(answer, connection, connections, count):
    on_cpu(0)
    waited_for = idle_connections(connections - 1) + [connection]
    took = []
    for _ in range(count):
        began = time.perf_counter()
        connection.send_bytes(b"\7" * 64)
        ready = multiprocessing.connection.wait(waited_for)
        connection.recv_bytes()
        took.append(time.perf_counter() - began)
        assert ready == [connection]
    answer.send(statistics.median(took) * 1e6)


def wait_among(connections, count):
    """Microseconds of a round trip whose answer is waited for among so many connections; all on one CPU."""
    (here, there), (answer, theirs) = multiprocessing.Pipe(), multiprocessing.Pipe(False)
    parts = [(echo, (there, count)), (measure_wait, (theirs, here, connections, count))]
    return asked(parts, answer)
