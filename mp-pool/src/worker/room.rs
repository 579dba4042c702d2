//! Where a chunk's results go.

use crate::memory::Memory;

pub(super) struct Room {
    /// The next one.
    pub(super) at: usize,
    pub(super) left: usize,
    pub(super) written: usize,
}

impl Room {
    /// Writes the next bytes, which fit.
    #[inline]
    pub(super) fn write(&mut self, memory: &Memory, bytes: &[u8]) {
        memory.bytes.write(self.at, bytes);
        self.at += bytes.len();
        self.left -= bytes.len();
        self.written += bytes.len();
    }
}
