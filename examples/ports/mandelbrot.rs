//! A pool computes an image row by row; a file gets it, and the terminal a small one. Beside `mandelbrot.py`.

use mp::Pool;

const WIDTH: usize = 96;
const HEIGHT: usize = 64;
const ROUNDS: u8 = 100;

/// After how many rounds the point has run away; `ROUNDS` if it has not.
fn rounds(real: f64, imaginary: f64) -> u8 {
    let (mut x, mut y) = (0.0, 0.0);
    for round in 0..ROUNDS {
        if x * x + y * y > 4.0 {
            return round;
        }
        (x, y) = (x * x - y * y + real, 2.0 * x * y + imaginary);
    }
    ROUNDS
}

fn letter(rounds: u8) -> char {
    let level = [4, 6, 9, 15, ROUNDS].iter().filter(|least| rounds >= **least).count();
    [' ', '.', ':', '+', '*', '#'][level]
}

fn row(at: usize) -> Vec<u8> {
    let imaginary = 2.0 * at as f64 / HEIGHT as f64 - 1.0;
    (0..WIDTH).map(|column| rounds(3.0 * column as f64 / WIDTH as f64 - 2.0, imaginary)).collect()
}

pub(crate) fn main() -> mp::Result<()> {
    let rows: Vec<Vec<u8>> = Pool::new(4)?.map(row, 0..HEIGHT)?;
    let pixels: Vec<u8> = rows.concat();
    let file = std::env::temp_dir().join(format!("ports-mandelbrot-{}.pgm", std::process::id()));
    let head = format!("P5 {WIDTH} {HEIGHT} {ROUNDS}\n");
    std::fs::write(&file, [head.as_bytes(), &pixels].concat())?;

    for row in rows.iter().step_by(4) {
        let line: String = row.iter().step_by(2).map(|rounds| letter(*rounds)).collect();
        println!("{}", line.trim_end());
    }
    let sum: u64 = pixels.iter().map(|rounds| u64::from(*rounds)).sum();
    println!("{} bytes, {} pixels, {sum} rounds", std::fs::metadata(&file)?.len(), pixels.len());
    std::fs::remove_file(file)?;
    Ok(())
}
