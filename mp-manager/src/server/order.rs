//! In which order the slots are served that were asked: one call of each client in a pass, however many it has asked.
//!
//! What is left of a pass is served in the next ones, beside what is asked meanwhile. So a client with one thread that
//! calls has as many calls served as one with sixty-four, while both call without pause.
//!
//! A slot whose owner has ended stays here until its pass: a request is looked for in it then, and there is none.

use super::accounts::Accounts;

#[derive(Debug, Default)]
pub(super) struct Order {
    /// Slots that were asked, and not yet served.
    asked: Vec<u32>,
    /// Those before it were looked at in this pass.
    at: usize,
    /// As many of those were left for the next one.
    left: usize,
    pass: u64,
}

impl Order {
    /// A slot was asked.
    #[inline]
    pub(super) fn ask(&mut self, slot: u32) {
        self.asked.push(slot);
    }

    /// Begins a pass; `false`: none was asked.
    #[inline]
    pub(super) fn begin(&mut self) -> bool {
        (self.at, self.left) = (0, 0);
        self.pass += 1;
        !self.asked.is_empty()
    }

    /// The next slot that is to be served in this pass.
    #[inline]
    pub(super) fn next(&mut self, accounts: &mut Accounts) -> Option<u32> {
        while let Some(slot) = self.asked.get(self.at).copied() {
            self.at += 1;
            if accounts.is_first(slot, self.pass) {
                return Some(slot);
            }
            self.asked[self.left] = slot;
            self.left += 1;
        }
        self.asked.truncate(self.left);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Clients of so many threads, each of which calls again at once when it is served. Gives the clients in the order
    /// in which they were served.
    fn served(threads: &[u32], passes: usize) -> Vec<usize> {
        let (mut order, mut accounts, mut clients) = (Order::default(), Accounts::default(), Vec::new());
        for (client, threads) in threads.iter().enumerate() {
            for _ in 0..*threads {
                accounts.open(clients.len() as u32, 16 + client as u64);
                clients.push(client);
            }
        }
        let (mut served, mut asks) = (Vec::new(), (0..clients.len() as u32).collect::<Vec<_>>());
        for _ in 0..passes {
            asks.drain(..).for_each(|slot| order.ask(slot));
            assert!(order.begin());
            while let Some(slot) = order.next(&mut accounts) {
                served.push(clients[slot as usize]);
                asks.push(slot);
            }
        }
        served
    }

    #[test]
    fn one_with_many_threads_does_not_crowd_out_one_with_one() {
        assert_eq!(served(&[64, 1], 4), [0, 1, 0, 1, 0, 1, 0, 1]);
        assert_eq!(served(&[1, 64, 2], 2), [0, 1, 2, 1, 2, 0]);
    }

    #[test]
    fn each_thread_of_a_client_is_served_in_its_turn() {
        let (mut order, mut accounts) = (Order::default(), Accounts::default());
        (0..3).for_each(|slot| accounts.open(slot, 16));
        (0..3).for_each(|slot| order.ask(slot));
        let mut served = Vec::new();
        while order.begin() {
            let slot = order.next(&mut accounts).unwrap();
            assert_eq!(order.next(&mut accounts), None);
            served.push(slot);
            if served.len() < 7 {
                order.ask(slot);
            }
        }
        assert_eq!(served, [0, 1, 2, 0, 1, 2, 0, 1, 2]);
    }

    #[test]
    fn a_pass_in_which_none_was_asked_is_none() {
        let (mut order, mut accounts) = (Order::default(), Accounts::default());
        assert!(!order.begin());
        assert_eq!(order.next(&mut accounts), None);
    }
}
