//! AuthKey: what the processes of one family know and others do not.

use crate::component::{Component, Rank, Steps};
use crate::error::OsResult;
use crate::sys::process::random_bytes;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use zeroize::Zeroizing;

/// Bytes of a key that the library makes itself.
const BYTES: usize = 32;

/// A secret by which connections prove that they belong together. It is never printed, cannot be serialised, and is
/// overwritten when it is dropped.
///
/// ```
/// let key = mp_core::current_process().authkey()?;
/// assert_eq!(format!("{key:?}"), "AuthKey(<key>)");
/// assert_eq!(key.as_bytes().len(), 32);
/// # Ok::<(), mp_core::OsError>(())
/// ```
///
/// Python: `multiprocessing.process.AuthenticationString`.
#[derive(Clone, PartialEq, Eq)]
pub struct AuthKey(Zeroizing<Vec<u8>>);

impl AuthKey {
    /// A key of the caller's own, to be shared with a program of another family. Under 16 bytes it can be guessed.
    pub fn new(bytes: impl Into<Vec<u8>>) -> AuthKey {
        AuthKey(Zeroizing::new(bytes.into()))
    }

    /// 32 bytes from the system's random source.
    pub fn random() -> OsResult<AuthKey> {
        let mut bytes = Zeroizing::new(vec![0; BYTES]);
        random_bytes(&mut bytes)?;
        Ok(AuthKey(bytes))
    }

    /// The bytes with which a child is given the key.
    pub(crate) fn into_inherited(self) -> Zeroizing<Vec<u8>> {
        self.0
    }

    /// The key of a child, from what its parent sent.
    pub(crate) fn inherited(bytes: Zeroizing<Vec<u8>>) -> AuthKey {
        AuthKey(bytes)
    }

    /// The secret itself.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for AuthKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuthKey(<key>)")
    }
}

static OURS: Mutex<Option<AuthKey>> = Mutex::new(None);

pub(super) static COMPONENT: Component =
    Component::new(Rank::AuthKey, Steps { hold: Some(|| Box::new(key())), ..Steps::NONE });

fn key() -> MutexGuard<'static, Option<AuthKey>> {
    COMPONENT.register();
    OURS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes this process's key, if there is none yet.
pub(super) fn prepare() -> OsResult<()> {
    let mut ours = key();
    if ours.is_none() {
        *ours = Some(AuthKey::random()?);
    }
    Ok(())
}

/// This process's key.
fn ours() -> OsResult<AuthKey> {
    prepare()?;
    Ok(key().clone().expect("just made, and never taken away"))
}

/// Gives this process, and the children that it starts from now on, another key.
///
/// Python: `current_process().authkey = key`.
pub fn set_authkey(key: AuthKey) {
    *self::key() = Some(key);
}

impl super::CurrentProcess {
    /// The key of this process: 32 random bytes made by the main process, which its children inherit, and theirs,
    /// until one is set.
    ///
    /// Python: `Process.authkey`.
    pub fn authkey(&self) -> OsResult<AuthKey> {
        ours()
    }
}
