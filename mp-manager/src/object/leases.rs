//! Leases: which value a client is about to change, by `Begin` and `Commit`.
//!
//! ```text
//!   FREE ──Begin──► LEASED by a thread of a client ──Commit, Abort──► FREE
//!                     │ the client dies: the value is as it was
//!                     └──────────────────────────────────────────────► FREE
//! ```
//! Reads go on meanwhile and see the old value: the change happens at its commit. Writes of others wait. A write by the
//! thread that has the lease would wait for itself: it is an error.

use super::attempt::{Attempt, Caller, ClientId};
use crate::protocol::Failure;
use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;

/// Leases of the places `K`: the keys of a dict, or `()` for the whole object.
#[derive(Debug)]
pub(crate) struct Leases<K>(HashMap<K, Caller>);

impl<K> Default for Leases<K> {
    fn default() -> Self {
        Leases(HashMap::new())
    }
}

impl<K: Eq + Hash + Clone> Leases<K> {
    /// Whether this caller may write there now; if not, what becomes of its call.
    pub(crate) fn check<'a, Q: Eq + Hash + ?Sized + 'a>(
        &self,
        caller: Caller,
        places: impl IntoIterator<Item = &'a Q>,
    ) -> Result<(), Attempt>
    where
        K: Borrow<Q>,
    {
        if self.0.is_empty() {
            return Ok(());
        }
        access(caller, places.into_iter().filter_map(|place| self.0.get(place)))
    }

    /// Whether this caller may write everywhere now.
    pub(crate) fn check_all(&self, caller: Caller) -> Result<(), Attempt> {
        access(caller, self.0.values())
    }

    pub(crate) fn has(&self, caller: Caller) -> bool {
        self.0.values().any(|holder| *holder == caller)
    }

    pub(crate) fn begin(&mut self, caller: Caller, places: impl IntoIterator<Item = K>) {
        self.0.extend(places.into_iter().map(|place| (place, caller)));
    }

    /// Ends the leases of these places; an error if one of them is not the caller's.
    pub(crate) fn end<'a>(
        &mut self,
        caller: Caller,
        places: impl IntoIterator<Item = &'a K> + Clone,
    ) -> Result<(), Failure>
    where
        K: 'a,
    {
        if places.clone().into_iter().any(|place| self.0.get(place) != Some(&caller)) {
            return Err(Failure::NotChanging);
        }
        for place in places {
            self.0.remove(place);
        }
        Ok(())
    }

    pub(crate) fn client_gone(&mut self, client: ClientId) {
        self.0.retain(|_, holder| holder.client != client);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Whether a caller may not write somewhere since it changes that itself.
pub(super) fn is_its_own(check: &Result<(), Attempt>) -> bool {
    matches!(check, Err(Attempt::Done(Err(Failure::WouldDeadlock))))
}

fn access<'a>(caller: Caller, holders: impl Iterator<Item = &'a Caller>) -> Result<(), Attempt> {
    let mut found = Ok(());
    for holder in holders {
        if *holder == caller {
            return Err(Failure::WouldDeadlock.into());
        }
        found = Err(Attempt::Wait);
    }
    found
}
