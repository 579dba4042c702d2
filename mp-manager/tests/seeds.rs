//! The fuzz target without a fuzzer: what it checks (`fuzz/checks`) holds for its seeds (`fuzz/seeds`), for each of
//! them cut off anywhere, with any bit turned, and followed by another one. `MP_SEEDS=write` of the crate's own tests
//! writes the seeds anew (`server/fuzz.rs`).

#[path = "../fuzz/checks/dispatcher.rs"]
mod dispatcher;

use mp_testing::hold_for_seeds;
use std::path::Path;

#[test]
fn dispatchers_hold() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/dispatcher");
    hold_for_seeds(&folder, dispatcher::check, 1);
}
