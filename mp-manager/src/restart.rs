//! Restart: what happens when the process of a supervised object ends.

use serde::{Deserialize, Serialize};

/// What happens when the process of a supervised object ends: with `abort`, by a signal, by `exit`.
///
/// The call that it ended in returns [`ManagerError::ObjectDied`](crate::ManagerError::ObjectDied), whatever the
/// policy. A restarted object is as its constructor makes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Restart {
    /// It stays dead: all later calls return the error, too.
    Never,
    /// It is started again so many times.
    UpTo(u32),
    /// It is started again each time.
    Always,
}

impl Restart {
    /// Whether it is to be started once more; counted.
    pub(crate) fn allows(&mut self) -> bool {
        match self {
            Restart::Never => false,
            Restart::Always => true,
            Restart::UpTo(left) => {
                let allowed = *left > 0;
                *left = left.saturating_sub(1);
                allowed
            }
        }
    }
}
