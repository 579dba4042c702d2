//! All entries of a dict.

use super::packing::unpacked;
use super::table::{Expected, Payloads, Refused};
use super::tries::{Tries, has_written};
use super::{DictError, SharedDict};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;

fn refused(refused: Refused) -> DictError {
    DictError::of(refused, 0)
}

impl<K, V> SharedDict<K, V> {
    /// The number of entries.
    ///
    /// Python: `len(d)`.
    pub fn len(&self) -> Result<usize, DictError> {
        Ok(self.table.len().map_err(|corrupt| refused(corrupt.into()))? as usize)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> Result<bool, DictError> {
        Ok(self.len()? == 0)
    }

    /// Removes all entries, in one step, and gives most of their memory back to the system.
    ///
    /// Python: `d.clear()`.
    pub fn clear(&self) -> Result<(), DictError> {
        self.table.clear().map_err(|corrupt| refused(corrupt.into()))?;
        has_written(None);
        Ok(())
    }

    fn all(&self) -> Result<Payloads, DictError> {
        self.table.all().map_err(refused)
    }
}

/// Copies, all from one moment, in no order. The calls of other processes wait while the bytes of all entries are
/// copied.
impl<K, V> SharedDict<K, V> {
    /// All keys.
    ///
    /// Python: `d.keys()`, `list(d)`.
    pub fn keys(&self) -> Result<Vec<K>, DictError>
    where
        K: DeserializeOwned,
    {
        self.all()?.iter().map(|(key, _)| unpacked(key)).collect()
    }

    /// All values.
    ///
    /// Python: `d.values()`.
    pub fn values(&self) -> Result<Vec<V>, DictError>
    where
        V: DeserializeOwned,
    {
        self.all()?.iter().map(|(_, value)| unpacked(value)).collect()
    }

    /// All keys with their values.
    ///
    /// ```
    /// let squares = mp_sync::SharedDict::<u32, u32>::new(100, 1 << 16)?;
    /// squares.extend((0..3).map(|x| (x, x * x)))?;
    /// let mut items = squares.items()?;
    /// items.sort();
    /// assert_eq!(items, [(0, 0), (1, 1), (2, 4)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// Python: `d.items()`, `d.copy()`.
    pub fn items(&self) -> Result<Vec<(K, V)>, DictError>
    where
        K: DeserializeOwned,
        V: DeserializeOwned,
    {
        self.all()?.iter().map(|(key, value)| Ok((unpacked(key)?, unpacked(value)?))).collect()
    }

    /// Removes the entries for which `keep` says `false`. Each is judged without a lock, and removed in a step of its
    /// own if it is as it was judged; one that has changed meanwhile is judged again, as in
    /// [`update`](SharedDict::update). Entries that come meanwhile stay.
    ///
    /// # Errors
    /// [`DictError::Nested`] if `keep` changes the entry that it judges, each time that it is called; an entry that is
    /// no value of its type.
    pub fn retain(&self, mut keep: impl FnMut(&K, &V) -> bool) -> Result<(), DictError>
    where
        K: DeserializeOwned,
        V: DeserializeOwned,
    {
        let mut payload = Vec::new();
        for (key_bytes, value) in self.all()?.iter() {
            let (key, mut value) = (unpacked(key_bytes)?, value.to_vec());
            let hashed = self.hashed(key_bytes);
            let mut tries = Tries::of(self.entry(hashed));
            loop {
                let judged = unpacked(&value)?;
                if tries.call(|| keep(&key, &judged)) {
                    break;
                }
                let expected = Expected::Exactly(Some(&value));
                let found = self.swap(hashed, expected, None, &mut payload).map_err(refused)?;
                let mut is_there = found.had && !found.swapped;
                if is_there && tries.failed()? {
                    is_there = self.table.get(hashed, &mut payload).map_err(refused)?;
                }
                if !is_there {
                    break;
                }
                value.clear();
                value.extend_from_slice(&payload[key_bytes.len()..]);
            }
        }
        Ok(())
    }
}

impl<K: Serialize, V: Serialize + DeserializeOwned> SharedDict<K, V> {
    /// Inserts all of them, each in a step of its own. On an error those before it are there.
    ///
    /// # Errors
    /// In the cases of [`insert`](SharedDict::insert).
    ///
    /// Python: `d.update(items)`.
    pub fn extend(&self, items: impl IntoIterator<Item = (K, V)>) -> Result<(), DictError> {
        let insert = |(key, value): (K, V)| self.swapped(&key, Expected::Anything, &value, |_| Ok(()));
        items.into_iter().try_for_each(insert)
    }
}

/// Shows the entries as a map, or `<busy>` if another thread uses it just then: it waits for nothing.
impl<K, V> fmt::Debug for SharedDict<K, V>
where
    K: DeserializeOwned + fmt::Debug,
    V: DeserializeOwned + fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = match self.table.try_all() {
            None => return f.write_str("SharedDict(<busy>)"),
            Some(Err(error)) => return write!(f, "SharedDict(<{}>)", refused(error)),
            Some(Ok(all)) => all,
        };
        let mut map = f.debug_map();
        for (key, value) in all.iter() {
            match (unpacked::<K>(key), unpacked::<V>(value)) {
                (Ok(key), Ok(value)) => map.entry(&key, &value),
                (Err(error), _) | (_, Err(error)) => map.entry(&format_args!("<{error}>"), &()),
            };
        }
        map.finish()
    }
}
