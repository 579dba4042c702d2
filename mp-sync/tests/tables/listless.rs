//! A world without the kernel's list.

use crate::world::ModelOwned;
use mp_core::word::{Owned, Word};

/// A word that has an owner, on a system where the kernel keeps no list.
#[derive(Default)]
pub(crate) struct Listless<W>(W);

impl<W: Word> Owned for Listless<W> {
    type Word = W;
    fn word(&self) -> &W {
        &self.0
    }
    fn me() -> u32 {
        ModelOwned::me()
    }
    fn announce(&self) {}
    fn enlist(&self) {}
    fn delist(&self) {}
    fn retract(&self) {}
    fn kernel_tells() -> bool {
        false
    }
    fn is_dead(owner: u32) -> bool {
        ModelOwned::is_dead(owner)
    }
}
