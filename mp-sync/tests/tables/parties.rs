//! Whether a barrier's parties live, as the models know it.

use mp_core::word::Owned;
use mp_model::FIRST;

/// No party dies, or no death is to be noticed.
pub(crate) fn all_live() -> bool {
    true
}

/// Whether the party that is started first lives.
pub(crate) fn first_lives<O: Owned>() -> bool {
    !O::is_dead(FIRST)
}
