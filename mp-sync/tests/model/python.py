"""Answers each line "ACTOR OPERATION [OBJECT]" of its input with a line: what CPython's objects say to it.

Actors 0 and 1 are threads, actor 2 is a process.
"""
import multiprocessing
import queue
import sys
import threading


def answer(objects, operation, name):
    it = objects[name]
    try:
        match operation:
            case "TryAcquire":
                return it.acquire(block=False)
            case "AcquireZero":
                return it.acquire(timeout=0)
            case "Acquire":
                return it.acquire()
            case "Release":
                return it.release()
            case "Locked":
                return it._semlock._is_zero()
            case "Value" | "BoundedValue":
                return it.get_value()
            case "Depth":
                return it._semlock._count() if it._semlock._is_mine() else 0
            case "Set":
                return it.set()
            case "Clear":
                return it.clear()
            case "IsSet":
                return it.is_set()
            case "Wait" | "Meet":
                return it.wait(timeout=0)
            case "Abort":
                return it.abort()
            case "Reset":
                return it.reset()
            case "Broken":
                return it.broken
            case "Waiting":
                return it.n_waiting
    except (ValueError, AssertionError):
        return "refused"
    except threading.BrokenBarrierError:
        return "broken"


def in_process(objects, pipe):
    while True:
        pipe.send(answer(objects, *pipe.recv()))


def in_thread(objects, asked, answered):
    while True:
        answered.put(answer(objects, *asked.get()))


def main(permits):
    context = multiprocessing.get_context("fork")
    objects = {
        "Lock": context.Lock(),
        "RLock": context.RLock(),
        "Semaphore": context.Semaphore(permits),
        "Bounded": context.BoundedSemaphore(permits),
        "Event": context.Event(),
        "One": context.Barrier(1),
        "Two": context.Barrier(2),
    }
    here, there = context.Pipe()
    # Before there are threads.
    context.Process(target=in_process, args=(objects, there), daemon=True).start()
    ask = [None, None, here.send]
    wait = [None, None, here.recv]
    for actor in range(2):
        asked, answered = queue.Queue(), queue.Queue()
        threading.Thread(target=in_thread, args=(objects, asked, answered), daemon=True).start()
        ask[actor], wait[actor] = asked.put, answered.get
    for line in sys.stdin:
        actor, operation, name = line.split()
        ask[int(actor)]((operation, name))
        print(wait[int(actor)](), flush=True)


main(int(sys.argv[1]))
