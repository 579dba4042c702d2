//! The tasks of a queue: which clients have items that are not done, and how many were lost with processes that died.
//!
//! ```text
//!   put ──► unfinished ── got by a client ──┬── done by it ───────────────► done
//!                                           ├── done by another one ──────► done; see `done` for whose it was
//!                                           ├── its connection ends ──────► lost; each client's next join is told
//!                                           └── a thread of Python's ends ► of no client: its process may live
//! ```

use super::attempt::ClientId;
use crate::protocol::Failure;
use std::collections::HashMap;

#[derive(Debug, Default)]
pub(crate) struct Tasks {
    /// Put, and not done.
    unfinished: u64,
    /// How many items each client has got and not done.
    got: HashMap<ClientId, u64>,
    /// Got by threads of Python that have ended, and not done.
    of_none: u64,
    /// Since the queue was made.
    lost: u64,
    /// How many of the lost ones the joins of a client have returned.
    told: HashMap<ClientId, u64>,
}

impl Tasks {
    pub(crate) fn put(&mut self) {
        self.unfinished += 1;
    }

    pub(crate) fn undo_put(&mut self) {
        self.unfinished = self.unfinished.saturating_sub(1);
    }

    pub(crate) fn get(&mut self, client: ClientId) {
        *self.got.entry(client).or_default() += 1;
    }

    /// It has not read the item.
    pub(crate) fn undo_get(&mut self, client: ClientId) {
        self.take_one(client);
    }

    /// One of the client's own is done; if it has none, one of no client, else one of the client that has most.
    pub(crate) fn done(&mut self, client: ClientId) -> Result<(), Failure> {
        self.unfinished = self.unfinished.checked_sub(1).ok_or(Failure::OverReleased)?;
        if self.take_one(client) {
            return Ok(());
        }
        // One that a client has would be counted as lost when that client is killed: those of no client go first.
        if self.of_none > 0 {
            self.of_none -= 1;
        } else {
            let most = self.got.iter().max_by_key(|(_, got)| **got).map(|(client, _)| *client);
            most.map(|client| self.take_one(client));
        }
        Ok(())
    }

    fn take_one(&mut self, client: ClientId) -> bool {
        let Some(got) = self.got.get_mut(&client) else { return false };
        *got -= 1;
        if *got == 0 {
            self.got.remove(&client);
        }
        true
    }

    /// `None`: some are not done.
    pub(crate) fn join(&mut self, client: ClientId) -> Option<Result<(), Failure>> {
        if self.unfinished > 0 {
            return None;
        }
        let told = if self.lost > 0 { self.told.insert(client, self.lost).unwrap_or(0) } else { 0 };
        Some(match self.lost - told {
            0 => Ok(()),
            items => Err(Failure::TasksLost(items)),
        })
    }

    /// An error that a join was to return was not read: the client's next one returns it.
    pub(crate) fn undo_join(&mut self, client: ClientId, items: u64) {
        if let Some(told) = self.told.get_mut(&client) {
            *told = told.saturating_sub(items);
        }
    }

    /// The client has ended, and what it has got is lost. `queued` items are in the queue: any of those may have been
    /// reported as done before it was got, so no more than the others can be lost.
    pub(crate) fn client_gone(&mut self, client: ClientId, queued: u64) {
        self.told.remove(&client);
        let lost = self.got.remove(&client).unwrap_or(0).min(self.unfinished.saturating_sub(queued));
        self.unfinished -= lost;
        self.lost += lost;
    }

    /// A thread of a Python program has ended: another one may say that what it has got is done.
    #[cfg(feature = "pickle")]
    pub(crate) fn thread_gone(&mut self, client: ClientId) {
        self.told.remove(&client);
        self.of_none += self.got.remove(&client).unwrap_or(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: ClientId = 1;
    const OTHER: ClientId = 2;
    const MAIN: ClientId = 3;

    fn with_items(items: u64) -> Tasks {
        let mut tasks = Tasks::default();
        (0..items).for_each(|_| tasks.put());
        tasks
    }

    #[test]
    fn what_a_client_has_got_is_lost_with_it_and_told_once_to_each() {
        let mut tasks = with_items(3);
        (0..2).for_each(|_| tasks.get(ONE));
        tasks.client_gone(ONE, 1);
        assert_eq!(tasks.join(MAIN), None, "one is in the queue still");
        tasks.get(OTHER);
        assert_eq!(tasks.done(OTHER), Ok(()));
        assert_eq!(tasks.join(MAIN), Some(Err(Failure::TasksLost(2))));
        assert_eq!(tasks.join(MAIN), Some(Ok(())));
        assert_eq!(tasks.join(OTHER), Some(Err(Failure::TasksLost(2))));
        assert_eq!(tasks.done(OTHER), Err(Failure::OverReleased));
    }

    #[test]
    fn what_was_done_or_not_read_is_not_lost() {
        let mut tasks = with_items(3);
        tasks.get(ONE);
        tasks.get(ONE);
        assert_eq!(tasks.done(MAIN), Ok(()), "for the one that has most");
        tasks.undo_get(ONE);
        tasks.client_gone(ONE, 2);
        assert_eq!(tasks.join(MAIN), None);
        (0..2).for_each(|_| assert_eq!(tasks.done(MAIN), Ok(())));
        assert_eq!(tasks.join(MAIN), Some(Ok(())));
    }

    #[test]
    fn what_was_done_before_it_was_got_is_not_lost_twice() {
        let mut tasks = with_items(2);
        assert_eq!(tasks.done(MAIN), Ok(()));
        tasks.get(ONE);
        tasks.client_gone(ONE, 1);
        assert_eq!(tasks.join(MAIN), None, "the other one is in the queue");
        assert_eq!(tasks.done(MAIN), Ok(()));
        assert_eq!(tasks.join(MAIN), Some(Ok(())));
    }

    #[test]
    fn a_join_that_was_given_up_has_told_nothing() {
        let mut tasks = with_items(2);
        (0..2).for_each(|_| tasks.get(ONE));
        tasks.client_gone(ONE, 0);
        assert_eq!(tasks.join(MAIN), Some(Err(Failure::TasksLost(2))));
        tasks.undo_join(MAIN, 2);
        assert_eq!(tasks.join(MAIN), Some(Err(Failure::TasksLost(2))));
        assert_eq!(tasks.join(MAIN), Some(Ok(())));
    }

    #[cfg(feature = "pickle")]
    #[test]
    fn what_another_thread_does_for_one_that_has_ended_is_not_taken_from_a_client_that_lives() {
        let mut tasks = with_items(2);
        tasks.get(ONE);
        tasks.get(OTHER);
        tasks.thread_gone(OTHER);
        assert_eq!(tasks.done(MAIN), Ok(()));
        tasks.client_gone(ONE, 0);
        assert_eq!(tasks.join(MAIN), Some(Err(Failure::TasksLost(1))));
    }

    #[cfg(feature = "pickle")]
    #[test]
    fn what_a_thread_has_got_another_one_may_do() {
        let mut tasks = with_items(1);
        tasks.get(ONE);
        tasks.thread_gone(ONE);
        assert_eq!(tasks.join(MAIN), None);
        assert_eq!(tasks.done(MAIN), Ok(()));
        assert_eq!(tasks.join(MAIN), Some(Ok(())));
    }
}
