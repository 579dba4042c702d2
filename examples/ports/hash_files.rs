//! Checksums of many files, with a bar that moves as each is done. Beside `hash_files.py`.
//!
//! The bar is on standard error, and only on a terminal.

use mp::Pool;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;

const FILES: usize = 24;

/// The file's name and its CRC-32, as zip and `zlib.crc32` have it.
fn checksum(file: PathBuf) -> (String, u32) {
    let mut crc = u32::MAX;
    for byte in std::fs::read(&file).expect("a file that was written just now") {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    (file.file_name().unwrap_or_default().to_string_lossy().into_owned(), !crc)
}

fn bar(done: usize) {
    let mut terminal = std::io::stderr();
    if terminal.is_terminal() {
        let _ = write!(terminal, "\r[{:<FILES$}] {done}/{FILES}", "#".repeat(done));
    }
}

pub(crate) fn main() -> mp::Result<()> {
    let folder = std::env::temp_dir().join(format!("ports-files-{}", std::process::id()));
    std::fs::create_dir(&folder)?;
    for number in 0..FILES {
        let content: Vec<u8> = (0..100 * number).map(|at| (at * number % 251) as u8).collect();
        std::fs::write(folder.join(format!("file-{number:02}")), content)?;
    }
    let files = (0..FILES).map(|number| folder.join(format!("file-{number:02}")));
    let mut sums = Vec::new();
    for sum in Pool::new(4)?.imap_unordered(checksum, files)? {
        sums.push(sum?);
        bar(sums.len());
    }
    sums.sort();
    sums.iter().for_each(|(name, crc)| println!("{crc:08x}  {name}"));
    println!("{} of {FILES} files", sums.len());
    std::fs::remove_dir_all(folder)?;
    Ok(())
}
