//! Mirrors CPython's `_TestEvent`: P26. And what CPython's event does wrong.

use mp_core::Process;
use mp_sync::Event;
use std::time::{Duration, Instant};

mp_testing::cases! {
    plain: [a_waiter_is_not_robbed_by_a_clear],
    every_method: [timeouts_and_flags, a_child_sets_it_late, a_child_sets_and_all_go_on,
        a_killed_waiter_troubles_no_other_process]
}

/// Begins and ends with an event that is not set.
fn wait_set_and_clear(event: Event) {
    assert!(!event.is_set());
    assert!(!event.wait_timeout(Duration::ZERO));
    // Longer than the waits between two timed looks, which must not be taken for the end.
    let (began, timeout) = (Instant::now(), Duration::from_millis(800));
    assert!(!event.wait_timeout(timeout));
    assert!(began.elapsed() >= timeout, "given up after {:?}", began.elapsed());
    event.set();
    event.set();
    assert!(event.is_set() && event.wait_timeout(Duration::ZERO));
    event.wait();
    assert_eq!(format!("{event:?}"), "Event { set: true }");
    event.clear();
    assert!(!event.is_set() && !event.wait_timeout(Duration::ZERO));
}

/// P26, here and in a child.
fn timeouts_and_flags() {
    let event = Event::new().unwrap();
    wait_set_and_clear(event.clone());
    Process::new(wait_set_and_clear, (event,)).start().unwrap().join().unwrap();
}

fn set_late(event: Event, delay: Duration) {
    assert!(!Event::new().unwrap().wait_timeout(delay));
    event.set();
}

/// P26: by a wait with a timeout and by one without.
fn a_child_sets_it_late() {
    let event = Event::new().unwrap();
    let (began, delay) = (Instant::now(), Duration::from_millis(1400));
    let child = Process::new(set_late, (event.clone(), delay)).start().unwrap();
    let other = event.clone();
    let waits = std::thread::spawn(move || {
        other.wait();
        began.elapsed()
    });
    assert!(event.wait_timeout(Duration::from_secs(3600)));
    assert!(began.elapsed() >= delay && waits.join().unwrap() >= delay, "it was not set yet");
    assert!(event.is_set());
    child.join().unwrap();
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

fn a_killed_waiter_troubles_no_other_process() {
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
