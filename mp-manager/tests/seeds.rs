//! The fuzz target without a fuzzer: what it checks (`fuzz/checks`) holds for its seeds (`fuzz/seeds`), for each of them
//! cut off anywhere, with any bit turned, and followed by any other. `MP_SEEDS=write` of the crate's own tests writes the
//! seeds anew (`server/fuzz.rs`).

#[path = "../fuzz/checks/dispatcher.rs"]
mod dispatcher;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

/// Checks it; a failure says for which bytes, so that they can become a seed.
fn hold(name: &str, input: &[u8]) {
    if catch_unwind(AssertUnwindSafe(|| dispatcher::check(input))).is_err() {
        panic!("{name}: b\"{}\"", input.escape_ascii());
    }
}

#[test]
fn dispatchers_hold() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/dispatcher");
    let mut seeds: Vec<(String, Vec<u8>)> = fs::read_dir(folder)
        .unwrap()
        .map(Result::unwrap)
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .collect();
    seeds.sort();
    assert!(seeds.len() >= 16, "{} seeds", seeds.len());
    for (at, (name, seed)) in seeds.iter().enumerate() {
        for cut in 0..=seed.len() {
            hold(name, &seed[..cut]);
        }
        let mut changed = seed.clone();
        for bit in 0..8 * seed.len() {
            changed[bit / 8] ^= 1 << (bit % 8);
            hold(name, &changed);
            changed[bit / 8] ^= 1 << (bit % 8);
        }
        let (other, more) = &seeds[(at + 1) % seeds.len()];
        hold(&format!("{name}, {other}"), &[&seed[..], more].concat());
    }
}
