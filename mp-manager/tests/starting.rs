//! What a server's process does before it serves: initializers, and what it needs itself. CPython:
//! `test_manager_initializer`.

use mp_core::active_children;
use mp_manager::{Manager, StartManagerError};
use mp_testing::{Fate, filter};
use std::sync::atomic::{AtomicU32, Ordering};

mp_testing::cases! {
    plain: [
        an_error_of_the_initializer_is_one_of_start,
        a_panic_of_the_initializer_is_an_error_of_start,
        an_end_within_the_initializer_is_an_error_of_start,
        an_initializer_and_an_address,
        a_long_reason_arrives_whole,
        a_server_that_cannot_serve_says_why,
    ],
    every_method: [
        the_initializer_runs_in_the_server_before_it_serves,
    ]
}

static SET_UP: AtomicU32 = AtomicU32::new(0);

fn set_up(number: u32, more: u32) {
    // ORDERING: Relaxed: a number by itself.
    SET_UP.store(number + more, Ordering::Relaxed);
}

#[derive(Debug)]
struct Probe;

#[mp_manager::shared]
impl Probe {
    pub(crate) fn set_up(&self) -> u32 {
        // ORDERING: Relaxed: a number by itself.
        SET_UP.load(Ordering::Relaxed)
    }

    pub(crate) fn pid(&self) -> u32 {
        std::process::id()
    }
}

fn the_initializer_runs_in_the_server_before_it_serves() {
    let manager = Manager::start_with_initializer(set_up, (40, 2)).unwrap();
    let probe = manager.construct(|| Probe, ()).unwrap();
    assert_eq!((probe.set_up().unwrap(), probe.pid().unwrap()), (42, manager.server_pid()));
    assert_eq!(SET_UP.load(Ordering::Relaxed), 0);
    let plain = Manager::start().unwrap();
    assert_eq!(plain.construct(|| Probe, ()).unwrap().set_up().unwrap(), 0);
}

fn failed(result: Result<Manager, StartManagerError>) -> String {
    let reason = match result {
        Err(StartManagerError::Initializer(reason)) => reason,
        other => panic!("{other:?}"),
    };
    // Nothing is left of it.
    assert!(active_children().is_empty());
    reason
}

fn refuse(text: String) -> Result<(), String> {
    Err(text)
}

fn an_error_of_the_initializer_is_one_of_start() {
    let reason = failed(Manager::start_with_initializer(refuse, ("no licence".to_owned(),)));
    assert_eq!(reason, "no licence");
}

fn a_panic_of_the_initializer_is_an_error_of_start() {
    let panics = |number: u32| assert_eq!(number, 8, "a deliberate panic");
    let reason = failed(Manager::start_with_initializer(panics, (7,)));
    assert!(reason.contains("a deliberate panic") && reason.contains("starting.rs"), "{reason}");
}

fn end(code: Option<i32>) {
    match code {
        Some(code) => std::process::exit(code),
        None => std::process::abort(),
    }
}

fn an_end_within_the_initializer_is_an_error_of_start() {
    let ended = |result, expected: &str| match result {
        Err(StartManagerError::NotServing(how)) => assert!(how.contains(expected), "{how}"),
        other => panic!("{other:?}"),
    };
    ended(Manager::start_with_initializer(end, (None,)), "signal 6");
    ended(Manager::start_with_initializer(end, (Some(7),)), "7");
    assert!(active_children().is_empty());
}

fn an_initializer_and_an_address() {
    let place = format!("\0mp-manager-starting-{}", std::process::id());
    let builder = Manager::builder().address(&*place);
    let reason = failed(builder.clone().initializer(refuse, ("not here".to_owned(),)).start());
    assert_eq!(reason, "not here");
    let here = builder.clone().initializer(refuse, ("nor here".to_owned(),)).serve_forever();
    assert!(matches!(here, Err(StartManagerError::Initializer(reason)) if reason == "nor here"));
    // The address is free.
    let manager = builder.initializer(set_up, (1, 2)).start().unwrap();
    let probe = manager.construct(|| Probe, ()).unwrap();
    assert_eq!(probe.set_up().unwrap(), 3);
    assert!(Manager::connect(&*place).is_ok());
}

fn a_long_reason_arrives_whole() {
    let reason = failed(Manager::start_with_initializer(|| refuse("x".repeat(3 << 20)), ()));
    assert_eq!(reason.len(), 3 << 20);
}

/// Else every call would say that the manager has ended, and none why.
fn a_server_that_cannot_serve_says_why() {
    filter(libc::SYS_epoll_create1, &[], Fate::Fails(libc::EMFILE));
    match Manager::start() {
        Err(StartManagerError::NotServing(why)) => assert!(why.contains("epoll_create"), "{why}"),
        other => panic!("{other:?}"),
    }
    assert!(active_children().is_empty());
}
