//! Buffers that each thread keeps for encoding and decoding, so that a message costs no allocation.

use std::cell::Cell;
use std::thread::LocalKey;

/// Bytes that a thread keeps between messages; a longer buffer is given back to the system.
const MOST_KEPT: usize = 2 << 20;

type Slot = LocalKey<Cell<Vec<u8>>>;

thread_local! {
    static ENCODING: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    static DECODING: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// The thread's buffer for a value on its way out; empty, whatever it held before. A second one, asked for before the
/// first is given back (by a `Serialize` that sends another value, say), is a new one.
pub fn encoding() -> Vec<u8> {
    let mut buffer = take(&ENCODING);
    buffer.clear();
    buffer
}

/// The thread's buffer for a message on its way in. Its content means nothing; its length saves writing zeros once
/// more.
pub fn decoding() -> Vec<u8> {
    take(&DECODING)
}

/// Keeps a buffer for the next value.
pub fn keep_encoding(buffer: Vec<u8>) {
    keep(&ENCODING, buffer);
}

/// Keeps a buffer for the next message.
pub fn keep_decoding(buffer: Vec<u8>) {
    keep(&DECODING, buffer);
}

fn take(slot: &'static Slot) -> Vec<u8> {
    // The slot is gone while the thread's locals are being torn down.
    slot.try_with(Cell::take).unwrap_or_default()
}

fn keep(slot: &'static Slot, buffer: Vec<u8>) {
    if buffer.capacity() <= MOST_KEPT {
        let _ = slot.try_with(|slot| slot.set(buffer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_user_left_the_next_does_not_send() {
        keep_encoding(vec![1, 2, 3]);
        let buffer = encoding();
        assert!(buffer.is_empty() && buffer.capacity() >= 3);
    }
}
