//! A world without the kernel's list.

use crate::world::{ModelOwned, ModelWord};
use mp_core::word::Owned;

/// A lock on a system where the kernel keeps no list.
#[derive(Default)]
pub(crate) struct Listless(ModelOwned);

impl Owned for Listless {
    type Word = ModelWord;
    fn word(&self) -> &ModelWord {
        self.0.word()
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
