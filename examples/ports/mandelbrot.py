"""A pool computes an image row by row; a file gets it, and the terminal a small one."""

import multiprocessing
import os
import tempfile

WIDTH, HEIGHT, ROUNDS = 96, 64, 100
LEVELS = (4, 6, 9, 15, ROUNDS)


def rounds(real, imaginary):
    """After how many rounds the point has run away; ROUNDS if it has not."""
    x = y = 0.0
    for number in range(ROUNDS):
        if x * x + y * y > 4.0:
            return number
        x, y = x * x - y * y + real, 2.0 * x * y + imaginary
    return ROUNDS


def row(at):
    imaginary = 2.0 * at / HEIGHT - 1.0
    return [rounds(3.0 * column / WIDTH - 2.0, imaginary) for column in range(WIDTH)]


if __name__ == "__main__":
    with multiprocessing.Pool(4) as pool:
        rows = pool.map(row, range(HEIGHT))
    pixels = bytes(pixel for line in rows for pixel in line)
    file = os.path.join(tempfile.gettempdir(), f"ports-mandelbrot-{os.getpid()}.pgm")
    with open(file, "wb") as image:
        image.write(f"P5 {WIDTH} {HEIGHT} {ROUNDS}\n".encode() + pixels)

    for line in rows[::4]:
        print("".join(" .:+*#"[sum(pixel >= least for least in LEVELS)] for pixel in line[::2]).rstrip())
    print(f"{os.path.getsize(file)} bytes, {len(pixels)} pixels, {sum(pixels)} rounds")
    os.remove(file)
