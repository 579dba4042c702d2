//! The fuzz targets without a fuzzer: what each of them checks (`fuzz/checks`) holds for its seeds
//! (`fuzz/seeds`), for each of them cut off anywhere, with any bit turned, and followed by any other.

#[path = "../fuzz/checks/frame.rs"]
mod frame;
#[path = "../fuzz/checks/handshake.rs"]
mod handshake;
#[path = "../fuzz/checks/pickle.rs"]
mod pickle;

use mp_testing::{Check, hold_for_seeds};
use std::fs;
use std::path::PathBuf;

const TARGETS: [(&str, Check); 3] =
    [("frame", frame::check), ("handshake", handshake::check), ("pickle", pickle::check)];

fn fuzz() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

fn hold_all(target: &str) {
    let (_, check) = TARGETS.into_iter().find(|(name, _)| *name == target).unwrap();
    hold_for_seeds(&fuzz().join("seeds").join(target), check, usize::MAX);
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
