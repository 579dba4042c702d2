//! Mutants: models in faulty worlds, each of which must fail.
//!
//! A deadlock can end the whole program, so each mutant runs in a child of this test program, which calls itself
//! with the mutant's name in the environment. Under Miri, which starts no programs, it must panic here and now.

pub(crate) use crate::world::{Faulty, FaultyOwned};
pub(crate) use mp_model::*;

use std::panic::catch_unwind;
use std::process::{Command, Stdio};
use std::time::Instant;

const CHOICE: &str = "MP_MUTANT";
/// What a child says when its model passed.
const SURVIVED: &str = "the mutant survived";

/// A model in a faulty world, and its name.
pub(crate) type Mutant = (&'static str, fn());

/// A test for all `explore model in World<Fault>;`, of a folder of models, with an effort. It shows what was caught.
macro_rules! mutants {
    ($from:ident, $effort:expr; $($how:ident $model:ident in $world:ident<$fault:ident>;)*) => {
        const MUTANTS: &[crate::mutants::Mutant] = &[$((
            concat!(stringify!($model), " in ", stringify!($fault)),
            || {
                $how($effort, crate::$from::$model::<$world<$fault>>);
            },
        )),*];

        /// Run by [`mutants_are_caught`], with the mutant's name in the environment; without one there is nothing to
        /// do.
        #[test]
        #[ignore = "run by mutants_are_caught"]
        fn mutant() {
            crate::mutants::run_chosen(MUTANTS);
        }

        #[test]
        fn mutants_are_caught() {
            crate::mutants::all_are_caught(MUTANTS);
        }
    };
}
pub(crate) use mutants;

pub(crate) fn run_chosen(mutants: &[Mutant]) {
    let Ok(choice) = std::env::var(CHOICE) else { return };
    let (_, run) = mutants.iter().find(|(name, _)| *name == choice).expect("a mutant of the list");
    run();
    println!("{SURVIVED}");
}

pub(crate) fn all_are_caught(mutants: &[Mutant]) {
    let survivors: Vec<_> =
        mutants.iter().filter(|mutant| !is_caught(mutant)).map(|(name, _)| name).collect();
    assert!(survivors.is_empty(), "mutants that no model catches: {survivors:#?}");
}

fn is_caught((name, run): &Mutant) -> bool {
    let began = Instant::now();
    let caught = if cfg!(miri) { catch_unwind(run).is_err() } else { fails_in_a_child(name) };
    let verdict = if caught { "caught" } else { "SURVIVED" };
    println!("{name:<72} {verdict}  {:>6.2} s", began.elapsed().as_secs_f64());
    caught
}

fn fails_in_a_child(name: &str) -> bool {
    let this = std::env::current_exe().expect("the test program");
    let child = Command::new(this)
        .args(["mutant", "--exact", "--ignored", "--nocapture"])
        .env(CHOICE, name)
        .stdin(Stdio::null())
        .output()
        .expect("the test program runs again");
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(said.contains("running 1 test"), "the mutant did not run: {said}");
    let caught = !child.status.success() && !said.contains(SURVIVED);
    if !caught {
        println!("{said}");
    }
    caught
}
