"""The most frequent words of several texts: counted per text by a pool, then added up."""

import multiprocessing
import re
from collections import Counter

TEXTS = [
    "A process has its own memory. A thread shares the memory of its process.",
    "A lock keeps one process out while another one is in. A queue carries messages from process to process.",
    "The kernel starts a process, stops a process, and tells the parent when the process has ended.",
    "Memory that two processes map is shared memory: what one writes, the other reads.",
]
# Words that say nothing of a text.
STOP_WORDS = {"a", "and", "from", "has", "in", "is", "of", "one", "that", "the", "to", "when"}


def count(text):
    words = (word.lower() for word in re.findall("[A-Za-z]+", text))
    return Counter(word for word in words if word not in STOP_WORDS)


if __name__ == "__main__":
    with multiprocessing.Pool(2) as pool:
        mapped = pool.map(count, TEXTS)
    total = sum(mapped, Counter())
    print(f"{sum(total.values())} words, {len(total)} different ones")
    for word, number in sorted(total.items(), key=lambda item: (-item[1], item[0]))[:5]:
        print(f"{word}: {number}")
