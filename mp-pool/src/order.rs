//! The results of a call whose caller waits for them: decoded as they come, in the order of the input, so that the
//! caller decodes while workers work, and what is decoded takes no memory twice.
//!
//! ```text
//!   pieces, as they come ──► the next one: decoded at once
//!                       └──► an early one: kept until those before it are there
//! ```

use crate::error::{MapError, TaskError};
use crate::job::{Job, Piece, Settled};
use mp_core::sys::huge_pages::want_huge_pages;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::marker::PhantomData;

pub(crate) struct InOrder<R, F> {
    /// Position of the item whose result is next.
    next: u32,
    early: BTreeMap<u32, Piece>,
    /// Memory of pieces that are decoded.
    decoded: Vec<Vec<u8>>,
    each: F,
    value: PhantomData<fn() -> R>,
}

impl<R: DeserializeOwned, F: FnMut(Result<R, TaskError>)> InOrder<R, F> {
    pub(crate) fn new(each: F) -> Self {
        InOrder { next: 0, early: BTreeMap::new(), decoded: Vec::new(), each, value: PhantomData }
    }

    /// Takes what has come of a job. No lock is held while the program's own code decodes.
    pub(crate) fn take(&mut self, job: &Job) {
        for piece in job.take_pieces() {
            if piece.first != self.next {
                self.early.insert(piece.first, piece);
                continue;
            }
            self.decode(piece);
            while let Some(piece) = self.early.remove(&self.next) {
                self.decode(piece);
            }
        }
        job.recycle(&mut self.decoded);
    }

    fn decode(&mut self, piece: Piece) {
        piece.for_each(&mut self.each);
        self.next += piece.items;
        if let Settled::Records(bytes, _) = piece.outcome {
            self.decoded.push(bytes);
        }
    }
}

/// Where each piece is, in the order of the input.
pub(crate) fn order_of(pieces: &[Piece]) -> Vec<u32> {
    let items = pieces.iter().map(|piece| piece.items as usize).sum();
    // Most are of few items: each has its place.
    if pieces.len() > items / 8 {
        let mut order = vec![u32::MAX; items];
        for (at, piece) in (0..).zip(pieces) {
            if let Some(place) = order.get_mut(piece.first as usize) {
                *place = at;
            }
        }
        order.retain(|at| *at != u32::MAX);
        return order;
    }
    let mut order: Vec<u32> = (0..pieces.len() as u32).collect();
    order.sort_unstable_by_key(|at| pieces[*at as usize].first);
    order
}

/// All values, or the first failure.
pub(crate) struct All<R> {
    values: Vec<R>,
    failed: Option<MapError>,
    index: usize,
}

impl<R> All<R> {
    pub(crate) fn new() -> All<R> {
        All { values: Vec::new(), failed: None, index: 0 }
    }

    /// For as many as an iterator says that there are: if it knows that, their memory is taken in one piece.
    pub(crate) fn expecting(items: (usize, Option<usize>)) -> All<R> {
        let mut all = All::new();
        // More than there is memory for may still fail before it is needed.
        if let (least, Some(most)) = items
            && least == most
            && all.values.try_reserve_exact(least).is_ok()
        {
            want_huge_pages(all.values.spare_capacity_mut());
        }
        all
    }

    #[inline]
    pub(crate) fn push(&mut self, value: Result<R, TaskError>) {
        match value {
            Ok(value) if self.failed.is_none() => self.values.push(value),
            Err(error) if self.failed.is_none() => {
                self.failed = Some(MapError::Item { index: self.index, error });
            }
            _ => {}
        }
        self.index += 1;
    }

    pub(crate) fn end(self) -> Result<Vec<R>, MapError> {
        self.failed.map_or(Ok(self.values), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::TaskOptions;
    use crate::record::put_value_head;

    /// The results of a few items, each of which is its position.
    fn piece(first: u32, items: u32) -> Piece {
        let mut bytes = Vec::new();
        for position in first..first + items {
            put_value_head(1, &mut bytes);
            bytes.push(position as u8);
        }
        Piece { first, items, outcome: Settled::Records(bytes, "worker".into()) }
    }

    #[test]
    fn results_come_in_the_order_of_the_input_and_as_soon_as_they_can() {
        let job = Job::new(Vec::new(), TaskOptions::new());
        let mut seen = Vec::new();
        let mut results = InOrder::<u8, _>::new(|value: Result<u8, TaskError>| seen.push(value.unwrap()));
        job.expect(10);
        for early in [piece(6, 3), piece(1, 2)] {
            job.settle(early);
        }
        results.take(&job);
        assert_eq!((results.next, results.early.len()), (0, 2));
        job.settle(piece(0, 1));
        results.take(&job);
        assert_eq!((results.next, results.early.len()), (3, 1));
        for late in [piece(9, 1), piece(3, 3)] {
            job.settle(late);
        }
        results.take(&job);
        assert!(results.early.is_empty());
        drop(results);
        assert_eq!(seen, (0..10).collect::<Vec<u8>>());
    }

    #[test]
    fn a_number_of_results_that_no_memory_holds_is_no_failure() {
        for items in [(0, Some(0)), (3, Some(3)), (0, None), (2, Some(9)), (usize::MAX, Some(usize::MAX))] {
            let mut all = All::expecting(items);
            (0..5_u64).for_each(|value| all.push(Ok(value)));
            assert_eq!(all.end().unwrap(), [0, 1, 2, 3, 4]);
        }
    }

    #[test]
    fn the_first_failure_in_the_order_of_the_input_is_told() {
        let mut all = All::new();
        for value in [Ok(1), Err(TaskError::Cancelled), Ok(2), Err(TaskError::Terminated)] {
            all.push(value);
        }
        assert!(matches!(all.end(), Err(MapError::Item { index: 1, error: TaskError::Cancelled })));
    }
}
