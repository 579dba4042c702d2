//! SharedDict: a map in shared memory, without a server.
//!
//! | file         | what                                                        |
//! |--------------|--------------------------------------------------------------|
//! | `mod.rs`     | the type; one key: look up, insert, remove                  |
//! | `change.rs`  | one key: read, decide and write in one step                 |
//! | `tries.rs`   | a function of the program's is called again; pauses         |
//! | `whole.rs`   | all entries                                                 |
//! | `packing.rs` | keys and values as bytes                                    |
//! | `number.rs`  | what can be added to                                        |
//! | `memory.rs`  | the memory of a dict in this process                        |
//! | `table/`     | the algorithm, over words: bytes in, bytes out              |

mod change;
mod error;
mod memory;
mod number;
mod packing;
mod table;
mod tries;
mod whole;

pub use error::DictError;
pub use number::Integer;

use memory::Memory;
use mp_core::CreateError;
use mp_core::transfer::KeyOf;
use packing::{Buffers, pack_key, pack_value, unpacked};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::hash_map::DefaultHasher;
use std::hash::Hasher;
use std::marker::PhantomData;
use std::sync::Arc;
use table::{Expected, Found, Key, Refused, Table};
use tries::{Entry, has_written};

/// A map in shared memory: keys and values of any serde types, up to a number of entries and of bytes. Every process
/// that has a handle reads and writes it itself. There is no server, so a call costs well below a microsecond, and
/// no process is needed for the others to go on.
///
/// ```
/// use mp_sync::SharedDict;
///
/// // At most 1000 entries in 1 MiB.
/// let ages = SharedDict::<String, u32>::new(1000, 1 << 20)?;
/// ages.insert("Ada", &36)?;
/// assert_eq!(ages.get("Ada")?, Some(36));
/// ages.update("Ada", |age| age.map(|age| age + 1))?;
/// assert_eq!(ages.remove("Ada")?, Some(37));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Clones share the map, and so do copies that are sent to other processes as arguments, results or messages, and
/// handles that a fork inherits. It lives as long as any handle, in any process.
///
/// # One step
/// Each call is one step for all others, and two calls are two: `get` and then `insert` may lose what another process
/// writes in between. [`update`](SharedDict::update), [`compare_exchange`](SharedDict::compare_exchange),
/// [`fetch_add`](SharedDict::fetch_add) and [`get_or_insert`](SharedDict::get_or_insert) lose nothing.
///
/// # Waiting
/// No call waits for an entry or for room. A call waits only while another one copies bytes: it holds the map's lock
/// meanwhile. No code of yours (a `Serialize`, a function of `update`) runs under the lock. If a process is
/// *stopped* (SIGSTOP) just then, the others wait until it goes on.
///
/// # Keys and values
/// They are packed as messages are. Keys are equal if they pack to equal bytes. What comes out is a copy: a change of
/// it is not seen by the map. Handles (locks, queues, connections) cannot be stored. Calls take keys and values by
/// reference, so nothing is lost when one fails.
///
/// # Memory
/// An entry takes 64 bytes if its key and value pack to 44 or less, and 64 more for each further 60. Its place
/// in the index takes some 6 bytes more, which do not count as its own. Pages are taken from the system when they
/// are needed, and given back by [`clear`](SharedDict::clear) and with the last handle; address space is taken at once.
/// (A process that locks its future memory, by `mlockall(MCL_FUTURE)`, takes all pages with it.) A value that is
/// replaced takes its room until the new one is there. Without memory for a new entry a call is [`DictError::Memory`].
/// Without memory for a larger index entries are added all the same, and calls take longer: each one that is added asks
/// again.
///
/// # When a process dies
/// Killed at any instruction of any call, it leaves the map as it was before the call or as it is after. What has
/// returned is there. The others go on at once.
///
/// # Errors
/// [`DictError`]: the map is as it was.
///
/// Python has no counterpart. Its users build one by hand on `SharedMemory`, beside `Manager().dict()`, in which every
/// call asks a server. `mp::DictProxy` is that one: it has no bound and can hold proxies.
pub struct SharedDict<K, V> {
    table: Arc<Table<Memory>>,
    entries: PhantomData<fn() -> (K, V)>,
}

impl<K, V> SharedDict<K, V> {
    /// Makes an empty map for at most `max_entries` entries, which together take at most `max_bytes` bytes (see
    /// [Memory](SharedDict#memory)). With its index it may have 16 GiB.
    ///
    /// # Errors
    /// No room at all, or more than 16 GiB; no address space or no descriptor for the shared object.
    pub fn new(max_entries: usize, max_bytes: usize) -> Result<SharedDict<K, V>, CreateError> {
        Ok(SharedDict::over(Memory::create(memory::kind::<K, V>(), max_entries, max_bytes)?))
    }

    fn over(memory: Memory) -> SharedDict<K, V> {
        SharedDict { table: Arc::new(Table::new(memory)), entries: PhantomData }
    }

    fn hashed<'a>(&self, bytes: &'a [u8]) -> Key<'a> {
        let mut hash = DefaultHasher::new();
        hash.write_u64(self.table.storage().seed());
        hash.write(bytes);
        Key { bytes, hash: hash.finish() as u32 }
    }

    /// What tells an entry from others, of any dict.
    #[inline]
    fn entry(&self, key: Key<'_>) -> Entry {
        Entry { dict: self.table.storage().seed(), key: key.hash }
    }

    /// Is [`Table::swap`], which a function of `update` that this thread is in may call.
    #[inline]
    fn swap(
        &self,
        key: Key<'_>,
        expected: Expected<'_>,
        value: Option<&[u8]>,
        payload: &mut Vec<u8>,
    ) -> Result<Found, Refused> {
        let found = self.table.swap(key, expected, value, payload)?;
        if found.swapped {
            has_written(Some(self.entry(key)));
        }
        Ok(found)
    }

    /// Whether a key has a value.
    ///
    /// Python: `key in d`.
    pub fn contains_key<Q: KeyOf<K> + ?Sized>(&self, key: &Q) -> Result<bool, DictError> {
        self.with_payload(key, |found| Ok(found.is_some()))
    }

    /// Gives the bytes of a key's value to a function.
    fn with_payload<Q: KeyOf<K> + ?Sized, R>(
        &self,
        key: &Q,
        see: impl FnOnce(Option<&[u8]>) -> Result<R, DictError>,
    ) -> Result<R, DictError> {
        let mut buffers = Buffers::take();
        let end = pack_key(key, &mut buffers.packed)?;
        let found = self.table.get(self.hashed(&buffers.packed), &mut buffers.payload);
        let there = found.map_err(|refused| DictError::of(refused, end))?;
        see(there.then(|| &buffers.payload[end..]))
    }
}

impl<K, V: DeserializeOwned> SharedDict<K, V> {
    /// A copy of the value of a key.
    ///
    /// Python: `d.get(key)`.
    pub fn get<Q: KeyOf<K> + ?Sized>(&self, key: &Q) -> Result<Option<V>, DictError> {
        self.with_payload(key, |found| found.map(unpacked).transpose())
    }

    /// Removes a key, and gives the value that it had.
    ///
    /// Python: `d.pop(key, None)`.
    #[doc(alias = "pop")]
    pub fn remove<Q: KeyOf<K> + ?Sized>(&self, key: &Q) -> Result<Option<V>, DictError> {
        let mut buffers = Buffers::take();
        let end = pack_key(key, &mut buffers.packed)?;
        let key = self.hashed(&buffers.packed);
        let found = self.swap(key, Expected::Anything, None, &mut buffers.payload);
        let had = found.map_err(|refused| DictError::of(refused, end))?.had;
        had.then(|| unpacked(&buffers.payload[end..])).transpose()
    }
}

impl<K, V: Serialize + DeserializeOwned> SharedDict<K, V> {
    /// Gives a key a value, and returns the one that it had.
    ///
    /// # Errors
    /// [`DictError::Full`] and [`DictError::TooLarge`], of a value that takes its key's place too: both have room
    /// for a moment.
    ///
    /// Python: `d[key] = value`.
    #[doc(alias = "set")]
    pub fn insert<Q: KeyOf<K> + ?Sized>(&self, key: &Q, value: &V) -> Result<Option<V>, DictError> {
        self.swapped(key, Expected::Anything, value, |had| had.map(unpacked).transpose())
    }

    /// Gives a key a value, if it has what is expected. `see` gets the bytes of the value that it had.
    fn swapped<Q: KeyOf<K> + ?Sized, R>(
        &self,
        key: &Q,
        expected: Expected<'_>,
        value: &V,
        see: impl FnOnce(Option<&[u8]>) -> Result<R, DictError>,
    ) -> Result<R, DictError> {
        let mut buffers = Buffers::take();
        let middle = pack_key(key, &mut buffers.packed)?;
        let end = pack_value(value, &mut buffers.packed)?;
        let (key, value) = buffers.packed.split_at(middle);
        let found = self.swap(self.hashed(key), expected, Some(value), &mut buffers.payload);
        let had = found.map_err(|refused| DictError::of(refused, end))?.had;
        see(had.then(|| &buffers.payload[middle..]))
    }
}

impl<K, V> Clone for SharedDict<K, V> {
    fn clone(&self) -> Self {
        SharedDict { table: Arc::clone(&self.table), entries: PhantomData }
    }
}

/// Within a transfer only.
impl<K, V> Serialize for SharedDict<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.table.storage().mapping().serialize(serializer)
    }
}

impl<'de, K, V> Deserialize<'de> for SharedDict<K, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = std::any::type_name::<SharedDict<K, V>>();
        let mapping = mp_core::transfer::attach(deserializer, memory::kind::<K, V>(), expected)?;
        Ok(SharedDict::over(Memory::attach(mapping).map_err(D::Error::custom)?))
    }
}
