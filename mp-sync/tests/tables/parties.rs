//! What a barrier is told of its parties: the models' own word on who lives.

use mp_core::word::Owned;
use mp_model::FIRST;

/// Nobody dies, or nobody is to notice.
pub(crate) fn all_live() -> bool {
    true
}

/// Whether the one lives who is started first.
pub(crate) fn first_lives<O: Owned>() -> bool {
    !O::is_dead(FIRST)
}
