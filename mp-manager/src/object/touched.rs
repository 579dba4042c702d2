//! The objects that a client has called, and to which its death means something.

use crate::protocol::ObjectId;
use std::collections::HashSet;

/// So many are kept without a look.
const FEW: usize = 32;

#[derive(Debug, Default)]
pub(crate) struct Touched {
    objects: HashSet<ObjectId>,
    /// Found alive when this was last looked at.
    alive: usize,
}

impl Touched {
    /// One more. Those that are gone are dropped once they may be half of all: a client that lives long touches any
    /// number of objects.
    pub(crate) fn add(&mut self, object: ObjectId, is_alive: impl Fn(ObjectId) -> bool) {
        if self.objects.insert(object) && self.objects.len() > 2 * self.alive + FEW {
            self.objects.retain(|object| is_alive(*object));
            self.alive = self.objects.len();
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = ObjectId> {
        self.objects.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_gone_is_dropped_and_what_lives_is_kept() {
        let (mut touched, lasting) = (Touched::default(), |object: ObjectId| object.is_multiple_of(100));
        // Each lives as long as it is the last one.
        (0..=100_000).for_each(|last| touched.add(last, |object| object == last || lasting(object)));
        assert!(
            (0..=100_000).filter(|object| lasting(*object)).all(|object| touched.objects.contains(&object))
        );
        assert!(touched.objects.len() <= 2 * 1_001 + FEW + 1, "{}", touched.objects.len());
    }
}
