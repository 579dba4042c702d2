//! Sobel's filter on a grey image, whole or in pieces, and how the course cuts an image up.

pub(crate) const WIDTH: usize = 80;
pub(crate) const ROWS: usize = 100;

/// A picture of something: each row has values of its own.
pub(crate) fn picture() -> Vec<u8> {
    (0..ROWS * WIDTH)
        .map(|at| ((at / WIDTH) * (at / WIDTH) + 3 * (at % WIDTH) * (at / WIDTH)) as u8)
        .collect()
}

/// How steep the picture is at each pixel. The pixels at its edge have no value.
pub(crate) fn sobel(image: &[u8]) -> Vec<u8> {
    let rows = image.len() / WIDTH;
    let mut steep = vec![0; image.len()];
    for row in 1..rows.saturating_sub(1) {
        for column in 1..WIDTH - 1 {
            let at =
                |down: usize, right: usize| i32::from(image[(row + down - 1) * WIDTH + column + right - 1]);
            let across = at(0, 2) + 2 * at(1, 2) + at(2, 2) - at(0, 0) - 2 * at(1, 0) - at(2, 0);
            let down = at(2, 0) + 2 * at(2, 1) + at(2, 2) - at(0, 0) - 2 * at(0, 1) - at(0, 2);
            steep[row * WIDTH + column] = (across.abs() + down.abs()).min(255) as u8;
        }
    }
    steep
}

/// Each band but the last ends a row too late, and none has the row before it.
pub(crate) fn as_in_course(image: &[u8], bands: usize) -> Vec<u8> {
    let height = ROWS / bands;
    let band =
        |band: usize| sobel(&image[band * height * WIDTH..((band + 1) * height + 1).min(ROWS) * WIDTH]);
    (0..bands).flat_map(band).collect()
}
