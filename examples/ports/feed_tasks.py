"""Four workers take functions and their arguments out of one queue and put results into another."""

from multiprocessing import Process, Queue

WORKERS = 4


def mul(a, b):
    return a * b


def plus(a, b):
    return a + b


def work(tasks, results):
    for function, a, b in iter(tasks.get, None):
        results.put(f"{function.__name__}({a}, {b}) = {function(a, b)}")


if __name__ == "__main__":
    tasks, results = Queue(), Queue()
    asked = 0
    for i in range(8):
        tasks.put((mul, i, 7))
        asked += 1
    workers = [Process(target=work, args=(tasks, results)) for _ in range(WORKERS)]
    for worker in workers:
        worker.start()
    # More can be put in while they are at work.
    for i in range(4):
        tasks.put((plus, i, 8))
        asked += 1
    for line in sorted(results.get() for _ in range(asked)):
        print(line)
    for _ in range(WORKERS):
        tasks.put(None)
    for worker in workers:
        worker.join()
    print(f"{asked} tasks, {len(workers)} workers have ended")
