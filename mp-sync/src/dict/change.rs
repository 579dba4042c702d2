//! One key, read and written in one step.
//!
//! What a function of the caller's makes of a value is written only if the key still has the bytes that the function
//! was given; otherwise the function is called again. So no user code runs under the lock, and a function that panics,
//! waits, or dies holds up no other process.

use super::packing::{Buffers, pack_key, pack_value, unpacked};
use super::tries::Tries;
use super::{DictError, Expected, Integer, SharedDict};
use mp_core::transfer::KeyOf;
use serde::Serialize;
use serde::de::DeserializeOwned;

impl<K, V: Serialize + DeserializeOwned> SharedDict<K, V> {
    /// Changes a key's value: `change` gets what the key has, and gives what it is to have (`None`: the key is
    /// removed), which is returned. No other write of that key comes between, so nothing is lost.
    ///
    /// ```
    /// let hits = mp_sync::SharedDict::<String, u64>::new(100, 1 << 16)?;
    /// let count = |count: Option<u64>| Some(count.unwrap_or(0) + 1);
    /// assert_eq!(hits.update("home", count)?, Some(1));
    /// assert_eq!(hits.update("home", count)?, Some(2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// The function runs in the calling process without any lock. If another process has changed the value meanwhile,
    /// it is called again with the new one: a slow function beside fast writers of the same key may be called many
    /// times. If it panics, nothing is changed.
    ///
    /// The function may use this map and others, and may write other keys. What it writes is written each time that it
    /// is called. Where it is called again after it has written, there is a pause of a random length before, of at most
    /// sixteen times what the function took, or 0.1 s: two processes, each in `update` of a key that the other one's
    /// function writes, get on one after the other.
    ///
    /// # Errors
    /// [`DictError::Nested`] if the function writes the key itself, each time that it is called; else in the cases of
    /// [`insert`](SharedDict::insert).
    ///
    /// Python has no counterpart: `d[key] += 1` on a managed dict loses updates.
    pub fn update<Q: KeyOf<K> + ?Sized>(
        &self,
        key: &Q,
        mut change: impl FnMut(Option<V>) -> Option<V>,
    ) -> Result<Option<V>, DictError> {
        self.try_update(key, |value| Ok(change(value)))
    }

    /// As [`update`](SharedDict::update), with a function that may fail: nothing is changed then.
    fn try_update<Q: KeyOf<K> + ?Sized>(
        &self,
        key: &Q,
        mut change: impl FnMut(Option<V>) -> Result<Option<V>, DictError>,
    ) -> Result<Option<V>, DictError> {
        let mut buffers = Buffers::take();
        let middle = pack_key(key, &mut buffers.packed)?;
        let mut seen = Vec::new();
        let mut had = {
            let key = self.hashed(&buffers.packed);
            self.table.get(key, &mut seen).map_err(|refused| DictError::of(refused, middle))?
        };
        let mut tries = Tries::of(self.entry(self.hashed(&buffers.packed)));
        loop {
            let before = had.then(|| &seen[middle..]);
            let before_it = before.map(unpacked).transpose()?;
            let new = tries.call(|| change(before_it))?;
            buffers.packed.truncate(middle);
            let end = new.as_ref().map_or(Ok(middle), |value| pack_value(value, &mut buffers.packed))?;
            let (key, value) = buffers.packed.split_at(middle);
            let (expected, value) = (Expected::Exactly(before), new.is_some().then_some(value));
            let found = self.swap(self.hashed(key), expected, value, &mut buffers.payload);
            let found = found.map_err(|refused| DictError::of(refused, end))?;
            if found.swapped {
                return Ok(new);
            }
            had = found.had;
            std::mem::swap(&mut seen, &mut buffers.payload);
            if tries.failed()? {
                let key = self.hashed(&buffers.packed[..middle]);
                had = self.table.get(key, &mut seen).map_err(|refused| DictError::of(refused, middle))?;
            }
        }
    }

    /// The value of a key, which gets this one first if it has none.
    ///
    /// Python: `d.setdefault(key, value)`.
    #[doc(alias = "setdefault")]
    pub fn get_or_insert<Q: KeyOf<K> + ?Sized>(&self, key: &Q, value: V) -> Result<V, DictError> {
        let there =
            self.swapped(key, Expected::Exactly(None), &value, |had| had.map(unpacked).transpose())?;
        Ok(there.unwrap_or(value))
    }

    /// As [`get_or_insert`](SharedDict::get_or_insert), with a value that is made only if the key has none. Of several
    /// processes that make one at the same time, all get the value of the first.
    ///
    /// Python: `d.setdefault(key, value)`.
    pub fn get_or_insert_with<Q: KeyOf<K> + ?Sized>(
        &self,
        key: &Q,
        make: impl FnOnce() -> V,
    ) -> Result<V, DictError> {
        match self.get(key)? {
            Some(value) => Ok(value),
            None => self.get_or_insert(key, make()),
        }
    }

    /// If the value of a key is `expected` (`None`: it has none), it becomes `new` (`None`: the key is removed).
    /// `Ok(Err(value))`: it is another one, and nothing was changed. Values are equal if they pack to equal bytes.
    ///
    /// ```
    /// let owners = mp_sync::SharedDict::<u32, String>::new(100, 1 << 16)?;
    /// let me = "me".to_owned();
    /// assert_eq!(owners.compare_exchange(&7, None, Some(&me))?, Ok(()));
    /// assert_eq!(owners.compare_exchange(&7, None, Some(&"you".to_owned()))?, Err(Some(me)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// In the cases of [`insert`](SharedDict::insert).
    ///
    /// Python has no counterpart.
    pub fn compare_exchange<Q: KeyOf<K> + ?Sized>(
        &self,
        key: &Q,
        expected: Option<&V>,
        new: Option<&V>,
    ) -> Result<Result<(), Option<V>>, DictError> {
        let mut buffers = Buffers::take();
        let middle = pack_key(key, &mut buffers.packed)?;
        let pack = |value: &V, onto: &mut Vec<u8>| pack_value(value, onto).map(drop);
        new.map_or(Ok(()), |value| pack(value, &mut buffers.packed))?;
        let mut before = Vec::new();
        expected.map_or(Ok(()), |value| pack(value, &mut before))?;
        let (key, value) = buffers.packed.split_at(middle);
        let (expected, value) =
            (Expected::Exactly(expected.map(|_| &before[..])), new.is_some().then_some(value));
        let found = self.swap(self.hashed(key), expected, value, &mut buffers.payload);
        let found = found.map_err(|refused| DictError::of(refused, buffers.packed.len()))?;
        if found.swapped {
            return Ok(Ok(()));
        }
        Ok(Err(found.had.then(|| unpacked(&buffers.payload[middle..])).transpose()?))
    }

    /// Adds to a number, and returns the one before; a key without a value has 0.
    ///
    /// # Errors
    /// [`DictError::Overflow`]: the number is as it was. Otherwise in the cases of [`insert`](SharedDict::insert).
    ///
    /// Python has no counterpart: `d[key] += 1` on a managed dict loses updates.
    pub fn fetch_add<Q: KeyOf<K> + ?Sized>(&self, key: &Q, by: V) -> Result<V, DictError>
    where
        V: Integer,
    {
        let mut before = V::default();
        self.try_update(key, |value| {
            before = value.unwrap_or_default();
            before.plus(by).map(Some).ok_or(DictError::Overflow)
        })?;
        Ok(before)
    }
}
