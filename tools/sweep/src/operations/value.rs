//! Value: a pair under its lock, whose halves agree unless a process died between them; and then it is reported.

use crate::sweep::scene::{Fate, Mode, Operation, Scene, Verdict, lost_unless, torn_unless};
use mp_sync::{OwnerDiedError, Value};
use std::hint::black_box;

pub(super) fn operations() -> Vec<Operation> {
    let update = Operation::new("value.update", |_| {
        Box::new(Play { pair: Value::new([0; 2]).expect("a sweep needs shared memory") })
    });
    vec![update.in_every_mode()]
}

struct Play {
    pair: Value<[u64; 2]>,
}

impl Play {
    fn count(&self) {
        self.pair.update(|pair| {
            pair[0] += 1;
            // Two stores, and not one for both.
            black_box(&mut *pair);
            pair[1] += 1;
        });
    }
}

impl Scene for Play {
    fn operate(&self) {
        self.count();
    }

    fn barge(&self, _: &dyn Fn()) -> Verdict {
        self.count();
        Ok(())
    }

    fn check(&self, fate: Fate) -> Verdict {
        let others = u64::from(matches!(fate.mode, Mode::Barge | Mode::Pass));
        // The process may have updated it, and died before or after.
        let second = u64::from(fate.mode == Mode::Twice);
        let (told, pair) = match self.pair.lock() {
            Ok(pair) => (false, *pair),
            Err(died) => {
                let guard = OwnerDiedError::into_guard(died);
                guard.clear_owner_died();
                (true, *guard)
            }
        };
        torn_unless(told || pair[0] == pair[1], || format!("{pair:?}, and not reported"))?;
        lost_unless(!told || !fate.lived() && !fate.finished || second == 1, || {
            "told of a death that was none".to_owned()
        })?;
        let least = others + u64::from(fate.lived() || fate.finished);
        for half in pair {
            lost_unless((least..=others + second + 1).contains(&half), || {
                format!("{pair:?} after {least} updates")
            })?;
        }
        self.pair.set([7, 7]);
        let again = self.pair.lock().map(|pair| *pair);
        lost_unless(matches!(again, Ok([7, 7])), || "it is not whole after a set".to_owned())
    }
}
