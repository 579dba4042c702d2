//! Mutants of `raw/`: models in faulty worlds, each of which must fail.

pub(crate) use crate::world::{Faulty, FaultyOwned};
pub(crate) use mp_model::*;

/// A test for all `explore model in World<Fault>;`, of a folder of models, with an effort. It shows what was caught.
macro_rules! mutants {
    ($from:ident, $effort:expr; $($how:ident $model:ident in $world:ident<$fault:ident>;)*) => {
        const MUTANTS: &[mp_model::Mutant] = &[$(mp_model::Mutant {
            name: concat!(stringify!($model), " in ", stringify!($fault)),
            says: "",
            run: || {
                $how($effort, crate::$from::$model::<$world<$fault>>);
            },
        }),*];

        mp_model::mutant_tests!(MUTANTS);
    };
}
pub(crate) use mutants;
