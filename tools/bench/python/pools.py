"""W6 and an idle pool of W9: the pools of python, its own two and those that peers.sh installs.

A request is `metric@family`, the metric as the bench has it.
"""

import collections
import concurrent.futures
import multiprocessing
import os
import time

from processes import cpu_time, proportional_share, tree

WORKERS = 2
WINDOW = 8


def square(x):
    return x * x


def same(value):
    return value


def use_cpu(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def burn(x):
    use_cpu(0.01)
    return x * x


def uneven(x):
    use_cpu(0.005 if x % 100 == 99 else 0.00005)
    return x * x


class Pool:
    """multiprocessing.Pool: in default chunks it cuts as all others are told to."""

    def __init__(self, workers):
        self.pool = multiprocessing.Pool(workers)

    def map(self, function, items, chunk):
        return self.pool.map(function, items, chunk)

    def apply(self, function, x):
        return self.pool.apply(function, (x,))

    def consumed(self, function, items):
        return self.pool.imap(function, items)

    def close(self):
        self.pool.terminate()
        self.pool.join()


class Executor:
    """concurrent.futures, and loky, which has the same face."""

    def __init__(self, workers):
        self.pool = self.made(workers)

    def made(self, workers):
        return concurrent.futures.ProcessPoolExecutor(workers)

    def map(self, function, items, chunk):
        return list(self.pool.map(function, items, chunksize=chunk or cut(len(items))))

    def apply(self, function, x):
        return self.pool.submit(function, x).result()

    def consumed(self, function, items):
        under_way = collections.deque()
        for item in items:
            under_way.append(self.pool.submit(function, item))
            if len(under_way) >= WINDOW:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()

    def close(self):
        self.pool.shutdown()


class Loky(Executor):
    def made(self, workers):
        import loky

        return loky.ProcessPoolExecutor(workers)


class Mpire:
    def __init__(self, workers):
        import mpire

        self.pool = mpire.WorkerPool(workers, keep_alive=True)

    def map(self, function, items, chunk):
        return self.pool.map(function, items, chunk_size=chunk or cut(len(items)))

    def apply(self, function, x):
        return self.pool.apply(function, (x,))

    def consumed(self, function, items):
        return self.pool.imap(function, items, chunk_size=1)

    def close(self):
        self.pool.terminate()


def cut(count):
    return max(1, -(-count // (4 * WORKERS)))


FAMILIES = {"CPython": Pool, "PPE": Executor, "mpire": Mpire, "loky": Loky}
MADE = {}


def made(family, place=None):
    """One for all figures, made when it is first asked for; its workers keep the CPUs of its maker."""
    if (family, place) not in MADE:
        workers = FAMILIES[family](WORKERS)
        assert workers.map(square, range(8), 1)[-1] == 49
        MADE[family, place] = workers
    return MADE[family, place]


def timed(pool, function, count, chunk):
    began = time.perf_counter()
    values = pool.map(function, range(count), chunk)
    took = time.perf_counter() - began
    assert len(values) == count and values[-1] == square(count - 1)
    return took


def apply(family, place, count):
    everywhere = sorted(os.sched_getaffinity(0))
    places = {"two": (1, 0), "one": (0, 0)}
    if place and len(everywhere) < 2:
        raise ImportError("only one CPU may be used")
    try:
        if place:
            os.sched_setaffinity(0, {everywhere[places[place][0]]})
        pool, times = made(family, place), []
        if place:
            os.sched_setaffinity(0, {everywhere[places[place][1]]})
        for x in range(count):
            began = time.perf_counter()
            assert pool.apply(square, x) == x * x
            times.append(time.perf_counter() - began)
    finally:
        os.sched_setaffinity(0, everywhere)
    return sorted(times)[count // 2] * 1e6


def mebibytes(pool, kept, count):
    """Gigabytes a second, in and out together."""
    value = b"\7" * (1 << 20)
    began = time.perf_counter()
    if kept:
        results = pool.map(same, [value for _ in range(count)], 1)
    else:
        results = pool.consumed(same, (value for _ in range(count)))
    for result in results:
        assert len(result) == 1 << 20
    return count * 2 * (1 << 20) / (time.perf_counter() - began) / 1e9


def cpu(pool, count):
    before = cpu_time(tree())
    timed(pool, square, count, 1)
    return (cpu_time(tree()) - before) / count * 1e6


def with_four(family, work):
    pool = FAMILIES[family](4)
    assert pool.map(square, range(100), None)[-1] == square(99)
    figure = work()
    pool.close()
    return figure


def create(family):
    began = time.perf_counter()
    return with_four(family, lambda: (time.perf_counter() - began) * 1e3)


def idle(family):
    before = proportional_share(tree())
    return with_four(family, lambda: proportional_share(tree()) - before)


def figure(request, count):
    metric, family = request.split("@")
    if metric.startswith("W6.apply"):
        return apply(family, metric[len("W6.apply.") :] or None, count)
    if metric == "W6.create":
        return create(family)
    if metric == "W9.idle4":
        return idle(family)
    pool = made(family)
    if metric == "W6.chunk1":
        return count / timed(pool, square, count, 1)
    if metric == "W6.default":
        return count / timed(pool, square, count, None)
    if metric.startswith("W6.1MiB"):
        return mebibytes(pool, metric.endswith(".kept"), count)
    if metric == "W6.cpu":
        return cpu(pool, count)
    if metric == "W6.speedup":
        return count * 0.01 / timed(pool, burn, count, 1)
    if metric == "W6.uneven":
        return timed(pool, uneven, count, None)
    raise ValueError(request)
