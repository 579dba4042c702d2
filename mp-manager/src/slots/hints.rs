//! On which CPU each side runs: hints beside the words of the slots. No step of the protocol depends on them.
//!
//! Two that run on one CPU cannot answer each other while one of them spins. A side that knows it sleeps at once.

use super::{Shape, Slots};
use mp_core::word::{Ordering, Word};
use std::ops::Deref;

/// How far behind the word that it stands beside.
const BESIDE: usize = 1;
/// No CPU is known.
const UNKNOWN: u32 = 0;
/// In place of the server's CPU: a client is to sleep at once wherever it runs.
pub(crate) const EVERYWHERE: u32 = u32::MAX - 1;

#[derive(Debug)]
pub(crate) struct Hints<'a, W> {
    words: &'a [W],
    shape: Shape,
}

impl<W: Word, V: Deref<Target = [W]>> Slots<V> {
    #[inline]
    pub(crate) fn hints(&self) -> Hints<'_, W> {
        Hints { words: &self.words, shape: self.shape }
    }
}

impl<W: Word> Hints<'_, W> {
    fn server(&self) -> &W {
        &self.words[BESIDE]
    }

    #[inline]
    fn client(&self, slot: u32) -> &W {
        &self.words[self.shape.slot_at(slot) + BESIDE]
    }

    /// Client: where it runs, said before each request. Gives whether it is to sleep at once: the server runs there
    /// too, or says [`EVERYWHERE`].
    #[inline]
    pub(crate) fn client_runs_on(&self, slot: u32, cpu: Option<u32>) -> bool {
        let here = encoded(cpu);
        // ORDERING: Relaxed, here and below: a hint.
        self.client(slot).store(here, Ordering::Relaxed);
        let server = self.server().load(Ordering::Relaxed);
        here != UNKNOWN && (here == server || server == encoded(Some(EVERYWHERE)))
    }

    /// Server: where it runs. `None`: clients are not to mind.
    pub(crate) fn server_runs_on(&self, cpu: Option<u32>) {
        self.server().store(encoded(cpu), Ordering::Relaxed);
    }

    /// Where the client of a slot ran when it asked.
    #[inline]
    pub(crate) fn client_ran_on(&self, slot: u32) -> Option<u32> {
        self.client(slot).load(Ordering::Relaxed).checked_sub(1)
    }
}

/// All zeros is no CPU.
fn encoded(cpu: Option<u32>) -> u32 {
    cpu.map_or(UNKNOWN, |cpu| cpu.wrapping_add(1))
}
