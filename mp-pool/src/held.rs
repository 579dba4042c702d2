//! Results that a stream has, and has not given yet.
//!
//! ```text
//!   pieces ──► the next ones: a queue, in the order in which they are given ──► current ──► one result at a time
//!         └──► an early one, in the order of the input: kept until those before it are there
//! ```
//!
//! Nearly all pieces come in the order of the input, so they pass no tree.

use crate::buffer::{Lending, decoding};
use crate::error::TaskError;
use crate::job::{Piece, Settled, decoded, decoded_short, value_of};
use crate::record::{split_short_value, take_outcome};
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Results side by side that have come.
pub(crate) struct Held {
    /// Position of the first one, its low bits.
    pub(crate) first: u32,
    pub(crate) items: u32,
    pub(crate) outcome: Settled,
    /// What they may name.
    lending: Option<Arc<Lending>>,
    /// Where the next record begins.
    at: usize,
}

impl Held {
    pub(crate) fn of(piece: Piece) -> Held {
        let (outcome, lending) = match piece.outcome {
            Settled::Lending(settled, lending) => (*settled, Some(lending)),
            settled => (settled, None),
        };
        Held { first: piece.first, items: piece.items, outcome, lending, at: 0 }
    }

    /// Takes the first result.
    #[inline]
    fn take<R: DeserializeOwned>(&mut self) -> Result<R, TaskError> {
        self.items -= 1;
        self.first = self.first.wrapping_add(1);
        if let Settled::Records(bytes, _) = &self.outcome
            && self.lending.is_none()
        {
            let rest = bytes.get(self.at..).unwrap_or_default();
            if let Some((value, behind)) = split_short_value(rest) {
                self.at = bytes.len() - behind.len();
                return decoded_short(value);
            }
        }
        match self.lending.clone() {
            Some(lending) => decoding(&lending, || self.value()),
            None => self.value(),
        }
    }

    fn value<R: DeserializeOwned>(&mut self) -> Result<R, TaskError> {
        match &mut self.outcome {
            Settled::Short(value) => decoded_short(value.as_slice()),
            Settled::Lent(lent) => lent.value(),
            Settled::Records(bytes, worker) => {
                let mut rest = bytes.get(self.at..).unwrap_or_default();
                let value = value_of(take_outcome(&mut rest), worker);
                self.at = bytes.len() - rest.len();
                value
            }
            Settled::Value(message) => decoded(&message.bytes, std::mem::take(&mut message.handles)),
            Settled::Failed(error) => Err(error.clone()),
            // No end of an item: taken as a whole.
            Settled::Yielded(_) | Settled::Lending(..) => Err(TaskError::Terminated),
        }
    }
}

/// In which order results are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    OfInput,
    OfCompletion,
}

/// The results that a stream has.
pub(crate) struct Results {
    order: Order,
    current: Option<Held>,
    queue: VecDeque<Held>,
    /// The position behind those in the queue.
    next: u64,
    /// By their positions.
    early: BTreeMap<u64, Held>,
    /// How many there are.
    items: u64,
}

impl Results {
    pub(crate) fn new(order: Order) -> Results {
        let (queue, early) = (VecDeque::new(), BTreeMap::new());
        Results { order, current: None, queue, next: 0, early, items: 0 }
    }

    /// How many there are.
    #[inline]
    pub(crate) fn items(&self) -> u64 {
        self.items
    }

    /// Results that have come, the first of which is that of the item at this position.
    pub(crate) fn put(&mut self, position: u64, held: Held) {
        self.items += u64::from(held.items);
        if self.order == Order::OfInput && position != self.next {
            self.early.insert(position, held);
            return;
        }
        self.enqueue(held);
        while !self.early.is_empty()
            && let Some(held) = self.early.remove(&self.next)
        {
            self.enqueue(held);
        }
    }

    fn enqueue(&mut self, held: Held) {
        self.next += u64::from(held.items);
        self.queue.push_back(held);
    }

    /// Those that are given next.
    #[inline]
    pub(crate) fn current(&mut self) -> Option<&mut Held> {
        if self.current.is_none() {
            self.current = self.queue.pop_front();
        }
        self.current.as_mut()
    }

    /// Takes what [`current`](Results::current) has given, if it is so, as a whole.
    pub(crate) fn take_current_if(&mut self, is_so: impl FnOnce(&mut Held) -> bool) -> Option<Held> {
        self.current.take_if(is_so)
    }

    /// Takes the first result of those that [`current`](Results::current) has given.
    #[inline]
    pub(crate) fn take<R: DeserializeOwned>(&mut self) -> Result<R, TaskError> {
        // It was looked at just before.
        let Some(held) = &mut self.current else { return Err(TaskError::Terminated) };
        self.items -= 1;
        let value = held.take();
        if held.items == 0 {
            self.current = None;
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Short, put_value_head};

    fn record(value: u64, bytes: &mut Vec<u8>) {
        put_value_head(1, bytes);
        bytes.push(value as u8);
    }

    /// The results of a few items, each of which is its position: one is short, several are records.
    fn held(first: u64, items: u32) -> Held {
        let mut bytes = Vec::new();
        (first..first + u64::from(items)).for_each(|position| record(position, &mut bytes));
        let outcome = match Short::of(&bytes) {
            Some(short) if items == 1 => Settled::Short(short),
            _ => Settled::Records(bytes, "worker".into()),
        };
        Held::of(Piece { first: first as u32, items, outcome })
    }

    fn given(results: &mut Results) -> Vec<u8> {
        let mut given = Vec::new();
        while results.current().is_some() {
            given.push(results.take::<u8>().unwrap());
        }
        given
    }

    #[test]
    fn results_are_given_in_the_order_of_the_input_as_soon_as_they_can() {
        let mut results = Results::new(Order::OfInput);
        [(6, 3), (1, 2)].into_iter().for_each(|(first, items)| results.put(first, held(first, items)));
        assert!(results.current().is_none());
        results.put(0, held(0, 1));
        assert_eq!((given(&mut results), results.items()), (vec![0, 1, 2], 3));
        [(9, 1), (4, 2), (3, 1)]
            .into_iter()
            .for_each(|(first, items)| results.put(first, held(first, items)));
        assert_eq!((given(&mut results), results.items()), (vec![3, 4, 5, 6, 7, 8, 9], 0));
    }

    #[test]
    fn or_as_they_come() {
        let mut results = Results::new(Order::OfCompletion);
        [(6, 3), (1, 2)].into_iter().for_each(|(first, items)| results.put(first, held(first, items)));
        assert_eq!(given(&mut results), [6, 7, 8, 1, 2]);
    }
}
