//! The results of a job, in the order in which they came.
//!
//! ```text
//!   the first one: without memory of its own ── a second one ──► several, side by side: records of one worker that
//!                                                                follow each other are one piece
//! ```
//!
//! A piece takes more memory than the records of a few tiny results, so a long map would be more of pieces than of
//! results.

use crate::job::{Piece, Settled};
use crate::record::Short;
use std::sync::Arc;

/// Records that follow each other are one piece, up to so many bytes.
const MOST_TOGETHER: usize = 4096;
/// So many pieces' memory is kept, of at most so many bytes each: the C library gives that of a long one back to the
/// system, and pages that are new cost more than their copy.
const MOST_SPARE: usize = 8;
const LONGEST_SPARE: usize = 1 << 20;

#[derive(Debug, Default)]
pub(crate) struct Pieces {
    alone: Option<Piece>,
    several: Vec<Piece>,
    /// Memory of pieces that were decoded, for others.
    spare: Vec<Vec<u8>>,
}

impl Pieces {
    pub(crate) fn push(&mut self, piece: Piece) {
        if self.is_empty() {
            self.alone = Some(piece);
            return;
        }
        self.several.extend(self.alone.take());
        let left = match self.several.last_mut() {
            Some(last) => append(last, piece),
            None => Some(piece),
        };
        self.several.extend(left);
    }

    /// Takes the memory of pieces that were decoded.
    pub(crate) fn recycle(&mut self, decoded: &mut Vec<Vec<u8>>) {
        let room = MOST_SPARE.saturating_sub(self.spare.len());
        let short = decoded.drain(..).filter(|bytes| bytes.capacity() <= LONGEST_SPARE);
        self.spare.extend(short.take(room));
    }

    /// An empty vector.
    pub(crate) fn spare(&mut self) -> Vec<u8> {
        let mut spare = self.spare.pop().unwrap_or_default();
        spare.clear();
        spare
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.alone.is_none() && self.several.is_empty()
    }

    pub(crate) fn take(&mut self) -> Vec<Piece> {
        match self.alone.take() {
            Some(alone) => vec![alone],
            None => std::mem::take(&mut self.several),
        }
    }

    /// As [`take`](Pieces::take), into an empty vector, whose memory is kept.
    pub(crate) fn take_into(&mut self, into: &mut Vec<Piece>) {
        match self.alone.take() {
            Some(alone) => into.push(alone),
            None => std::mem::swap(&mut self.several, into),
        }
    }

    /// The value, if there is one piece, and that is a short value.
    pub(crate) fn short(&self) -> Option<Short> {
        match &self.alone {
            Some(Piece { outcome: Settled::Short(value), .. }) => Some(*value),
            _ => None,
        }
    }
}

/// Appends a piece that follows the last one, if both are records of one worker, and short. Else it comes back.
fn append(last: &mut Piece, piece: Piece) -> Option<Piece> {
    if let (Settled::Records(bytes, worker), Settled::Records(more, other)) =
        (&mut last.outcome, &piece.outcome)
        && piece.first == last.first + last.items
        && Arc::ptr_eq(worker, other)
        && bytes.len() + more.len() <= MOST_TOGETHER
    {
        bytes.extend_from_slice(more);
        last.items += piece.items;
        return None;
    }
    Some(piece)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Outcome, put_value_head, take_outcome};

    /// The records of a few items, each of which is its position.
    fn records(first: u32, items: u32, worker: &Arc<str>) -> Piece {
        let mut bytes = Vec::new();
        for position in first..first + items {
            put_value_head(1, &mut bytes);
            bytes.push(position as u8);
        }
        Piece { first, items, outcome: Settled::Records(bytes, Arc::clone(worker)) }
    }

    fn positions(piece: &Piece) -> Vec<u8> {
        let Settled::Records(bytes, _) = &piece.outcome else { unreachable!() };
        let mut rest = bytes.as_slice();
        let each = (0..piece.items).map(|_| match take_outcome(&mut rest) {
            Some(Outcome::Value(&[position])) => position,
            other => unreachable!("{other:?}"),
        });
        each.collect()
    }

    #[test]
    fn records_that_follow_each_other_are_one_piece() {
        let (mut pieces, worker) = (Pieces::default(), "worker".into());
        for (first, items) in [(0, 7), (7, 7), (14, 1), (20, 1)] {
            pieces.push(records(first, items, &worker));
        }
        pieces.push(records(21, 1, &"another".into()));
        pieces.push(records(15, 5, &worker));
        (22..2000).for_each(|first| pieces.push(records(first, 1, &worker)));
        let pieces = pieces.take();
        let places: Vec<_> = pieces.iter().map(|piece| (piece.first, piece.items)).collect();
        // Three bytes each.
        assert_eq!(places, [(0, 15), (20, 1), (21, 1), (15, 5), (22, 1365), (1387, 613)]);
        for piece in &pieces {
            let expected: Vec<u8> =
                (piece.first..piece.first + piece.items).map(|position| position as u8).collect();
            assert_eq!(positions(piece), expected);
        }
    }

    #[test]
    fn one_that_is_alone_is_taken_as_any_other() {
        let mut pieces = Pieces::default();
        assert!(pieces.is_empty() && pieces.take().is_empty());
        pieces.push(records(3, 2, &"worker".into()));
        assert!(!pieces.is_empty() && pieces.short().is_none());
        assert_eq!(pieces.take().len(), 1);
        assert!(pieces.is_empty());
    }
}
