//! Tables: of models, each of which must hold; and of mutants, models in faulty worlds, each of which must fail.
//!
//! A deadlock can end the whole program, so each mutant runs in a child of this test program, which calls itself
//! with the mutant's name in the environment.

mod faults;
mod listless;
mod pair;

pub(crate) use faults::*;
pub(crate) use listless::Listless;
pub(crate) use pair::Pair;

use std::process::{Command, Stdio};
use std::time::Instant;

const CHOICE: &str = "MP_MUTANT";
/// What a child says when its model passed.
const SURVIVED: &str = "the mutant survived";

/// A model in a faulty world, and its name.
pub(crate) type Mutant = (&'static str, fn());

/// A test for each `explore model World;`, of a folder of models, with an effort. `-- --nocapture` shows what it cost.
macro_rules! models {
    ($from:ident, $effort:expr; $($how:ident $name:ident $world:ty;)*) => {$(
        #[test]
        fn $name() {
            let report = $how($effort, crate::$from::$name::<$world>);
            println!("{:<40} {report}", stringify!($name));
        }
    )*};
}
pub(crate) use models;

/// A test for all `explore model in World<Fault>;`, of a folder of models, with an effort. It shows what was caught.
macro_rules! mutants {
    ($from:ident, $effort:expr; $($how:ident $model:ident in $world:ident<$fault:ident>;)*) => {
        const MUTANTS: &[crate::tables::Mutant] = &[$((
            concat!(stringify!($model), " in ", stringify!($fault)),
            || {
                $how($effort, crate::$from::$model::<$world<$fault>>);
            },
        )),*];

        /// Run by [`mutants_are_caught`], with the mutant's name in the environment; without one there is nothing to do.
        #[test]
        #[ignore = "run by mutants_are_caught"]
        fn mutant() {
            crate::tables::run_chosen(MUTANTS);
        }

        #[test]
        fn mutants_are_caught() {
            crate::tables::all_are_caught(MUTANTS);
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
    let survivors: Vec<_> = mutants.iter().map(|(name, _)| *name).filter(|name| !is_caught(name)).collect();
    assert!(survivors.is_empty(), "mutants that no model catches: {survivors:#?}");
}

fn is_caught(name: &str) -> bool {
    let began = Instant::now();
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
    let verdict = if caught { "caught" } else { "SURVIVED" };
    println!("{name:<72} {verdict}  {:>6.2} s", began.elapsed().as_secs_f64());
    if !caught {
        println!("{said}");
    }
    caught
}
