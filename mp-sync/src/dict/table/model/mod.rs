//! The table in the model checker: every schedule with up to three preemptions, and with a thread killed before each
//! of its accesses. The words are cells that loom tracks, so a lock that does not order them is a data race that it
//! sees.
//!
//! The lock has models of its own (mp-sync/tests/models). Deaths are walked with one preemption less here, and in full
//! with `-- --ignored`. `MP_LOOM_BOUND=4` walks further; `-- --nocapture` shows the tables.

pub(super) mod world;

use mp_model::thorough::{Fuse, TimedLooks, bound, explore, set_looks, spawn, sweep};
use mp_model::{AcquireIsRelaxed, NoDeathIsReported, NoneIsWoken, ReleaseIsRelaxed};
use std::sync::Arc;
use world::{Broken, NeverCommits, NeverCounts, NeverRepairs, Shared, Sound, World, table};

/// Two write, each a key of its own in the same bucket: both are there.
fn writers_exclude_each_other<W: World>() {
    let shared = table::<W>(2, 3);
    let other = Arc::clone(&shared);
    let other = spawn(&Fuse::never(), move || other.set(b"a", b"1").map(drop));
    shared.set(b"c", b"2").unwrap();
    other.join().unwrap().unwrap();
    assert_eq!(names(&shared), "a=1 c=2");
}

/// One replaces a value while another reads it: it reads the old one or the new one.
fn a_reader_sees_whole_values<W: World>() {
    let shared = table::<W>(1, 3);
    shared.set(b"a", b"1111").unwrap();
    let other = Arc::clone(&shared);
    let other = spawn(&Fuse::never(), move || other.set(b"a", b"2222").map(drop));
    let seen = shared.value(b"a").unwrap();
    assert!(seen == b"1111" || seen == b"2222", "half a value: {seen:?}");
    other.join().unwrap().unwrap();
    assert_eq!(names(&shared), "a=2222");
}

/// It is killed while it adds an entry: that is there, or not, and the other one's is.
fn a_killed_adder_leaves_all_or_nothing<W: World>(fuse: &Fuse) {
    set_looks(TimedLooks::AfterDeath);
    let shared = table::<W>(2, 3);
    let victim = Arc::clone(&shared);
    let victim = spawn(fuse, move || victim.set(b"a", b"1").map(drop));
    shared.set(b"c", b"2").unwrap();
    let finished = victim.join().is_some();
    let names = names(&shared);
    assert!(names == "a=1 c=2" || names == "c=2" && !finished, "{names}");
}

/// It is killed while it replaces a value: the old one is there, or the new one.
fn a_killed_replacer_leaves_one_value<W: World>(fuse: &Fuse) {
    set_looks(TimedLooks::AfterDeath);
    let shared = table::<W>(2, 4);
    shared.set(b"a", b"1").unwrap();
    let victim = Arc::clone(&shared);
    let victim = spawn(fuse, move || victim.set(b"a", b"2").map(drop));
    shared.set(b"c", b"3").unwrap();
    let finished = victim.join().is_some();
    let names = names(&shared);
    assert!(names == "a=2 c=3" || names == "a=1 c=3" && !finished, "{names}");
}

/// It is killed while it removes an entry in front of another: that one is there, or not, and the other is.
fn a_killed_remover_leaves_the_others<W: World>(fuse: &Fuse) {
    set_looks(TimedLooks::AfterDeath);
    let shared = table::<W>(2, 4);
    shared.set(b"a", b"1").unwrap();
    shared.set(b"c", b"2").unwrap();
    let victim = Arc::clone(&shared);
    let victim = spawn(fuse, move || victim.take(b"c").map(drop));
    assert_eq!(shared.value(b"a").as_deref(), Some(&b"1"[..]));
    let finished = victim.join().is_some();
    let names = names(&shared);
    assert!(names == "a=1" || names == "a=1 c=2" && !finished, "{names}");
}

fn names<W: World>(shared: &Shared<W>) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let entries: Vec<String> =
        shared.contents().iter().map(|(name, value)| format!("{}={}", text(name), text(value))).collect();
    entries.join(" ")
}

macro_rules! models {
    ($($how:ident $name:ident to $effort:expr;)*) => {
        mod walk {
            $(
                #[test]
                fn $name() {
                    let report = super::$how($effort, super::$name::<super::Sound>);
                    println!("{:<50} {report}", stringify!($name));
                }
            )*
        }

        mod in_full {
            $(
                #[test]
                #[ignore = "takes long"]
                fn $name() {
                    let report = super::$how(super::bound(), super::$name::<super::Sound>);
                    println!("{:<50} {report}", concat!(stringify!($name), " in full"));
                }
            )*
        }
    };
}
models! {
    explore writers_exclude_each_other to super::bound();
    explore a_reader_sees_whole_values to super::bound();
    sweep a_killed_adder_leaves_all_or_nothing to super::bound() - 1;
    sweep a_killed_replacer_leaves_one_value to super::bound() - 1;
    sweep a_killed_remover_leaves_the_others to super::bound() - 1;
}

macro_rules! mutants {
    ($($how:ident $model:ident in $world:ty: $says:literal;)*) => {
        const MUTANTS: &[mp_model::Mutant] = &[$(mp_model::Mutant {
            name: concat!(stringify!($model), " in ", stringify!($world)),
            says: $says,
            run: || {
                $how(bound() - 1, $model::<$world>);
            },
        }),*];

        mp_model::mutant_tests!(MUTANTS);
    };
}
mutants! {
    explore writers_exclude_each_other in Broken<ReleaseIsRelaxed>: "Causality violation";
    explore writers_exclude_each_other in Broken<AcquireIsRelaxed>: "Causality violation";
    explore writers_exclude_each_other in Broken<NoneIsWoken>: "deadlock";
    explore a_reader_sees_whole_values in Broken<ReleaseIsRelaxed>: "Causality violation";
    explore writers_exclude_each_other in NeverCounts: "Corrupt";
    sweep a_killed_adder_leaves_all_or_nothing in Broken<NoDeathIsReported>: "deadlock";
    sweep a_killed_adder_leaves_all_or_nothing in NeverCommits: "Corrupt";
    sweep a_killed_remover_leaves_the_others in NeverRepairs: "it is whole";
}
