//! Family: the processes that descend from one main process, by a number that they share.
//!
//! It is no secret (that is the [`AuthKey`](super::AuthKey)) and cannot be set: whatever serves a whole family is
//! found by it.

use crate::component::{Component, Rank, Steps};
use crate::error::OsResult;
use crate::sys::process::random_bytes;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Which family a process belongs to: 128 random bits, shown as 32 hexadecimal digits.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Family(u128);

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

static OURS: Mutex<Option<Family>> = Mutex::new(None);

pub(super) static COMPONENT: Component =
    Component::new(Rank::Family, Steps { hold: Some(|| Box::new(ours())), ..Steps::NONE });

fn ours() -> MutexGuard<'static, Option<Family>> {
    COMPONENT.register();
    OURS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// In a child: it is of its parent's family.
pub(crate) fn join(family: Family) {
    *ours() = Some(family);
}

impl Family {
    /// The family of this process: made up by whichever asks first, or starts a child first; children inherit it,
    /// by every start method.
    pub fn of_this_process() -> OsResult<Family> {
        let mut ours = ours();
        if let Some(family) = *ours {
            return Ok(family);
        }
        let mut bytes = [0; 16];
        random_bytes(&mut bytes)?;
        Ok(*ours.insert(Family(u128::from_ne_bytes(bytes))))
    }
}
