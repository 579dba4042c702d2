//! The key of a listener or client.

use mp_core::AuthKey;
use mp_core::current_process;
use mp_core::error::OsResult;

/// Where the key comes from.
#[derive(Debug, Clone)]
pub(crate) enum Key {
    /// This process's own, which the processes of its family share.
    OfThisProcess,
    Given(AuthKey),
    /// No key: no proof is asked for.
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
