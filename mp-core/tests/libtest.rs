//! What a user writes: plain tests under libtest, which runs them on threads of one process.

use mp_core::{Process, StartError, StartMethod};

fn double(x: u64) -> u64 {
    2 * x
}

fn doubles(method: StartMethod) {
    for x in 0..10 {
        let child = Process::new(double, (x,)).method(method).start().unwrap();
        assert_eq!(child.join().unwrap(), 2 * x);
    }
}

#[test]
fn forkserver_works() {
    doubles(StartMethod::ForkServer);
}

#[test]
fn forkserver_works_beside_another_test() {
    doubles(StartMethod::ForkServer);
}

#[test]
fn spawn_works() {
    doubles(StartMethod::Spawn);
}

fn fail() {
    assert_eq!(1, 2, "a child's panic does not count as success");
}

#[test]
fn a_panic_in_a_child_is_seen() {
    for method in [StartMethod::ForkServer, StartMethod::Spawn] {
        let child = Process::new(fail, ()).method(method).start().unwrap();
        assert!(child.join().unwrap_err().to_string().contains("does not count as success"));
        assert_eq!(child.exitcode(), Some(101));
    }
}

/// libtest's own threads run, so a fork would copy what they hold.
#[test]
fn fork_is_refused() {
    let refused = Process::new(double, (1,)).method(StartMethod::Fork).start();
    assert!(matches!(refused, Err(StartError::Threads { threads: 2.. })), "{refused:?}");
}
