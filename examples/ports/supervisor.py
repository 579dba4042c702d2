"""A supervisor waits for its workers all at once and starts again those that crashed."""

import multiprocessing
import os
from multiprocessing.connection import wait

WORKERS = 4


def work(number, attempt, result):
    """Worker n crashes n times before it does its work."""
    if attempt <= number:
        os._exit(40 + attempt)
    result.send(100 * number)


def start(number, attempt):
    receiver, sender = multiprocessing.Pipe(False)
    child = multiprocessing.Process(target=work, args=(number, attempt, sender), name=f"worker-{number}")
    child.start()
    sender.close()
    return number, attempt, child, receiver


if __name__ == "__main__":
    started = [start(number, 1) for number in range(WORKERS)]
    running = {entry[2].sentinel: entry for entry in started}
    stories = {}
    while running:
        for sentinel in wait(list(running)):
            number, attempt, child, receiver = running.pop(sentinel)
            child.join()
            story = stories.setdefault(number, [])
            if child.exitcode == 0:
                story.append(f"result {receiver.recv()}")
            else:
                story.append(f"crash {child.exitcode}")
                again = start(number, attempt + 1)
                running[again[2].sentinel] = again
    for number, story in sorted(stories.items()):
        print(f"worker-{number}: {', '.join(story)}")
    print(f"{len(stories)} workers, {sum(map(len, stories.values()))} starts")
