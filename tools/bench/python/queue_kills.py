"""What kills at random moments do to CPython's queue: the script of mp-queue/tests/kills.rs, by hand.

    python3 tools/bench/python/queue_kills.py [kills] [seconds without an item that count as a hang]

Four producers put numbered items with a checksum, four consumers get them. One of the eight is killed, and another
takes its place, again and again, until nothing moves any more or the kills are done. Prints after how many kills that
was, how many items whose put had returned were never got, and how many were not whole.
"""

import multiprocessing
import os
import random
import signal
import sys
import time
import zlib

EACH = 4
NUMBERS = 1 << 22
# Where the counts lie.
BEGUN, RETURNED, GOT, TORN, STOP = 0, EACH, 2 * EACH, 2 * EACH + 1, 2 * EACH + 2


def item(producer, number):
    length = 300 << 10 if number % 509 == 508 else number * 7 % 700
    body = bytes([number % 256]) * length
    return producer, number, body, zlib.crc32(body, number)


def produce(queue, counts, producer):
    while not counts[STOP]:
        number = counts[BEGUN + producer]
        if number == NUMBERS:
            return
        counts[BEGUN + producer] = number + 1
        queue.put(item(producer, number))
        counts[RETURNED + producer] = number + 1


def consume(queue, counts, got, consumer):
    while True:
        try:
            producer, number, body, check = queue.get()
            whole = check == zlib.crc32(body, number)
        except Exception:  # Half a pickle may be anything.
            whole = False
        if whole:
            got[producer * NUMBERS + number] = 1
            counts[GOT] += 1  # Some are missed by the race, and it is only looked at for whether it moves.
        else:
            counts[TORN] += 1


def main():
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    patience = float(sys.argv[2]) if len(sys.argv) > 2 else 10.0
    context = multiprocessing.get_context("fork")
    queue = context.Queue(300)
    counts, got = context.RawArray("Q", 2 * EACH + 3), context.RawArray("B", EACH * NUMBERS)

    def start(part, at):
        work, arguments = [(produce, (queue, counts, at)), (consume, (queue, counts, got, at))][part]
        process = context.Process(target=work, args=arguments, daemon=True)
        process.start()
        return process

    parts = [[start(part, at) for at in range(EACH)] for part in range(2)]

    def moves():
        """Whether an item is got while we wait for that."""
        before, until = counts[GOT], time.monotonic() + patience
        while counts[GOT] == before:
            if time.monotonic() > until:
                return False
            time.sleep(0.001)
        return True

    unknown, done, hangs = [set() for _ in range(EACH)], 0, False
    while done < kills:
        time.sleep(random.random() * 0.0015)
        part, at = random.randrange(2), random.randrange(EACH)
        victim = parts[part][at]
        os.kill(victim.pid, signal.SIGKILL)
        victim.join()
        if part == 0:
            unknown[at].update(range(counts[RETURNED + at], counts[BEGUN + at]))
        parts[part][at] = start(part, at)
        done += 1
        hangs = not moves()
        if hangs:
            break
    counts[STOP] = 1
    if not hangs:
        while moves():
            pass
    put = lost = 0
    for producer in range(EACH):
        for number in range(counts[RETURNED + producer]):
            if number not in unknown[producer]:
                put += 1
                lost += not got[producer * NUMBERS + number]
    end = f"nothing moved for {patience:g} s after" if hangs else "went on after"
    print(f"CPython {sys.version.split()[0]}: {end} {done} kills; {put} puts had returned, "
          f"{sum(map(len, unknown))} were cut short; {lost} items were never got; {counts[TORN]} torn")
    for process in parts[0] + parts[1]:
        process.kill()
    # The queue's own thread may wait for its pipe for ever.
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
