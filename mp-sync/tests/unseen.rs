//! "Cannot see" is not "dead": processes that can learn little or nothing about the others take nothing from them, and
//! find a dead one wherever the kernel tells of it.

use mp_core::Process;
use mp_sync::{AcquireError, Barrier, Event, Lock, OwnedSemaphore, RwLock, Value};
use mp_testing::{Sees, blind, not_here, refuse_pidfds};
use nix::sched::{CloneFlags, unshare};
use std::fs;
use std::time::Duration;

mp_testing::cases! {
    plain: [
        a_living_holder_keeps_what_it_has,
        living_parties_stay,
        a_dead_party_is_found_wherever_the_kernel_tells,
        a_dead_holder_is_found_everywhere,
        start_times_in_another_time_namespace_prove_nothing,
    ]
}

/// Longer than the time between two looks of one that waits.
const LOOKED: Duration = Duration::from_millis(1200);

fn hold_data(value: Value<u32>, shared: RwLock<u32>, held: Event) {
    let _guards = (value.lock().unwrap(), shared.read().unwrap());
    held.set();
    loop {
        std::thread::park();
    }
}

fn a_living_holder_keeps_what_it_has() {
    let (lock, value) = (Lock::new().unwrap(), Value::new(1_u32).unwrap());
    let (shared, seats) = (RwLock::new(1_u32).unwrap(), OwnedSemaphore::new(1).unwrap());
    // Another process has the guards of data: with one of its own, this one could not fork.
    let data_held = Event::new().unwrap();
    let arguments = (value.clone(), shared.clone(), data_held.clone());
    let holder = Process::new(hold_data, arguments).start().unwrap();
    data_held.wait();
    let held = (lock.acquire().unwrap(), seats.acquire());
    let look = || {
        [
            matches!(lock.acquire_timeout(LOOKED), Err(AcquireError::Timeout)),
            matches!(value.lock_timeout(LOOKED), Err(AcquireError::Timeout)),
            matches!(shared.write_timeout(LOOKED), Err(AcquireError::Timeout)),
            seats.acquire_timeout(LOOKED).is_err(),
        ]
    };
    let looks: Vec<_> = blind().iter().map(|environment| environment.look(look)).collect();
    for (environment, child) in blind().iter().zip(looks) {
        assert_eq!(child.join().unwrap(), [true; 4], "{}", environment.name);
    }
    drop(held);
    holder.kill().unwrap();
}

fn wait_until_waiting(barrier: &Barrier, count: u32) {
    while barrier.n_waiting() < count {
        std::thread::yield_now();
    }
}

fn living_parties_stay() {
    let barriers: Vec<Barrier> = blind().iter().map(|_| Barrier::new(2).unwrap()).collect();
    let others: Vec<_> = blind()
        .iter()
        .zip(&barriers)
        .map(|(environment, barrier)| environment.look(|| barrier.wait().is_ok()))
        .collect();
    barriers.iter().for_each(|barrier| wait_until_waiting(barrier, 1));
    std::thread::sleep(LOOKED);
    for ((environment, barrier), other) in blind().iter().zip(&barriers).zip(others) {
        assert!(barrier.wait().is_ok() && other.join().unwrap(), "{}", environment.name);
    }
}

fn a_dead_party_is_found_wherever_the_kernel_tells() {
    for environment in blind().iter().filter(|environment| environment.sees != Sees::Nothing) {
        let barrier = Barrier::new(3).unwrap();
        let victim = Process::fork(|| barrier.wait().is_err()).start().unwrap();
        let other = environment.look(|| barrier.wait().is_err());
        wait_until_waiting(&barrier, 2);
        victim.kill().unwrap();
        let mut reaped = false;
        if environment.sees == Sees::Reaped {
            reaped = victim.join().is_err();
        }
        assert!(other.join().unwrap(), "{}", environment.name);
        assert!(reaped || victim.join().is_err());
    }
}

/// The kernel tells of a holder whatever the next one can see.
fn a_dead_holder_is_found_everywhere() {
    for environment in blind() {
        let (lock, held) = (Lock::new().unwrap(), Event::new().unwrap());
        let holder = Process::fork(|| {
            lock.acquire().unwrap().keep();
            held.set();
            std::thread::park();
        });
        let holder = holder.start::<()>().unwrap();
        held.wait();
        let other = environment.look(|| lock.acquire().is_err());
        holder.kill().unwrap();
        assert!(other.join().unwrap(), "{}", environment.name);
        assert!(holder.join().is_err());
    }
}

/// Where stamps are start times, one in another time namespace reads another start time of the same process.
fn start_times_in_another_time_namespace_prove_nothing() {
    let barrier = Barrier::new(3).unwrap();
    let party = || {
        refuse_pidfds();
        barrier.wait().is_ok()
    };
    let outside = Process::fork(party).start().unwrap();
    wait_until_waiting(&barrier, 1);
    if unshare(CloneFlags::from_bits_retain(libc::CLONE_NEWTIME)).is_err() {
        outside.kill().unwrap();
        assert!(outside.join().is_err());
        not_here("no time namespace can be made here");
    }
    fs::write("/proc/self/timens_offsets", "boottime 86400 0").unwrap();
    let inside = Process::fork(party).start().unwrap();
    wait_until_waiting(&barrier, 2);
    std::thread::sleep(LOOKED);
    assert!(barrier.wait().is_ok());
    assert!(outside.join().unwrap() && inside.join().unwrap());
}
