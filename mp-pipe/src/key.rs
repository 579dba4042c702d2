//! Which key a listener or client has.

use mp_core::AuthKey;
use mp_core::current_process;
use mp_core::error::OsResult;

/// Which one.
#[derive(Debug, Clone)]
pub(crate) enum Key {
    /// The one that its relatives have, too.
    OfThisProcess,
    Given(AuthKey),
    /// Nothing is proved.
    Without,
}

impl Key {
    pub(crate) fn resolve(self) -> OsResult<Option<AuthKey>> {
        match self {
            Key::OfThisProcess => current_process().authkey().map(Some),
            Key::Given(key) => Ok(Some(key)),
            Key::Without => Ok(None),
        }
    }
}
