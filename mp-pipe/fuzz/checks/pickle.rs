//! Whatever bytes arrive, reading a pickle neither panics nor hangs nor takes memory without limit; and what
//! it gives can be written and read again.

use mp_pipe::pickle::{Limits, dumps, loads_within};

/// The input is the pickle.
pub(crate) fn check(input: &[u8]) {
    let limits = Limits::default().with_memory(16 << 20);
    if let Ok(value) = loads_within(input, limits)
        && let Ok(pickle) = dumps(&value)
    {
        loads_within(&pickle, limits).expect("what was written can be read");
    }
}
