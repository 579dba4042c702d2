//! Fuzz targets without a fuzzer.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// What a fuzz target checks; it panics if that does not hold.
pub type Check = fn(&[u8]);

/// Checks it; a failure says for which bytes, so that they can become a seed.
fn hold(check: Check, name: &str, input: &[u8]) {
    if catch_unwind(AssertUnwindSafe(|| check(input))).is_err() {
        panic!("{name}: b\"{}\"", input.escape_ascii());
    }
}

/// What a fuzz target checks holds for its seeds, the files of a folder, of which there are sixteen at least: for each
/// of them cut off anywhere, with any bit turned, and followed by each of the next `others` ones (all of them, at
/// most).
pub fn hold_for_seeds(folder: &Path, check: Check, others: usize) {
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
    let mut seeds: Vec<(String, Vec<u8>)> = entries
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .collect();
    seeds.sort();
    assert!(seeds.len() >= 16, "{} seeds", seeds.len());
    for (at, (name, seed)) in seeds.iter().enumerate() {
        for cut in 0..=seed.len() {
            hold(check, name, &seed[..cut]);
        }
        let mut changed = seed.clone();
        for bit in 0..8 * seed.len() {
            changed[bit / 8] ^= 1 << (bit % 8);
            hold(check, name, &changed);
            changed[bit / 8] ^= 1 << (bit % 8);
        }
        for (other, more) in seeds.iter().cycle().skip(at + 1).take(others.min(seeds.len())) {
            hold(check, &format!("{name}, {other}"), &[&seed[..], more].concat());
        }
    }
}
