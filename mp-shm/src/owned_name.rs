//! OwnedName: the name of a block that this process owns and does not map: a manager's.

use crate::error::SharedMemoryError;
use crate::name::Name;
use crate::owner::{self, Ownership};
use std::fmt;
use std::sync::Arc;

/// The name of a block, which this process owns without a mapping or a descriptor of it. It is unlinked when this is
/// dropped, or when the process ends, whatever ends it.
///
/// Internal: a manager's server keeps one for each block of its clients.
#[doc(hidden)]
pub struct OwnedName {
    name: Name,
    ownership: Arc<Ownership>,
}

impl OwnedName {
    /// Makes a block of `size` zero bytes with a random name.
    pub fn make(size: usize) -> Result<OwnedName, SharedMemoryError> {
        if size == 0 {
            return Err(SharedMemoryError::NoSize);
        }
        owner::with_random_name(|name| {
            let (_, ownership) = owner::make(&name, size)?;
            Ok(OwnedName { name, ownership })
        })
    }

    /// Takes over the name of a block that another process has made.
    ///
    /// # Errors
    /// No block has the name, or it belongs to another user.
    pub fn adopt(name: &str) -> Result<OwnedName, SharedMemoryError> {
        let name = Name::new(name).map_err(SharedMemoryError::Name)?;
        let file = owner::open(&name)?;
        let ownership = Ownership::begin(&name, &file)?;
        Ok(OwnedName { name, ownership })
    }

    /// Without the leading slash.
    pub fn name(&self) -> &str {
        self.name.bare()
    }
}

impl Drop for OwnedName {
    fn drop(&mut self) {
        self.ownership.dropped();
    }
}

impl fmt::Debug for OwnedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OwnedName").field(&self.name()).finish()
    }
}
