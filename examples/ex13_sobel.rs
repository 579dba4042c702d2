//! Sobel's filter over bands of an image, one process for each band: the same bytes as in one piece, whatever the
//! bands.
//!
//! Answers:  the exercise
//! Python:   with Pool(p) as pool: pool.map(filter, bands)
//! Run:      cargo run --example ex13_sobel
//! Prints:
//!     1 to 7 bands, the whole image to each: 100 rows, as in one piece
//!     1 to 7 bands, each with one row more above and below: 100 rows, as in one piece
//!     1 to 7 bands, in shared memory: 100 rows, as in one piece
//!     bytes to 7 processes: 56035 of whole images, 8995 of bands, under 1000 by shared memory
//! As in course:
//!     2 bands: 101 rows, expected 100
//!     rows at the seam that were not computed: 1
//!
//! A pixel's value comes of its eight neighbours, so a band needs the rows beside it. The times are on standard error.

#[path = "support/sobel.rs"]
mod sobel;

use mp::RawArray;
use mp::pipeline::{Context, Parallel, Pipeline, ProcessStep};
use sobel::{ROWS, WIDTH, picture, sobel};
use std::ops::Range;

type Rows = Range<usize>;

/// The filtered rows, out of a piece of the image that begins with row `first`.
fn filter(piece: Vec<u8>, first: usize, rows: Rows) -> mp::Result<Vec<u8>> {
    Ok(sobel(&piece)[(rows.start - first) * WIDTH..(rows.end - first) * WIDTH].to_vec())
}

fn filter_shared(image: RawArray<u8>, rows: Rows) -> mp::Result<Vec<u8>> {
    let around = with_neighbours(&rows);
    filter(image.read(around.start * WIDTH..around.end * WIDTH)?, around.start, rows)
}

fn with_neighbours(rows: &Rows) -> Rows {
    rows.start.saturating_sub(1)..(rows.end + 1).min(ROWS)
}

/// Filters each band in a process: the image, and how many bytes went to the processes.
fn in_bands(count: usize, step: impl Fn(Rows) -> ProcessStep<Vec<u8>>) -> mp::Result<(Vec<u8>, usize)> {
    let bands = (0..count).map(|band| step(band * ROWS / count..(band + 1) * ROWS / count));
    let report = Pipeline::builder("sobel").parallel(Parallel::processes(4).steps(bands)).build()?;
    let report = report.run(Context::new())?;
    eprintln!("{count} bands took {:?}", report.elapsed());
    let mut image = Vec::new();
    for task in report.tasks() {
        image.extend_from_slice(report.context().get::<Vec<u8>>(&task.name)?);
    }
    Ok((image, report.tasks().iter().filter_map(|task| task.bytes_in).sum()))
}

pub(crate) fn main() -> mp::Result<()> {
    let (image, name) = (picture(), |rows: &Rows| format!("rows from {}", rows.start));
    let (expected, shared) = (sobel(&image), RawArray::from_slice(&image)?);
    if std::env::args().any(|argument| argument == "--as-in-course") {
        let filtered = sobel::as_in_course(&image, 2);
        println!("2 bands: {} rows, expected {ROWS}", filtered.len() / WIDTH);
        let wrong =
            filtered.chunks(WIDTH).zip(expected.chunks(WIDTH)).take(51).filter(|(a, b)| a != b).count();
        println!("rows at the seam that were not computed: {wrong}");
        return Ok(());
    }
    let whole = |rows: Rows| ProcessStep::new(name(&rows), filter, (image.clone(), 0, rows));
    let band = |rows: Rows| {
        let around = with_neighbours(&rows);
        let piece = image[around.start * WIDTH..around.end * WIDTH].to_vec();
        ProcessStep::new(name(&rows), filter, (piece, around.start, rows))
    };
    let by_handle = |rows: Rows| ProcessStep::new(name(&rows), filter_shared, (shared.clone(), rows));
    let mut bytes = [0; 3];
    for count in 1..=7 {
        let filtered = [in_bands(count, whole)?, in_bands(count, band)?, in_bands(count, by_handle)?];
        assert!(filtered.iter().all(|(image, _)| *image == expected), "{count} bands");
        bytes = filtered.map(|(_, bytes)| bytes);
    }
    for what in ["the whole image to each", "each with one row more above and below", "in shared memory"] {
        println!("1 to 7 bands, {what}: {} rows, as in one piece", expected.len() / WIDTH);
    }
    assert!(bytes[2] < 1000, "{bytes:?}");
    println!(
        "bytes to 7 processes: {} of whole images, {} of bands, under 1000 by shared memory",
        bytes[0], bytes[1]
    );
    Ok(())
}
