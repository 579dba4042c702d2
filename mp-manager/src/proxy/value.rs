//! ValueProxy: one value in the server.

use super::{Number, proxy, show};
use crate::error::ManagerError;
use crate::packed::pack_for;
use crate::protocol::{Call, CellCall, Packed};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;

proxy! {
    /// One value in the manager's process.
    ///
    /// `mp_sync::Value` does the same in shared memory, without a server, for types that can lie there.
    ///
    /// Python: what `SyncManager.Value` returns.
    ValueProxy<T>, Value
}

impl<T: Serialize + DeserializeOwned> ValueProxy<T> {
    fn pack(&self, value: &T) -> Result<Packed, ManagerError> {
        pack_for(self.reference.manager(), value)
    }

    /// The value, copied. Python: `v.value`, `v.get()`.
    pub fn get(&self) -> Result<T, ManagerError> {
        self.reference.value(Call::Cell(CellCall::Get))
    }

    /// Replaces the value, and returns the one before. Python: `v.value = x`, `v.set(x)`.
    pub fn set(&self, value: T) -> Result<T, ManagerError> {
        self.reference.value(Call::Cell(CellCall::Set(self.pack(&value)?)))
    }

    /// Adds to a number, and returns the one before. One step, and one round trip.
    ///
    /// # Errors
    /// [`ManagerError::Overflow`]: the number is as it was.
    pub fn fetch_add(&self, by: T) -> Result<T, ManagerError>
    where
        T: Number,
    {
        self.reference.value(Call::Cell(CellCall::Add(T::KIND, self.pack(&by)?.message.bytes)))
    }

    /// If the value is `expected`, it becomes `new`. `Ok(Err(value))`: it is another one, and nothing was changed.
    /// Values are equal if they pack to equal bytes.
    pub fn compare_exchange(&self, expected: &T, new: T) -> Result<Result<T, T>, ManagerError> {
        let (expected, new) = (self.pack(expected)?.message.bytes, self.pack(&new)?);
        let call = CellCall::CompareExchange { expected: expected.clone(), new };
        self.reference.exchange(&expected, Call::Cell(call))
    }

    /// Changes the value: `change` gets it, and gives the new one, which is returned. No other write comes between.
    ///
    /// The function runs here, in the calling process, and may capture what it likes. It costs two round trips.
    /// Meanwhile readers see the old value, and other writers wait. If the function panics, or this process dies,
    /// nothing is changed.
    ///
    /// # Errors
    /// [`ManagerError::WouldDeadlock`] of a write of this value within `change`, and of one for which a caller is
    /// waited for that waits for this change.
    pub fn update(&self, change: impl FnOnce(T) -> T) -> Result<T, ManagerError> {
        let (reply, begun) =
            self.reference.begin(Call::Cell(CellCall::Begin), Call::Cell(CellCall::Abort))?;
        let new = change(self.reference.unpack_one(reply)?);
        let packed = self.pack(&new)?;
        begun.commit(Call::Cell(CellCall::Commit(packed)))?;
        Ok(new)
    }
}

/// Shows the value: it asks the manager.
impl<T: Serialize + DeserializeOwned + fmt::Debug> fmt::Debug for ValueProxy<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(f, "ValueProxy", self.get())
    }
}
