//! What a pickle has put under numbers, to fetch it again.

use super::graph::Slot;
use std::collections::HashMap;

/// CPython numbers what it remembers one after the other. Any number can come, though, so those out of turn have a
/// place of their own: an array as long as the largest number would be the writer's choice.
#[derive(Default)]
pub(super) struct Memo {
    in_turn: Vec<Slot>,
    others: HashMap<u32, Slot>,
}

impl Memo {
    pub(super) fn put(&mut self, number: u32, slot: Slot) {
        let at = number as usize;
        if let Some(place) = self.in_turn.get_mut(at) {
            *place = slot;
        } else if at == self.in_turn.len() {
            self.others.remove(&number);
            self.in_turn.push(slot);
        } else {
            self.others.insert(number, slot);
        }
    }

    /// Puts it under the number that has its turn: how many there are.
    pub(super) fn put_next(&mut self, slot: Slot) {
        let next = self.in_turn.len() + self.others.len();
        // Four billion of them would need as many bytes of pickle, and more memory than any limit.
        self.put(u32::try_from(next).unwrap_or(u32::MAX), slot);
    }

    pub(super) fn get(&self, number: u32) -> Option<&Slot> {
        self.in_turn.get(number as usize).or_else(|| self.others.get(&number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pickle::Value;

    fn put(memo: &mut Memo, number: u32, int: i64) {
        memo.put(number, Slot::Value(Value::Int(int)));
    }

    fn get(memo: &Memo, number: u32) -> Option<i64> {
        match memo.get(number)? {
            Slot::Value(value) => value.as_int(),
            Slot::Node(_) => None,
        }
    }

    #[test]
    fn numbers_out_of_turn_take_no_array() {
        let mut memo = Memo::default();
        put(&mut memo, u32::MAX, 1);
        put(&mut memo, 2, 2);
        assert_eq!(memo.in_turn.capacity(), 0);
        for turn in 0..4 {
            put(&mut memo, turn, 10 + i64::from(turn));
        }
        assert_eq!(
            (0..5).map(|number| get(&memo, number)).collect::<Vec<_>>(),
            [Some(10), Some(11), Some(12), Some(13), None]
        );
        assert_eq!((get(&memo, u32::MAX), memo.others.len()), (Some(1), 1));
    }

    #[test]
    fn the_next_number_is_the_count() {
        let mut memo = Memo::default();
        put(&mut memo, 0, 5);
        memo.put_next(Slot::Value(Value::Int(6)));
        put(&mut memo, 0, 7);
        memo.put_next(Slot::Value(Value::Int(8)));
        assert_eq!((0..3).map(|number| get(&memo, number)).collect::<Vec<_>>(), [Some(7), Some(6), Some(8)]);
    }
}
