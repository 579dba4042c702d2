"""Consumers of a joinable queue end when they get a pill, which is put in once for each."""

import multiprocessing

CONSUMERS = 2


def consume(tasks, results):
    while True:
        task = tasks.get()
        if task is None:
            tasks.task_done()
            return
        a, b = task
        results.put(f"{a} * {b} = {a * b}")
        tasks.task_done()


if __name__ == "__main__":
    tasks, results = multiprocessing.JoinableQueue(), multiprocessing.Queue()
    consumers = [multiprocessing.Process(target=consume, args=(tasks, results)) for _ in range(CONSUMERS)]
    for consumer in consumers:
        consumer.start()
    for i in range(10):
        tasks.put((i, i))
    for _ in range(CONSUMERS):
        tasks.put(None)
    tasks.join()
    print("all tasks are done")
    for line in sorted(results.get() for _ in range(10)):
        print(line)
    for consumer in consumers:
        consumer.join()
    print(f"{sum(consumer.exitcode == 0 for consumer in consumers)} consumers took a pill")
