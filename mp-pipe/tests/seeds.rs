//! The fuzz targets without a fuzzer: what each of them checks (`fuzz/checks`) holds for its seeds
//! (`fuzz/seeds`), for each of them cut off anywhere, with any bit turned, and followed by any other.

#[path = "../fuzz/checks/frame.rs"]
mod frame;
#[path = "../fuzz/checks/handshake.rs"]
mod handshake;
#[path = "../fuzz/checks/pickle.rs"]
mod pickle;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

type Check = fn(&[u8]);
const TARGETS: [(&str, Check); 3] =
    [("frame", frame::check), ("handshake", handshake::check), ("pickle", pickle::check)];

fn fuzz() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

/// Of which target, its name, and what it is.
fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(fuzz().join("seeds").join(target)).unwrap().map(Result::unwrap);
    let mut seeds: Vec<_> = entries
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .collect();
    seeds.sort();
    seeds
}

/// Checks it; a failure says for which bytes, so that they can become a seed.
fn hold(check: Check, name: &str, input: &[u8]) {
    if catch_unwind(AssertUnwindSafe(|| check(input))).is_err() {
        panic!("{name}: b\"{}\"", input.escape_ascii());
    }
}

fn hold_all(target: &str) {
    let (_, check) = TARGETS.into_iter().find(|(name, _)| *name == target).unwrap();
    let seeds = seeds(target);
    assert!(seeds.len() >= 16, "{} seeds", seeds.len());
    for (name, seed) in &seeds {
        for cut in 0..=seed.len() {
            hold(check, name, &seed[..cut]);
        }
        let mut changed = seed.clone();
        for bit in 0..8 * seed.len() {
            changed[bit / 8] ^= 1 << (bit % 8);
            hold(check, name, &changed);
            changed[bit / 8] ^= 1 << (bit % 8);
        }
        for (other, more) in &seeds {
            hold(check, &format!("{name}, {other}"), &[&seed[..], more].concat());
        }
    }
}

#[test]
fn frames_hold() {
    hold_all("frame");
}

#[test]
fn handshakes_hold() {
    hold_all("handshake");
}

#[test]
fn pickles_hold() {
    hold_all("pickle");
}

/// A target that is added for the fuzzer alone would be tested by nothing.
#[test]
fn every_target_of_the_fuzzer_is_held_here() {
    let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
    let targets: Vec<&str> =
        manifest.split("[[bin]]\nname = \"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert_eq!(targets, TARGETS.map(|(name, _)| name));
}
