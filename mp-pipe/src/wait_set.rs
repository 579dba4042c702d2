//! WaitSet: a kept set of objects to wait for (Python: `selectors.DefaultSelector`).
//!
//! ```text
//!   add ──► slot ──► the system's set ──wait──► readable: does it report readiness itself?
//!             │                                   no ─────────► ready
//!             │                                   yes, it is ─► ready
//!             │                                   no, it isn't: resynced, and no longer readable
//!             ├──► asked: members that report it themselves; all of them, four times a second
//!             └──► always: files that the system does not wait for
//! ```
//!
//! [`wait()`](crate::wait()) passes each object to the system in each call. A set passes it once, and the cost of a
//! wait grows with the number of ready members. A member that reports its readiness itself, such as a queue, is asked
//! when it is added and when its descriptor is readable: after the first question its producers make it readable.
//!
//! # In a forked child
//! The system's set is shared with the parent. So the child makes its own set at its first use, under the same number
//! and with the same members.
//! # When a process dies
//! Between a put and its signal: queues are asked every quarter of a second, as in [`wait()`](crate::wait()).
//! # Tested by
//! tests/wait_set.rs, tests/wait_set_processes.rs

use crate::error::PollError;
use crate::patience::Patience;
use crate::wait::{LOOK_AGAIN, earlier, late};
use mp_core::Waitable;
use mp_core::error::{OsError, OsResult};
use mp_core::sys::owning_process::OwningProcess;
use mp_core::sys::poll::Interest;
use mp_core::sys::waitset::{self, Ready, Room, is_always_ready, is_member};
use mp_core::word::Deadline;
use std::borrow::Borrow;
use std::collections::BTreeSet;
use std::collections::hash_map::{Entry, HashMap};
use std::fmt;
use std::hash::Hash;
use std::time::Duration;

/// A set of objects to wait for repeatedly, each under a key: connections, queues, sentinels of processes and anything
/// else with a descriptor.
///
/// [`wait()`](crate::wait()) takes a list and checks each object in each call, which is right for a few. A set gets
/// each object once, and the cost of a wait grows with the ready ones only: it is equal among 10,000 idle connections
/// and among ten. A set takes two descriptors, and each `add` is one system call.
///
/// A set owns its members, `W`: connections and queues are cheap to clone, and [`get`](WaitSet::get) returns them for
/// use. A connection's clone keeps its end open until it is removed. For objects of several types use `&dyn Waitable`
/// or `Box<dyn Waitable>`.
///
/// ```
/// use mp_pipe::{Receiver, RecvError, WaitSet, pipe_simplex};
///
/// let mut set: WaitSet<&str, Receiver<u32>> = WaitSet::new()?;
/// let (first, first_sender) = pipe_simplex()?;
/// let (second, second_sender) = pipe_simplex()?;
/// set.add("first", first)?;
/// set.add("second", second)?;
/// second_sender.send(&5)?;
/// assert_eq!(set.wait()?, ["second"]);
/// assert_eq!(set.get("second").unwrap().recv()?, 5);
/// first_sender.close();
/// for key in set.wait()? {
///     if let Err(RecvError::Closed) = set.get(key).unwrap().recv() {
///         set.remove(key);
///     }
/// }
/// assert_eq!(set.len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Python: `selectors.DefaultSelector`, for reading; `multiprocessing.connection.wait` makes one for each call.
#[doc(alias = "Selector")]
pub struct WaitSet<K, W = Box<dyn Waitable>> {
    set: waitset::WaitSet,
    /// The process that made the set.
    owner: OwningProcess,
    slots: Vec<Option<KeyedMember<K, W>>>,
    free: Vec<usize>,
    by_key: HashMap<K, usize>,
    /// Slots of those that say themselves whether they are ready.
    asked: BTreeSet<usize>,
    /// When they are asked again; `None`: there are none.
    look: Option<Deadline>,
    /// Slots of those that are always ready.
    always: BTreeSet<usize>,
    room: Room,
}

struct KeyedMember<K, W> {
    key: K,
    member: W,
}

impl<K: Eq + Hash + Clone, W: Waitable> WaitSet<K, W> {
    /// An empty one.
    ///
    /// # Errors
    /// The system's, where no more descriptors can be opened.
    pub fn new() -> OsResult<WaitSet<K, W>> {
        Ok(WaitSet {
            set: waitset::WaitSet::new()?,
            owner: OwningProcess::current(),
            slots: Vec::new(),
            free: Vec::new(),
            by_key: HashMap::new(),
            asked: BTreeSet::new(),
            look: None,
            always: BTreeSet::new(),
            room: Room::new(),
        })
    }

    /// Adds an object under a key that is not in the set. If it is ready already, the next wait returns it.
    ///
    /// # Errors
    /// The member comes back, with the reason: [`AddError::KeyTaken`]; [`AddError::Twice`] if the set has that very
    /// descriptor; [`AddError::Os`] where the system has no room for more.
    ///
    /// Python: `BaseSelector.register`.
    #[doc(alias = "register")]
    pub fn add(&mut self, key: K, member: W) -> Result<(), AddError<W>> {
        if let Err(error) = self.use_own_set_after_fork() {
            return Err(AddError::Os { member, error });
        }
        let Entry::Vacant(entry) = self.by_key.entry(key.clone()) else {
            return Err(AddError::KeyTaken(member));
        };
        let at = self.free.last().copied().unwrap_or(self.slots.len());
        let waited_for = match tell(&self.set, at, &member) {
            Ok(waited_for) => waited_for,
            Err(error) if is_member(&error) => return Err(AddError::Twice(member)),
            Err(error) => return Err(AddError::Os { member, error }),
        };
        entry.insert(at);
        if self.free.pop().is_none() {
            self.slots.push(None);
            self.room.make(self.slots.len());
        }
        if member.is_ready().is_some() {
            self.asked.insert(at);
            // Its producers signal from now on; this call signals for what was put before.
            member.resync();
            self.look = self.look.or_else(|| Deadline::after(LOOK_AGAIN));
        } else if !waited_for {
            self.always.insert(at);
        }
        self.slots[at] = Some(KeyedMember { key, member });
        Ok(())
    }

    /// Removes an object and returns it; `None` if the set has no object under that key.
    ///
    /// Python: `BaseSelector.unregister`.
    #[doc(alias = "unregister")]
    pub fn remove<Q: Eq + Hash + ?Sized>(&mut self, key: &Q) -> Option<W>
    where
        K: Borrow<Q>,
    {
        let at = self.by_key.remove(key)?;
        let slot = self.slots[at].take().expect("a key's slot is full");
        self.free.push(at);
        self.asked.remove(&at);
        if self.asked.is_empty() {
            self.look = None;
        }
        // In a forked child that has not come here before the system's set is not its own.
        if !self.always.remove(&at) && self.owner.is_current() {
            // Fails only if it is not there, and that is what is wanted.
            let _ = self.set.remove(slot.member.descriptor());
        }
        Some(slot.member)
    }

    /// What the set has under a key.
    pub fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<&W>
    where
        K: Borrow<Q>,
    {
        let slot = self.slots[*self.by_key.get(key)?].as_ref();
        Some(&slot.expect("a key's slot is full").member)
    }

    /// The keys and the members, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &W)> {
        self.slots.iter().flatten().map(|slot| (&slot.key, &slot.member))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Whether there are none; a wait without a timeout then never ends.
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    /// Waits until at least one can be read, and gives the keys of all that can, in no order. What is ready and not
    /// read is ready the next time, too. An empty set waits for ever.
    ///
    /// A connection whose other end is closed is ready, since `recv` would not wait; remove it after its
    /// [`RecvError::Closed`](crate::RecvError::Closed).
    ///
    /// # Errors
    /// The system's, in a forked child that can make no set of its own.
    ///
    /// Python: `BaseSelector.select`.
    #[doc(alias = "select")]
    pub fn wait(&mut self) -> Result<Vec<K>, PollError> {
        self.ready(Patience::Forever)
    }

    /// The keys of all that can be read now, in no order.
    ///
    /// # Errors
    /// [`PollError::WouldBlock`]: none can. Else as [`wait`](WaitSet::wait).
    pub fn try_wait(&mut self) -> Result<Vec<K>, PollError> {
        self.ready(Patience::Never)
    }

    /// Waits at most this long until at least one can be read, and gives the keys of all that can, in no order.
    /// [`Duration::MAX`] is without limit.
    ///
    /// # Errors
    /// [`PollError::Timeout`]: none could in time. Else as [`wait`](WaitSet::wait).
    ///
    /// Python: `BaseSelector.select(timeout)`, which gives an empty list.
    pub fn wait_timeout(&mut self, timeout: Duration) -> Result<Vec<K>, PollError> {
        self.ready(Patience::of(timeout))
    }

    fn ready(&mut self, patience: Patience) -> Result<Vec<K>, PollError> {
        let until = patience.deadline();
        self.use_own_set_after_fork()?;
        loop {
            self.ask_now_and_then();
            let until_then = if self.always.is_empty() {
                earlier(until, self.look)
            } else {
                Deadline::after(Duration::ZERO)
            };
            let mut ready: Vec<K> = self.always.iter().filter_map(|at| self.key(*at)).collect();
            for found in self.set.wait_for_all(&mut self.room, until_then)? {
                let Ready::Member(at) = found else { continue };
                let Some(slot) = &self.slots[at as usize] else { continue };
                match slot.member.is_ready() {
                    None | Some(true) => ready.push(slot.key.clone()),
                    Some(false) => slot.member.resync(),
                }
            }
            if !ready.is_empty() {
                return Ok(ready);
            }
            if until.is_some_and(Deadline::passed) {
                return Err(late(patience));
            }
        }
    }

    fn key(&self, at: usize) -> Option<K> {
        self.slots[at].as_ref().map(|slot| slot.key.clone())
    }

    /// The producer that was to signal an item may have been killed: brings the descriptor in line with the queue.
    fn ask_now_and_then(&mut self) {
        if !self.look.is_some_and(Deadline::passed) {
            return;
        }
        for slot in self.asked.iter().filter_map(|at| self.slots[*at].as_ref()) {
            if slot.member.is_ready() == Some(true) {
                slot.member.resync();
            }
        }
        self.look = Deadline::after(LOOK_AGAIN);
    }

    /// In a forked child that comes here for the first time.
    fn use_own_set_after_fork(&mut self) -> OsResult<()> {
        if self.owner.is_current() {
            return Ok(());
        }
        self.set.renew()?;
        for (at, slot) in self.slots.iter().enumerate() {
            if let Some(slot) = slot {
                tell(&self.set, at, &slot.member)?;
            }
        }
        self.owner = OwningProcess::current();
        Ok(())
    }
}

/// Tells the system of a member; whether it waits for such.
fn tell(set: &waitset::WaitSet, at: usize, member: &impl Waitable) -> OsResult<bool> {
    match set.add(member.descriptor(), at as u64, Interest::Read) {
        Err(error) if is_always_ready(&error) => Ok(false),
        other => other.map(|()| true),
    }
}

impl<K: fmt::Debug, W> fmt::Debug for WaitSet<K, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WaitSet ")?;
        f.debug_set().entries(self.slots.iter().flatten().map(|slot| &slot.key)).finish()
    }
}

/// The error of adding an object to a [`WaitSet`]. [`into_inner`](AddError::into_inner) returns the object.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum AddError<W> {
    /// The set has something under that key.
    #[error(
        "not added: the set has an object under that key already: remove it first, or choose another key"
    )]
    KeyTaken(W),
    /// The set has that very descriptor, under another key.
    #[error("not added: the set has that descriptor already, under another key: add each descriptor once")]
    Twice(W),
    /// The system refused: it has no memory, or a user may wait for no more (`ENOSPC`).
    #[error("not added: {error}")]
    Os {
        /// The thing.
        member: W,
        /// What the system said.
        #[source]
        error: OsError,
    },
}

impl<W> AddError<W> {
    /// The thing that was not added.
    pub fn into_inner(self) -> W {
        match self {
            AddError::KeyTaken(member) | AddError::Twice(member) | AddError::Os { member, .. } => member,
        }
    }
}

impl<W> fmt::Debug for AddError<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AddError::KeyTaken(_) => f.write_str("KeyTaken(..)"),
            AddError::Twice(_) => f.write_str("Twice(..)"),
            AddError::Os { error, .. } => f.debug_struct("Os").field("error", error).finish_non_exhaustive(),
        }
    }
}
