//! Tasks that wait, by priority: of equal ones, the first that came is the first that goes.
//!
//! Tasks of priority 0, which all calls without options have, are in a queue of their own, so others cost them nothing.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};

pub(super) struct Queue<T> {
    plain: VecDeque<T>,
    /// By priority, the highest first. None is empty.
    ranked: BTreeMap<Reverse<i32>, VecDeque<T>>,
}

impl<T> Queue<T> {
    pub(super) fn new() -> Queue<T> {
        Queue { plain: VecDeque::new(), ranked: BTreeMap::new() }
    }

    pub(super) fn push(&mut self, priority: i32, task: T) {
        match priority {
            0 => self.plain.push_back(task),
            other => self.ranked.entry(Reverse(other)).or_default().push_back(task),
        }
    }

    pub(super) fn pop(&mut self) -> Option<T> {
        let Some(mut highest) = self.ranked.first_entry() else { return self.plain.pop_front() };
        if highest.key().0 < 0 && !self.plain.is_empty() {
            return self.plain.pop_front();
        }
        let task = highest.get_mut().pop_front();
        if highest.get().is_empty() {
            highest.remove();
        }
        task
    }

    /// How many tasks go before one of this priority that is pushed now.
    pub(super) fn ahead_of(&self, priority: i32) -> usize {
        let plain = if priority <= 0 { self.plain.len() } else { 0 };
        plain + self.ranked.range(..=Reverse(priority)).map(|(_, tasks)| tasks.len()).sum::<usize>()
    }

    /// All of them, the first one first.
    pub(super) fn drain(&mut self) -> Vec<T> {
        std::iter::from_fn(|| self.pop()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_goes_first_and_equal_ones_in_their_order() {
        let mut queue = Queue::new();
        for (at, priority) in [0, 5, -1, 0, 5, i32::MAX, i32::MIN, -1].into_iter().enumerate() {
            queue.push(priority, at);
        }
        assert_eq!(
            [i32::MAX, 5, 1, 0, -1, i32::MIN].map(|priority| queue.ahead_of(priority)),
            [1, 3, 3, 5, 7, 8]
        );
        assert_eq!(queue.drain(), [5, 1, 4, 0, 3, 2, 7, 6]);
        assert_eq!((queue.pop(), queue.ahead_of(i32::MIN)), (None, 0));
    }
}
