"""Checksums of many files, with a bar that moves as each is done."""

import multiprocessing
import os
import shutil
import sys
import tempfile
import zlib

FILES = 24


def checksum(file):
    """The file's name and its CRC-32."""
    with open(file, "rb") as content:
        return os.path.basename(file), zlib.crc32(content.read())


def bar(done):
    if sys.stderr.isatty():
        print(f"\r[{'#' * done:<{FILES}}] {done}/{FILES}", end="", file=sys.stderr)


if __name__ == "__main__":
    folder = os.path.join(tempfile.gettempdir(), f"ports-files-{os.getpid()}")
    os.mkdir(folder)
    files = [os.path.join(folder, f"file-{number:02}") for number in range(FILES)]
    for number, file in enumerate(files):
        with open(file, "wb") as content:
            content.write(bytes(at * number % 251 for at in range(100 * number)))
    sums = []
    with multiprocessing.Pool(4) as pool:
        for result in pool.imap_unordered(checksum, files):
            sums.append(result)
            bar(len(sums))
    for name, crc in sorted(sums):
        print(f"{crc:08x}  {name}")
    print(f"{len(sums)} of {FILES} files")
    shutil.rmtree(folder)
