"""Objects of types of our own in a manager, used by several processes."""

import threading
from multiprocessing import Process
from multiprocessing.managers import BaseManager


class Till:
    """What a till holds. A manager calls methods in threads, so each step needs the lock."""

    def __init__(self, cents):
        self.cents = cents
        self.made = []
        self.lock = threading.Lock()

    def sell(self, what, cents):
        with self.lock:
            self.cents += cents
            self.made.append((what, cents))

    def pay_out(self, cents):
        """Leaves the till as it is if it holds too little."""
        with self.lock:
            if cents > self.cents:
                raise ValueError(f"only {self.cents} cents are there")
            self.cents -= cents
            return self.cents

    def sales(self):
        with self.lock:
            return list(self.made)


class OurManager(BaseManager):
    pass


OurManager.register("Till", Till)


def clerk(till, number):
    for hour in range(3):
        till.sell(f"hour {hour} of clerk {number}", 100 * number + hour)


if __name__ == "__main__":
    with OurManager() as manager:
        till = manager.Till(50)
        clerks = [Process(target=clerk, args=(till, number)) for number in range(1, 4)]
        for process in clerks:
            process.start()
        for process in clerks:
            process.join()
        for what, cents in sorted(till.sales()):
            print(f"{what}: {cents}")
        try:
            print(f"paid out, {till.pay_out(10_000)} cents left")
        except ValueError as error:
            print("not paid out:", error)
        print(f"paid out, {till.pay_out(1000)} cents left")
