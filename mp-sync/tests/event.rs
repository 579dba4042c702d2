//! Mirrors CPython's `_TestEvent`.

use mp_core::Process;
use mp_sync::Event;
use std::time::{Duration, Instant};

mp_testing::cases! {
    plain: [timeouts_and_flags, a_waiter_is_not_robbed_by_a_clear],
    every_method: [a_child_sets_and_all_go_on, a_killed_waiter_is_nobodys_trouble]
}

fn timeouts_and_flags() {
    let event = Event::new().unwrap();
    assert!(!event.is_set());
    assert!(!event.wait_timeout(Duration::ZERO));
    let began = Instant::now();
    assert!(!event.wait_timeout(Duration::from_millis(50)));
    assert!(began.elapsed() >= Duration::from_millis(50));
    event.set();
    event.set();
    assert!(event.is_set() && event.wait_timeout(Duration::ZERO));
    event.wait();
    event.clear();
    assert!(!event.is_set() && !event.wait_timeout(Duration::ZERO));
}

/// CPython's wait looks at the flag once more when it wakes, and finds it cleared.
fn a_waiter_is_not_robbed_by_a_clear() {
    let (event, back) = (Event::new().unwrap(), Event::new().unwrap());
    std::thread::scope(|scope| {
        for _ in 0..200 {
            let waiter = scope.spawn(|| {
                back.set();
                event.wait();
            });
            back.wait();
            back.clear();
            // Whether it sleeps by now or not: it came before the set, or the set is there when it comes.
            while !waiter.is_finished() {
                event.set();
                event.clear();
            }
            waiter.join().unwrap();
        }
    });
}

fn wait_then_set(go: Event, there: Event) {
    go.wait();
    there.set();
}

fn a_child_sets_and_all_go_on() {
    let (go, there) = (Event::new().unwrap(), Event::new().unwrap());
    let child = Process::new(wait_then_set, (go.clone(), there.clone())).start().unwrap();
    assert!(!there.is_set());
    go.set();
    there.wait();
    child.join().unwrap();
}

fn wait_for_ever(there: Event, event: Event) {
    there.set();
    event.wait();
}

fn a_killed_waiter_is_nobodys_trouble() {
    let (there, event) = (Event::new().unwrap(), Event::new().unwrap());
    let start = || {
        there.clear();
        let child = Process::new(wait_for_ever, (there.clone(), event.clone())).start().unwrap();
        there.wait();
        child
    };
    let (killed, other) = (start(), start());
    killed.kill().unwrap();
    let _ = killed.join();
    event.set();
    other.join().unwrap();
}
