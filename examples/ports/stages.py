"""Two processes begin when a third has prepared their stage; an event lets a fourth go."""

import multiprocessing


def prepare(stage, prepared, lines):
    # The lock of the condition keeps this flag: a notification alone would be missed by a process that is late.
    with stage:
        lines.put("stage 1 is prepared")
        prepared.value = True
        stage.notify_all()


def perform(number, stage, prepared, lines):
    with stage:
        stage.wait_for(lambda: prepared.value)
        lines.put(f"stage 2 runs in process {number}")


def wait_for(go, waited_in_vain, lines):
    in_time = go.wait(0.05)
    waited_in_vain.set()
    go.wait()
    lines.put(f"set within its timeout: {str(in_time).lower()}, and in the end")


if __name__ == "__main__":
    stage, lines = multiprocessing.Condition(), multiprocessing.SimpleQueue()
    prepared = multiprocessing.RawValue("b", False)
    performers = [
        multiprocessing.Process(target=perform, args=(number, stage, prepared, lines)) for number in (1, 2)
    ]
    performers.append(multiprocessing.Process(target=prepare, args=(stage, prepared, lines)))
    for performer in performers:
        performer.start()
    for performer in performers:
        performer.join()
    said = [lines.get() for _ in range(3)]
    print("first:", said[0])
    print("then:", ", ".join(sorted(said[1:])))

    go, waited_in_vain = multiprocessing.Event(), multiprocessing.Event()
    waiting = multiprocessing.Process(target=wait_for, args=(go, waited_in_vain, lines))
    waiting.start()
    waited_in_vain.wait()
    print("main sets the event")
    go.set()
    print(lines.get())
    waiting.join()
