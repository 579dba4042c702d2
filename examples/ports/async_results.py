"""Results that are waited for: one that is there, several at once, and one that is late."""

import multiprocessing
import os

may_go_on = None


def remember(event):
    # An event cannot be an argument of a pool's task.
    global may_go_on
    may_go_on = event


def square(x):
    return x * x


def answer():
    may_go_on.wait()
    return 42


def fail():
    raise ValueError("no answer to that")


if __name__ == "__main__":
    event = multiprocessing.Event()
    with multiprocessing.Pool(3, remember, (event,)) as pool:
        print("one result:", pool.apply_async(square, (20,)).get())

        several = [pool.apply_async(square, (x,)) for x in range(4)]
        print("several:", [result.get() for result in several])

        pids = {result.get() for result in [pool.apply_async(os.getpid) for _ in range(9)]}
        others = len(pids) <= 3 and os.getpid() not in pids
        print("done by others, by three at most:", str(others).lower())

        late = pool.apply_async(answer)
        try:
            print("late:", late.get(timeout=0.1))
        except multiprocessing.TimeoutError:
            print("late: not there in time, ready:", str(late.ready()).lower())
        event.set()
        print(f"late, and asked again: {late.get()}, successful: {str(late.successful()).lower()}")

        try:
            print("failed:", pool.apply_async(fail).get())
        except ValueError as error:
            print("failed:", error)
