"""W6 and an idle pool of W9: the pools of python, its own two and those that peers.sh installs.

A request is `metric@family`, the metric as the bench has it.
"""

import collections
import concurrent.futures
import contextlib
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

    def stream(self, function, items, ordered):
        return (self.pool.imap if ordered else self.pool.imap_unordered)(function, items)

    def submitted(self, function, items):
        futures = [self.pool.apply_async(function, (x,)) for x in items]
        return [future.get() for future in futures]

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

    def stream(self, function, items, ordered):
        if ordered:
            return self.pool.map(function, items)
        futures = [self.pool.submit(function, x) for x in items]
        return (future.result() for future in concurrent.futures.as_completed(futures))

    def submitted(self, function, items):
        futures = [self.pool.submit(function, x) for x in items]
        return [future.result() for future in futures]

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

    def stream(self, function, items, ordered):
        stream = self.pool.imap if ordered else self.pool.imap_unordered
        return stream(function, items, chunk_size=1)

    def submitted(self, function, items):
        futures = [self.pool.apply_async(function, (x,)) for x in items]
        return [future.get() for future in futures]

    def close(self):
        self.pool.terminate()


def cut(count):
    return max(1, -(-count // (4 * WORKERS)))


FAMILIES = {"CPython": Pool, "PPE": Executor, "mpire": Mpire, "loky": Loky}
MADE = {}


def made(family, place=None, apart=None):
    """One for all figures, made when it is first asked for; its workers keep the CPUs of its maker. Apart: one for such
    figures alone."""
    key = family, place, apart
    if key not in MADE:
        workers = FAMILIES[family](WORKERS)
        # Mpire's imap_unordered raises a TypeError in a pool that has done another call before.
        if not apart:
            assert workers.map(square, range(8), 1)[-1] == 49
        MADE[key] = workers
    return MADE[key]


def forget(family):
    """Its pools may be broken: the next figure makes them anew."""
    for key in [key for key in MADE if key[0] == family]:
        pool = MADE.pop(key)
        with contextlib.suppress(Exception):
            pool.close()


def timed(pool, function, count, chunk):
    began = time.perf_counter()
    values = pool.map(function, range(count), chunk)
    took = time.perf_counter() - began
    assert len(values) == count and values[-1] == square(count - 1)
    return took


@contextlib.contextmanager
def placed(family, place):
    """The workers of this family on one CPU, and this thread on the same or on another one; or wherever."""
    if not place:
        yield made(family)
        return
    everywhere = sorted(os.sched_getaffinity(0))
    places = {"two": (1, 0), "one": (0, 0)}
    if len(everywhere) < 2:
        raise ImportError("only one CPU may be used")
    try:
        os.sched_setaffinity(0, {everywhere[places[place][0]]})
        pool = made(family, place)
        os.sched_setaffinity(0, {everywhere[places[place][1]]})
        yield pool
    finally:
        os.sched_setaffinity(0, everywhere)


def apply(pool, count):
    times = []
    for x in range(count):
        began = time.perf_counter()
        assert pool.apply(square, x) == x * x
        times.append(time.perf_counter() - began)
    return sorted(times)[count // 2] * 1e6


def of_all(count, values):
    """How many a second, of values that are all taken."""
    began = time.perf_counter()
    taken = list(values())
    took = time.perf_counter() - began
    assert len(taken) == count and max(taken) == square(count - 1)
    return count / took


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
    if metric == "W6.create":
        return create(family)
    if metric == "W9.idle4":
        return idle(family)
    try:
        if metric == "W6.imap_unordered":
            return figure_of(metric, made(family, apart=metric), count)
        place = metric[-3:] if metric.endswith((".two", ".one")) else None
        with placed(family, place) as pool:
            return figure_of(metric[:-4] if place else metric, pool, count)
    except Exception:
        forget(family)
        raise


def figure_of(metric, pool, count):
    if metric in ("W6.apply", "W6.submit"):
        return apply(pool, count)
    if metric == "W6.chunk1":
        return count / timed(pool, square, count, 1)
    if metric == "W6.default":
        return count / timed(pool, square, count, None)
    if metric in ("W6.imap", "W6.imap_unordered"):
        return of_all(count, lambda: pool.stream(square, range(count), metric == "W6.imap"))
    if metric == "W6.executor":
        return of_all(count, lambda: pool.submitted(square, range(count)))
    if metric.startswith("W6.1MiB"):
        return mebibytes(pool, metric.endswith(".kept"), count)
    if metric == "W6.cpu":
        return cpu(pool, count)
    if metric == "W6.speedup":
        return count * 0.01 / timed(pool, burn, count, 1)
    if metric == "W6.uneven":
        return timed(pool, uneven, count, None)
    raise ValueError(metric)
