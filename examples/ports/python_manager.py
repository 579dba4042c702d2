"""A manager that programs of two languages use: here both are in Python. One serves, the other connects; and back."""

import subprocess
import sys
from multiprocessing.managers import SyncManager

KEY = b"a key of sixteen bytes or more"

SERVER = """
import sys
from multiprocessing.managers import SyncManager
if __name__ == '__main__':
    m = SyncManager(('127.0.0.1', 0), authkey=sys.argv[1].encode()); m.start()
    print(m.address[1], flush=True)
    sys.stdin.read()
    m.shutdown()
"""


def main():
    with SyncManager(("127.0.0.1", 0), authkey=KEY) as manager:
        jobs = manager.Queue()
        for name in ("Ada", "Bob"):
            jobs.put(name)
        for _ in range(2):
            print("put by Python:", jobs.get())

    command = [sys.executable, "-c", SERVER, KEY.decode()]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    manager = SyncManager(("127.0.0.1", int(server.stdout.readline())), authkey=KEY)
    manager.connect()
    ages = manager.dict()
    ages["Ada"] = 36
    ages.update({"Bob": 7})
    print("kept by Python:", ", ".join(f"{name} {age}" for name, age in sorted(ages.items())))
    namespace = manager.Namespace()
    try:
        print("not raised:", namespace.age)
    except AttributeError as error:
        print("raised there:", type(error).__name__)
    del ages, namespace
    server.communicate()
    print("the server ended with", server.returncode)


if __name__ == "__main__":
    main()
