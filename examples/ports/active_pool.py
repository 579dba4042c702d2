"""No more than three of nine processes are active at a time: a semaphore keeps the others out."""

import multiprocessing


def work(permits, now, most, lock, all_three):
    with permits:
        with lock:
            now.value += 1
            most.value = max(most.value, now.value)
        # Three are inside at once, and no accident: each waits for two others.
        all_three.wait()
        with lock:
            now.value -= 1


if __name__ == "__main__":
    permits, all_three = multiprocessing.Semaphore(3), multiprocessing.Barrier(3)
    now, most = multiprocessing.RawValue("i", 0), multiprocessing.RawValue("i", 0)
    lock = multiprocessing.Lock()
    children = [
        multiprocessing.Process(target=work, args=(permits, now, most, lock, all_three)) for _ in range(9)
    ]
    for child in children:
        child.start()
    for child in children:
        child.join()
    print(f"{len(children)} processes, most active at a time: {most.value}, now: {now.value}")
