"""CPython's side of the bench: a request a line, a figure a line."""

import multiprocessing
import os
import sys
import time

import connections
import managers
import pools
from processes import cpu_time, proportional_share


def produce(queue, gate, size, count):
    gate.wait()
    for _ in range(count):
        queue.put(b"\7" * size)


def queue_rate(queue, size, count):
    """Messages a second from another process; both sides are there before the clock starts."""
    gate = multiprocessing.Barrier(2)
    process = multiprocessing.Process(target=produce, args=(queue, gate, size, count))
    process.start()
    gate.wait()
    began = time.perf_counter()
    for _ in range(count):
        queue.get()
    took = time.perf_counter() - began
    process.join()
    return count / took


def put_many(queue, count):
    for _ in range(count):
        queue.put(b"\7" * 64)


def get_many(queue, count):
    for _ in range(count):
        queue.get()


def crowded_queue_rate(workers, count):
    """So many processes put, and as many get."""
    queue, each = multiprocessing.Queue(), count // workers
    parts = [(part, (queue, each)) for part in [put_many, get_many] for _ in range(workers)]
    return each * workers / crowd(parts)


SIZES = {"16B": 16, "64B": 64, "1KiB": 1 << 10, "64KiB": 64 << 10, "1MiB": 1 << 20}


def produce_fast(queue, gate, size, batch, count):
    gate.wait()
    for _ in range(count // batch):
        if batch == 1:
            queue.put(b"\7" * size)
        else:
            queue.put_many([b"\7" * size for _ in range(batch)])


def fast_queue_rate(size, batch, count):
    """As queue_rate, by faster-fifo's queue: raw bytes, nothing pickled; a batch at once, if it is more than one."""
    import faster_fifo

    buffer = max(1_000_000, 16 * size)
    queue = faster_fifo.Queue(max_size_bytes=buffer, loads=itself, dumps=itself)
    gate = multiprocessing.Barrier(2)
    process = multiprocessing.Process(target=produce_fast, args=(queue, gate, size, batch, count))
    process.start()
    gate.wait()
    began = time.perf_counter()
    left = count // batch * batch
    while left > 0:
        if batch == 1:
            queue.get()
            left -= 1
        else:
            left -= len(queue.get_many(max_messages_to_get=batch))
    took = time.perf_counter() - began
    process.join()
    return count // batch * batch / took


def itself(message):
    return message


def uncontended(lock, count):
    began = time.perf_counter()
    for _ in range(count):
        lock.acquire()
        lock.release()
    return (time.perf_counter() - began) / count * 1e9


def enter(gate, part, arguments):
    gate.wait()
    part(*arguments)


def crowd(parts):
    """Seconds that processes take, from when all are there until the last has ended; a part: function, arguments."""
    gate = multiprocessing.Barrier(len(parts) + 1)
    processes = [multiprocessing.Process(target=enter, args=(gate, *part)) for part in parts]
    for process in processes:
        process.start()
    gate.wait()
    began = time.perf_counter()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    return time.perf_counter() - began


def add_under(lock, number, count):
    for _ in range(count):
        with lock:
            number.value += 1


def add_to(number, count):
    for _ in range(count):
        with number.get_lock():
            number.value += 1


def additions(part, arguments, number, workers, count):
    times = count // workers
    took = crowd([(part, (*arguments, times))] * workers)
    assert number.value == times * workers
    return times * workers / took


def lock_contended(workers, count):
    lock, number = multiprocessing.Lock(), multiprocessing.RawValue("Q", 0)
    return additions(add_under, (lock, number), number, workers, count)


def locked_value(workers, count):
    number = multiprocessing.Value("Q", 0)
    return additions(add_to, (number,), number, workers, count)


class Event:
    """A flag that one waits for and takes down."""

    def __init__(self):
        self.event = multiprocessing.Event()

    def lift(self):
        self.event.set()

    def await_and_lower(self):
        self.event.wait()
        self.event.clear()


class Condition:
    """The same by a condition and a number."""

    def __init__(self):
        self.condition, self.number = multiprocessing.Condition(), multiprocessing.RawValue("I", 0)

    def lift(self):
        with self.condition:
            self.number.value = 1
            self.condition.notify()

    def await_and_lower(self):
        with self.condition:
            while self.number.value != 1:
                self.condition.wait()
            self.number.value = 0


def side(first, mine, other, one_cpu, count):
    if one_cpu:
        connections.on_cpu(0)
    for _ in range(count):
        if first:
            other.lift()
        mine.await_and_lower()
        if not first:
            other.lift()


def round_trip(flag, one_cpu, count):
    one, two = flag(), flag()
    sides = [(True, one, two, one_cpu, count), (False, two, one, one_cpu, count)]
    return crowd([(side, arguments) for arguments in sides]) / count * 1e6


def meet(barrier, count):
    for _ in range(count):
        barrier.wait()


def barrier_rounds(parties, count):
    barrier = multiprocessing.Barrier(parties)
    return count / crowd([(meet, (barrier, count))] * parties)


def array_sum(count):
    elements = 1_000_000
    array = multiprocessing.RawArray("d", range(elements))
    began = time.perf_counter()
    for _ in range(count):
        sum(array)
    return count * elements * 8 / (time.perf_counter() - began) / 1e9


def hold(answer, size, count):
    queue = multiprocessing.Queue()
    queue.put(b"\7" * size)
    queue.get()
    before = proportional_share([os.getpid()])
    for _ in range(count):
        queue.put(b"\7" * size)
    answer.send(proportional_share([os.getpid()]) - before)
    assert queue.qsize() == count
    queue.cancel_join_thread()


def backlog(count):
    """MiB that a backlog of messages of 64 bytes takes."""
    answer, ours = multiprocessing.Pipe(False)
    process = multiprocessing.Process(target=hold, args=(ours, 64, count))
    process.start()
    ours.close()
    took = answer.recv()
    process.join()
    assert process.exitcode == 0
    return took


def wait_for_one(queue, there):
    there.release()
    queue.get()


def idle_share(waiters):
    """The share of a CPU, in percent, that a hundred idle getters of a queue take."""
    queue, there = multiprocessing.Queue(), multiprocessing.Semaphore(0)
    processes = [multiprocessing.Process(target=wait_for_one, args=(queue, there)) for _ in range(waiters)]
    for process in processes:
        process.start()
    for _ in processes:
        there.acquire()
    time.sleep(0.5)
    pids = [process.pid for process in processes]
    began, before = time.perf_counter(), cpu_time(pids)
    time.sleep(2)
    took, after = time.perf_counter() - began, cpu_time(pids)
    for _ in processes:
        queue.put(b"")
    for process in processes:
        process.join()
    return (after - before) / took * 100 * 100 / waiters


def echo(here, there):
    while True:
        message = here.get()
        if message is None:
            return
        there.put(message)


def round_trips(seconds):
    """A second, between two processes that run where they come."""
    here, there = multiprocessing.SimpleQueue(), multiprocessing.SimpleQueue()
    process = multiprocessing.Process(target=echo, args=(here, there))
    process.start()
    for _ in range(200):
        here.put(b"\7" * 64)
        there.get()
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        here.put(b"\7" * 64)
        there.get()
        count += 1
    here.put(None)
    process.join()
    return count / seconds


def hold_often(lock, number, seconds):
    began = time.perf_counter()
    while time.perf_counter() - began < seconds:
        with lock:
            end = time.perf_counter() + 50e-6
            while time.perf_counter() < end:
                pass
            number.value += 1


def holds(seconds):
    """A second, of two processes that want one lock all the time."""
    lock, number = multiprocessing.Lock(), multiprocessing.RawValue("Q", 0)
    crowd([(hold_often, (lock, number, seconds))] * 2)
    return number.value / seconds


def figure(metric, count):
    if "@" in metric:
        return pools.figure(metric, count)
    if metric.startswith("W3.busy"):
        return round_trips(count)
    if metric.startswith("W7."):
        return managers.rate(metric, count)
    if metric.startswith("W4.busy"):
        return holds(count)
    if metric.startswith("W10.wait."):
        return connections.wait_among(int(metric.split(".")[2]), count)
    if metric == "W11.1KiB":
        return connections.round_trip(1 << 10, count)
    if metric == "W11.1KiB.records":
        return connections.rate(None, count)
    if metric.startswith("W11."):
        return connections.rate(SIZES[metric.split(".")[1]], count)
    if metric == "W1.64B.many32.faster-fifo":
        return fast_queue_rate(64, 32, count)
    if metric.startswith("W1.") and metric.endswith(".faster-fifo"):
        return fast_queue_rate(SIZES[metric.split(".")[1]], 1, count)
    if metric.startswith("W1."):
        return queue_rate(multiprocessing.Queue(), SIZES[metric[3:]], count)
    if metric.startswith("W2."):
        return crowded_queue_rate(int(metric[-1]), count)
    if metric == "W3.idle_cpu":
        return idle_share(count)
    if metric == "W9.backlog":
        return backlog(count)
    if metric == "W4.lock.uncontended":
        return uncontended(multiprocessing.Lock(), count)
    if metric == "W4.semaphore":
        return uncontended(multiprocessing.Semaphore(1), count)
    if metric.startswith("W4.lock.contended"):
        return lock_contended(int(metric[-1]), count)
    if metric.startswith("W4.event"):
        return round_trip(Event, metric.endswith(".one"), count)
    if metric.startswith("W4.condition"):
        return round_trip(Condition, metric.endswith(".one"), count)
    if metric.startswith("W4.barrier"):
        return barrier_rounds(int(metric[-1]), count)
    if metric == "W8.locked4":
        return locked_value(4, count)
    if metric == "W8.sum":
        return array_sum(count)
    raise ValueError(metric)


def main():
    for line in sys.stdin:
        metric, count = line.split()
        try:
            answer = figure(metric, int(count))
        except ImportError as error:
            answer = f"{error}: see tools/bench/README.md"
        # One peer's failure is its row's alone: the others are asked after it.
        except Exception as error:
            answer = f"{type(error).__name__}: {error}".replace("\n", " ")
        print(answer, flush=True)


if __name__ == "__main__":
    main()
