"""Results of a pool one by one: in order, in any order, with an error in between, and one that is late."""

import multiprocessing

may_go_on = None


def remember(event):
    # An event cannot be an argument of a pool's task.
    global may_go_on
    may_go_on = event


def cube(x):
    return x * x * x


def divide(x):
    """Fails for each fourth."""
    return 60 // (x % 4)


def answer(_):
    may_go_on.wait()
    return 42


if __name__ == "__main__":
    event = multiprocessing.Event()
    with multiprocessing.Pool(4, remember, (event,)) as pool:
        print("in order:", list(pool.imap(cube, range(8))))
        print("in any order, then sorted:", sorted(pool.imap_unordered(cube, range(8))))

        # The iterator goes on behind an error.
        quotients = pool.imap(divide, range(1, 8))
        for x in range(1, 8):
            try:
                print(f"divide({x}) = {next(quotients)}")
            except ZeroDivisionError:
                print(f"divide({x}) failed")

        late = pool.imap(answer, [None])
        try:
            print("late:", late.next(timeout=0.1))
        except multiprocessing.TimeoutError:
            print("late: not there in time")
        event.set()
        print("late, and asked again:", next(late))
        print("and then there is nothing:", str(next(late, None) is None).lower())
