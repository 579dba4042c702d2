"""A table that is made once and read by four processes, without a copy for each."""

import multiprocessing
from multiprocessing.shared_memory import SharedMemory

ROWS, WORKERS = 10_000, 4


def sum_up(name, first, results):
    table = SharedMemory(name)
    rows = table.buf[: 8 * ROWS].cast("Q")
    results.put((first, sum(rows[row] for row in range(first, ROWS, WORKERS))))
    rows.release()
    table.close()


if __name__ == "__main__":
    table = SharedMemory(create=True, size=8 * ROWS)
    rows = table.buf[: 8 * ROWS].cast("Q")
    for row in range(ROWS):
        rows[row] = row * row
    results = multiprocessing.Queue()
    workers = [
        multiprocessing.Process(target=sum_up, args=(table.name, first, results)) for first in range(WORKERS)
    ]
    for worker in workers:
        worker.start()
    sums = dict(results.get() for _ in workers)
    for worker in workers:
        worker.join()
    for number in range(WORKERS):
        print(f"worker {number}: {sums[number]}")
    print(f"{sum(sums.values())} in {ROWS} rows; a loop says {sum(row * row for row in range(ROWS))}")
    rows.release()
    table.close()
    table.unlink()
