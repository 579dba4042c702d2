//! The cases of a program, and which of its processes this is: the one that `cargo test` started, a case's, or the one
//! that watches a case.

use crate::arguments::Arguments;
use crate::lanes::run_all;
use crate::watch::watch_here;
use mp_core::StartMethod;
use std::process::ExitCode;
use std::sync::OnceLock;

/// One test case.
#[derive(Debug, Clone)]
pub struct Case {
    pub(crate) name: String,
    method: Option<StartMethod>,
    variant: Option<&'static str>,
    pub(crate) prepare: Option<fn()>,
    body: fn(),
}

impl Case {
    /// A case that is run once.
    pub fn plain(name: &str, body: fn()) -> Case {
        Case { name: name.to_owned(), method: None, variant: None, prepare: None, body }
    }

    /// One before which `prepare` is called, in the harness's process: it builds a program, or waits for something else
    /// that has nothing to do with the case, and its time is not the case's.
    pub fn prepared(name: &str, prepare: fn(), body: fn()) -> Case {
        Case { prepare: Some(prepare), ..Case::plain(name, body) }
    }

    /// A case that is run in a [`variant`].
    pub fn in_variant(name: &str, variant: &'static str, body: fn()) -> Case {
        Case { variant: Some(variant), ..Case::plain(&format!("{name}::{variant}"), body) }
    }

    /// A case that is run under each start method.
    pub fn every_method(name: &str, body: fn()) -> Vec<Case> {
        let methods = [StartMethod::Fork, StartMethod::Spawn, StartMethod::ForkServer];
        let case = |method: StartMethod| Case {
            method: Some(method),
            ..Case::plain(&format!("{name}::{method}"), body)
        };
        methods.into_iter().map(case).collect()
    }
}

/// The variant of the case that this process runs.
static VARIANT: OnceLock<&str> = OnceLock::new();

/// In which variant the case runs, in the case's own process; `None`: as it is.
pub fn variant() -> Option<&'static str> {
    VARIANT.get().copied()
}

/// The first argument of a program that is to run one case.
pub(crate) const RUN_CASE: &str = "--mp-case";
/// The first argument of one that is to watch a case.
pub(crate) const WATCH_CASE: &str = "--mp-watch";
/// What a case ends with that cannot be run here.
pub(crate) const IGNORED: u8 = 77;

/// Ends a case that needs what this machine does not have (a python, a server): it counts as ignored, for this reason.
/// With `MP_REQUIRE_PEERS` set, as in the gate, it fails instead.
pub fn ignore(reason: &str) -> ! {
    assert!(std::env::var_os("MP_REQUIRE_PEERS").is_none(), "required, and not here: {reason}");
    not_here(reason)
}

/// Ends a case that needs rights or parts that this machine does not have, and that cannot be installed: it counts as
/// ignored, in the gate too.
pub fn not_here(reason: &str) -> ! {
    println!("{reason}");
    std::process::exit(IGNORED.into())
}

/// Runs what the command line asks for: one case, a list, or all that it selects.
pub fn main(cases: &[Case]) -> ExitCode {
    crate::interrupts::link();
    // The program's own name may be anything.
    let words = std::env::args_os().skip(1).map(|word| word.into_string().expect("arguments are text"));
    let mut words = words.peekable();
    match words.next_if(|word| word == RUN_CASE || word == WATCH_CASE) {
        Some(word) if word == RUN_CASE => run_here(named(cases, words.next())),
        Some(_) => return watch_here(named(cases, words.next()), words.next().is_some()),
        None => {}
    }
    let arguments = Arguments::parse(words);
    // None of the cases is an ignored one.
    let selected = |case: &&Case| !arguments.ignored_only && arguments.selects(&case.name);
    let chosen: Vec<&Case> = cases.iter().filter(selected).collect();
    if arguments.list {
        for case in &chosen {
            println!("{}: test", case.name);
        }
        return ExitCode::SUCCESS;
    }
    run_all(&chosen, cases.len(), &arguments)
}

fn named(cases: &[Case], name: Option<String>) -> &Case {
    let name = name.unwrap_or_default();
    cases.iter().find(|case| case.name == name).expect("the harness names one of its own cases")
}

/// In the case's own process.
fn run_here(case: &Case) -> ! {
    if let Some(method) = case.method {
        mp_core::set_start_method(method).expect("it is not set in a new process");
    }
    if let Some(variant) = case.variant {
        VARIANT.get_or_init(|| variant);
    }
    (case.body)();
    std::process::exit(0)
}
