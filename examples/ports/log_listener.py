"""Workers send what they log to one process, which alone writes the file."""

import logging
import logging.handlers
import multiprocessing
import os
import tempfile


def listen(records, file):
    lines = sorted(f"{record.levelname:<7} {record.getMessage()}" for record in iter(records.get, None))
    with open(file, "w") as written:
        written.write("\n".join(lines) + "\n")


def work(number, records):
    log = logging.getLogger()
    log.handlers = [logging.handlers.QueueHandler(records)]
    log.setLevel(logging.INFO)
    log.info("worker %d begins", number)
    if number == 2:
        log.warning("worker %d found nothing to do", number)
    log.info("worker %d ends", number)


if __name__ == "__main__":
    file = os.path.join(tempfile.gettempdir(), f"ports-log-{os.getpid()}.txt")
    records = multiprocessing.Queue()
    listener = multiprocessing.Process(target=listen, args=(records, file))
    listener.start()
    workers = [multiprocessing.Process(target=work, args=(number, records)) for number in range(1, 4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    # The listener cannot see that the last worker is gone.
    records.put(None)
    listener.join()
    with open(file) as written:
        lines = written.read()
    print(lines, end="")
    print(f"{lines.count(chr(10))} lines by {len(workers)} workers")
    os.remove(file)
