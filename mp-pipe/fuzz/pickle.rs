//! Whatever bytes arrive, reading a pickle neither panics nor hangs nor takes memory without limit; and what it gives can be
//! written and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mp_pipe::pickle::{Limits, dumps, loads_within};

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits::default().with_memory(16 << 20);
    if let Ok(value) = loads_within(bytes, limits)
        && let Ok(pickle) = dumps(&value)
    {
        loads_within(&pickle, limits).expect("what was written can be read");
    }
});
