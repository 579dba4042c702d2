//! Mutants: models in faulty worlds, each of which must fail, and for the reason that its fault is.
//!
//! A deadlock can end the whole program, so each mutant runs in a child of the test program, which calls itself with
//! the mutant's name in the environment. Under Miri, which starts no programs, it must panic here and now.

use std::panic::catch_unwind;
use std::process::{Command, Stdio};
use std::time::Instant;

const CHOICE: &str = "MP_MUTANT";
/// What a child says when its model passed.
const SURVIVED: &str = "the mutant survived";

/// A model in a faulty world.
#[derive(Debug, Clone, Copy)]
pub struct Mutant {
    /// What it is called in the table.
    pub name: &'static str,
    /// Part of what it says when it fails. Empty: anything.
    pub says: &'static str,
    /// Walks the model.
    pub run: fn(),
}

/// The tests of a module that has such a list: that all of it are caught; and, ignored, the one that is run for each.
#[macro_export]
macro_rules! mutant_tests {
    ($mutants:expr) => {
        #[test]
        #[ignore = "run by mutants_are_caught"]
        fn mutant() {
            $crate::run_mutant($mutants);
        }

        #[test]
        fn mutants_are_caught() {
            $crate::catch_mutants($mutants, concat!(module_path!(), "::mutant"));
        }
    };
}

/// The body of an ignored test that [`catch_mutants`] runs again and again: the mutant that the environment names;
/// without one there is nothing to do.
pub fn run_mutant(mutants: &[Mutant]) {
    let Ok(choice) = std::env::var(CHOICE) else { return };
    let mutant = mutants.iter().find(|mutant| mutant.name == choice).expect("a mutant of the list");
    (mutant.run)();
    println!("{SURVIVED}");
}

/// Demands that the test at the path `test`, which is [`run_mutant`] of the same list, fails with each of them; shows
/// what was caught.
pub fn catch_mutants(mutants: &[Mutant], test: &str) {
    // Test programs call their tests without the crate.
    let (_, test) = test.split_once("::").expect("a path from the crate on");
    let survivors: Vec<_> = mutants.iter().filter(|mutant| !is_caught(mutant, test)).collect();
    assert!(survivors.is_empty(), "mutants that no model catches, or for another reason: {survivors:#?}");
}

fn is_caught(mutant: &Mutant, test: &str) -> bool {
    let began = Instant::now();
    let caught = if cfg!(miri) { catch_unwind(mutant.run).is_err() } else { fails_in_a_child(mutant, test) };
    let verdict = if caught { "caught" } else { "SURVIVED" };
    println!("{:<72} {verdict}  {:>6.2} s", mutant.name, began.elapsed().as_secs_f64());
    caught
}

fn fails_in_a_child(mutant: &Mutant, test: &str) -> bool {
    let this = std::env::current_exe().expect("the test program");
    let child = Command::new(this)
        .args([test, "--exact", "--ignored", "--nocapture"])
        .env(CHOICE, mutant.name)
        .stdin(Stdio::null())
        .output()
        .expect("the test program runs again");
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(said.contains("running 1 test"), "the mutant did not run: {said}");
    let why = String::from_utf8_lossy(&child.stderr);
    let caught = !child.status.success() && !said.contains(SURVIVED) && why.contains(mutant.says);
    if !caught {
        println!("{said}{why}");
    }
    caught
}
