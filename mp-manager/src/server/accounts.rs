//! Accounts: how long each client with call slots was served while clients took turns (`turns.rs`).
//!
//! A client that has called less than others, or that is new, saves little time up: it counts as served for at most one
//! turn less than those whose turns begin. That is what one can lose whose turn was cut short.

use super::turns::TURN;
use crate::object::ClientId;

#[derive(Debug, Default)]
pub(super) struct Accounts {
    all: Vec<Account>,
    /// Of each slot: which of them is its client's.
    of_slots: Vec<Option<usize>>,
    /// Nanoseconds: how long the client had been served whose turn began last, or one before it for longer.
    level: u64,
}

#[derive(Debug)]
struct Account {
    client: ClientId,
    /// How many slots it has. Without any the account is free.
    slots: u32,
    /// Nanoseconds.
    time: u64,
    /// The last pass in which a call of it was served.
    pass: u64,
    /// How many of its slots claim the next turn.
    claims: u32,
}

impl Accounts {
    /// A slot was given to a client.
    pub(super) fn open(&mut self, slot: u32, client: ClientId) {
        let slot = slot as usize;
        if self.of_slots.len() <= slot {
            self.of_slots.resize(slot + 1, None);
        }
        let found = self.all.iter().position(|account| account.slots > 0 && account.client == client);
        let at = found.unwrap_or_else(|| {
            let new = Account { client, slots: 0, time: 0, pass: 0, claims: 0 };
            match self.all.iter().position(|account| account.slots == 0) {
                Some(free) => {
                    self.all[free] = new;
                    free
                }
                None => {
                    self.all.push(new);
                    self.all.len() - 1
                }
            }
        });
        self.all[at].slots += 1;
        self.of_slots[slot] = Some(at);
    }

    /// The slot is no client's any more.
    pub(super) fn close(&mut self, slot: u32) {
        if let Some(at) = self.of_slots.get_mut(slot as usize).and_then(Option::take) {
            self.all[at].slots -= 1;
        }
    }

    #[inline]
    fn index(&self, slot: u32) -> Option<usize> {
        self.of_slots.get(slot as usize).copied().flatten()
    }

    /// Whether no call of the slot's client was served in this pass before.
    #[inline]
    pub(super) fn is_first(&mut self, slot: u32, pass: u64) -> bool {
        let Some(at) = self.index(slot) else { return true };
        std::mem::replace(&mut self.all[at].pass, pass) != pass
    }

    fn time(&self, slot: u32) -> u64 {
        self.index(slot).map_or(0, |at| self.all[at].time).max(self.level.saturating_sub(TURN))
    }

    /// How much longer the slot's client was served than the one whose turn began last had been.
    pub(super) fn ahead(&self, slot: u32) -> u64 {
        self.time(slot).saturating_sub(self.level)
    }

    /// The slot's client was served for so long.
    pub(super) fn charge(&mut self, slot: u32, time: u64) {
        let after = self.time(slot) + time;
        if let Some(at) = self.index(slot) {
            self.all[at].time = after;
        }
    }

    /// Orders slots by which is to be served next: that of the client that was served least; of two slots for which
    /// that is the same, the first. A client with many slots counts as served for a turn with each of them.
    pub(super) fn order(&mut self, slots: &mut [u32]) {
        self.all.iter_mut().for_each(|account| account.claims = 0);
        let mut by_time: Vec<(u64, u32)> = slots
            .iter()
            .map(|slot| {
                let before = self.index(*slot).map_or(0, |at| {
                    self.all[at].claims += 1;
                    self.all[at].claims - 1
                });
                (self.time(*slot) + u64::from(before) * TURN, *slot)
            })
            .collect();
        by_time.sort_by_key(|(time, _)| *time);
        slots.iter_mut().zip(by_time).for_each(|(place, (_, slot))| *place = slot);
    }

    /// The turn of this slot's client begins, which was served least.
    pub(super) fn begin_turn(&mut self, slot: u32) {
        self.level = self.level.max(self.time(slot));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ordered(accounts: &mut Accounts, slots: &[u32]) -> Vec<u32> {
        let mut slots = slots.to_vec();
        accounts.order(&mut slots);
        slots
    }

    #[test]
    fn the_client_that_was_served_least_is_next() {
        let mut accounts = Accounts::default();
        (0..3).for_each(|slot| accounts.open(slot, 16 + u64::from(slot)));
        accounts.charge(0, 30);
        accounts.charge(1, 10);
        accounts.charge(2, 20);
        assert_eq!(ordered(&mut accounts, &[0, 1, 2]), [1, 2, 0]);
        accounts.charge(1, 20);
        assert_eq!(ordered(&mut accounts, &[0, 1, 2]), [2, 0, 1], "of two that are equal the first");
    }

    #[test]
    fn a_client_with_many_slots_is_one_client() {
        let mut accounts = Accounts::default();
        (0..3).for_each(|slot| accounts.open(slot, 16));
        accounts.open(3, 17);
        assert_eq!(ordered(&mut accounts, &[0, 1, 2, 3]), [0, 3, 1, 2]);
        accounts.charge(1, TURN + 1);
        assert_eq!(ordered(&mut accounts, &[0, 1, 2, 3])[0], 3);
    }

    #[test]
    fn one_that_comes_late_has_one_turn_saved_up_at_most() {
        let mut accounts = Accounts::default();
        accounts.open(0, 16);
        accounts.charge(0, 100 * TURN);
        accounts.begin_turn(0);
        accounts.open(1, 17);
        assert_eq!((accounts.ahead(0), accounts.ahead(1)), (0, 0));
        assert_eq!(ordered(&mut accounts, &[0, 1]), [1, 0]);
        accounts.charge(1, TURN + 1);
        assert_eq!(accounts.ahead(1), 1);
        assert_eq!(ordered(&mut accounts, &[0, 1]), [0, 1]);
    }

    #[test]
    fn a_slot_that_another_client_gets_is_that_clients() {
        let mut accounts = Accounts::default();
        accounts.open(0, 16);
        accounts.charge(0, 1_000);
        accounts.close(0);
        accounts.open(0, 17);
        assert_eq!((accounts.ahead(0), accounts.all.len()), (0, 1));
    }
}
