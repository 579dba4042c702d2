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

        /// Run by [`mutants_are_caught`], with the mutant's name in the environment; without one there is nothing to
        /// do.
        #[test]
        #[ignore = "run by mutants_are_caught"]
        fn mutant() {
            mp_model::run_mutant(MUTANTS);
        }

        #[test]
        fn mutants_are_caught() {
            mp_model::catch_mutants(MUTANTS, "mutant");
        }
    };
}
pub(crate) use mutants;
