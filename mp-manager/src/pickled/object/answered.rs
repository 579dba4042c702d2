//! What a call on an object gives, and what the objects' calls have in common.

use crate::pickled::arguments::Asked;
use crate::pickled::held::Held;
use crate::pickled::raised::Raised;

pub(super) type Answered = Result<Held, Raised>;

/// The answer of a call that gives nothing.
pub(super) fn nothing() -> Answered {
    Ok(Held::default())
}

pub(super) fn unknown(kind: &str, asked: &Asked) -> Answered {
    Err(Raised::attribute(format!("'{kind}' object has no attribute '{}'", asked.method)))
}
