//! Buffers that each thread keeps for encoding and decoding, so that a message costs no allocation.

use std::cell::Cell;
use std::thread::LocalKey;

/// Bytes that a thread keeps between messages; a longer buffer is given back to the system.
const MOST_KEPT: usize = 2 << 20;

type Slot = LocalKey<Cell<Vec<u8>>>;

thread_local! {
    /// For a value on its way out; empty.
    pub static ENCODING: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    /// For a message on its way in. Its content means nothing; its length saves writing zeros once more.
    pub static DECODING: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// The thread's buffer. A second one, asked for before the first is given back (by a `Serialize` that sends
/// another value, say), is a new one.
pub fn take(slot: &'static Slot) -> Vec<u8> {
    // The slot is gone while the thread's locals are being torn down.
    slot.try_with(Cell::take).unwrap_or_default()
}

/// Keeps a buffer for the next message.
pub fn give_back(slot: &'static Slot, buffer: Vec<u8>) {
    if buffer.capacity() <= MOST_KEPT {
        let _ = slot.try_with(|slot| slot.set(buffer));
    }
}
