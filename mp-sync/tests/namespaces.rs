//! Pid namespaces: ids mean something within one only, so objects are used within one, and the rest is refused in
//! words.

use mp_core::sys::identity::{Identity, Liveness, thread_liveness};
use mp_core::sys::namespace;
use mp_core::{Process, StartError, StartMethod};
use mp_sync::{AcquireError, Barrier, Event, Lock, RLock};
use mp_testing::{Bits, Fate, cover_proc, exit_code_of, filter, fork_copy, leave_pid_namespace};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

mp_testing::cases! {
    plain: [
        a_fork_that_would_take_objects_elsewhere_is_refused,
        what_is_made_elsewhere_works_there,
        equal_ids_of_two_namespaces_are_not_confused,
        what_is_sent_elsewhere_is_refused,
        where_the_namespace_cannot_be_told_nothing_is_dead,
    ]
}

fn a_fork_that_would_take_objects_elsewhere_is_refused() {
    let (one, two) = (Lock::new().unwrap(), Barrier::new(1).unwrap());
    leave_pid_namespace();
    let refused = Process::fork(|| ()).start::<()>().unwrap_err();
    assert!(matches!(refused, StartError::PidNamespace { objects: 2 }), "{refused}");
    drop((one, two));
    assert_eq!(Process::fork(std::process::id).start::<u32>().unwrap().join().unwrap(), 1);
}

/// The dead are found, and the living are left alone.
fn look_at_life_and_death() {
    let (lock, held, barrier) = (Lock::new().unwrap(), Event::new().unwrap(), Barrier::new(3).unwrap());
    let hold = || {
        lock.acquire().unwrap().keep();
        held.set();
        barrier.wait().is_err()
    };
    let holder = Process::fork(hold).start::<bool>().unwrap();
    held.wait();
    // Longer than the time between two looks.
    let looked = lock.acquire_timeout(Duration::from_millis(1200));
    assert!(matches!(looked, Err(AcquireError::Timeout)));
    drop(looked);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| barrier.wait().is_err());
        while barrier.n_waiting() < 2 {
            std::thread::yield_now();
        }
        holder.kill().unwrap();
        assert!(lock.acquire().is_err());
        assert!(waiting.join().unwrap());
    });
    assert!(holder.join().is_err());
}

fn what_is_made_elsewhere_works_there() {
    leave_pid_namespace();
    let child = Process::fork(|| {
        assert_eq!(std::process::id(), 1);
        look_at_life_and_death();
    });
    child.start::<()>().unwrap().join().unwrap();
}

fn is_refused<R>(call: impl FnOnce() -> R) -> bool {
    let why = catch_unwind(AssertUnwindSafe(call)).err();
    why.is_some_and(|why| why.downcast_ref::<&str>().is_some_and(|why| why.contains("another pid namespace")))
}

/// A process with the id 1 holds locks, and its copy, with the id 1 in another namespace, finds them.
fn equal_ids_of_two_namespaces_are_not_confused() {
    leave_pid_namespace();
    let first = || {
        let (lock, again, barrier) = (Lock::new().unwrap(), RLock::new().unwrap(), Barrier::new(2).unwrap());
        let held = (lock.acquire().unwrap(), again.acquire().unwrap());
        leave_pid_namespace();
        let copy = fork_copy(|| {
            assert_eq!(std::process::id(), 1);
            assert_eq!((again.depth(), lock.release().is_err(), again.release().is_err()), (0, true, true));
            assert!(is_refused(|| again.try_acquire().is_ok()));
            assert!(is_refused(|| lock.acquire_timeout(Duration::ZERO).is_ok()));
            assert!(is_refused(|| barrier.wait_timeout(Duration::ZERO).is_ok()));
            // What it makes is its own.
            look_at_life_and_death();
        });
        assert_eq!((exit_code_of(copy), again.depth(), barrier.broken()), (0, 1, false));
        drop(held);
        assert!(lock.acquire().is_ok());
    };
    let first = Process::fork(|| {
        assert_eq!(std::process::id(), 1);
        first();
    });
    first.start::<()>().unwrap().join().unwrap();
}

fn take(lock: Lock) -> bool {
    lock.acquire().is_ok()
}

fn what_is_sent_elsewhere_is_refused() {
    let lock = Lock::new().unwrap();
    leave_pid_namespace();
    let child = Process::new(take, (lock,)).method(StartMethod::Spawn).start().unwrap();
    let why = child.join().unwrap_err().to_string();
    assert!(why.contains("pid namespace"), "{why}");
}

/// As before Linux 6.11 without `/proc`.
fn where_the_namespace_cannot_be_told_nothing_is_dead() {
    /// `PIDFD_GET_PID_NAMESPACE`.
    const OWN: u32 = 0xFF05;
    let child = Process::fork(|| ()).start::<()>().unwrap();
    let it = Identity { pid: child.pid(), ..Identity::me() };
    child.join().unwrap();
    cover_proc();
    filter(libc::SYS_ioctl, &[Bits::are(1, u32::MAX, OWN)], Fate::Fails(libc::ENOTTY));
    assert_eq!(namespace::own(), None);
    assert_eq!((it.liveness(), thread_liveness(it.pid)), (Liveness::Unknown, Liveness::Unknown));
    // What the kernel tells of by itself is found all the same.
    let (lock, held) = (Lock::new().unwrap(), Event::new().unwrap());
    let hold = || {
        lock.acquire().unwrap().keep();
        held.set();
        std::thread::park();
    };
    let holder = Process::fork(hold).start::<()>().unwrap();
    held.wait();
    holder.kill().unwrap();
    assert!(lock.acquire().is_err() && holder.join().is_err());
}
