//! Mirrors CPython's `_TestBarrier`: P27 to P30.
//!
//! Left out: P29's upper bounds on time. The kill sweep is mp-sweep.

use mp_core::sys::fd::pipe;
use mp_core::transfer::Handle;
use mp_core::{Child, Process, StartMethod};
use mp_sync::{Barrier, BrokenBarrierError, Event, RawValue, Value};
use mp_testing::limited;
use nix::sys::resource::Resource;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

mp_testing::cases! {
    plain: [no_parties_is_an_error, a_party_that_gives_up_breaks_it,
        an_action_of_threads_runs_once, a_panicking_action_breaks_it, a_receiver_killed_before_it_came_breaks_it,
        a_killed_copy_breaks_nothing, a_panic_in_the_barriers_action_breaks_it,
        an_action_that_cannot_be_called_breaks_it],
    every_method: [the_barriers_action_runs_once_in_each_pass, a_death_in_the_barriers_action_breaks_it,
        ten_passes_in_lockstep, an_action_runs_once_before_any_party_passes, one_party_passes_alone,
        a_default_timeout_travels, a_killed_waiting_party_breaks_it, a_party_killed_between_two_rounds_breaks_it,
        parties_that_ended_in_order_break_nothing, one_that_aborts_breaks_it_for_five, a_reset_breaks_those_that_wait,
        one_that_is_late_breaks_it_for_five, a_thousand_passes_are_seen_in_order,
        a_process_that_ends_while_a_thread_waits_breaks_it, a_process_that_can_open_no_file_is_not_dead]
}

fn no_parties_is_an_error() {
    assert!(Barrier::new(0).is_err());
}

fn pass_alone(barrier: Barrier) {
    for _ in 0..3 {
        let passed = barrier.wait().unwrap();
        assert!(passed.is_leader() && passed.index() == 0);
    }
}

/// P29, here and in a child.
fn one_party_passes_alone() {
    let barrier = Barrier::new(1).unwrap();
    pass_alone(barrier.clone());
    Process::new(pass_alone, (barrier.clone(),)).start().unwrap().join().unwrap();
    pass_alone(barrier);
}

fn pass_ten(barrier: Barrier, before: Value<u32>, after: Value<u32>) -> Vec<u32> {
    let mut places = Vec::new();
    for pass in 1..=10 {
        before.update(|count| *count += 1);
        places.push(barrier.wait().unwrap().index());
        // No party is in the next round before all five have come here.
        assert_eq!(before.get(), 5 * pass);
        after.update(|count| *count += 1);
        barrier.wait().unwrap();
        assert_eq!(after.get(), 5 * pass);
    }
    places
}

/// P27
fn ten_passes_in_lockstep() {
    let barrier = Barrier::new(5).unwrap();
    let (before, after) = (Value::new(0_u32).unwrap(), Value::new(0_u32).unwrap());
    let start = |_| Process::new(pass_ten, (barrier.clone(), before.clone(), after.clone())).start().unwrap();
    let children: Vec<Child<Vec<u32>>> = (0..5).map(start).collect();
    let places: Vec<Vec<u32>> = children.iter().map(|child| child.join().unwrap()).collect();
    for pass in 0..10 {
        let mut of_pass: Vec<u32> = places.iter().map(|of_one| of_one[pass]).collect();
        of_pass.sort_unstable();
        assert_eq!(of_pass, [0, 1, 2, 3, 4]);
    }
    assert_eq!(barrier.n_waiting(), 0);
    assert!(!barrier.broken());
}

fn pass_and_act(barrier: &Barrier, ran: &RawValue<u32>) {
    for pass in 1..=20 {
        // Read, then written: if two did it at a time, one of them would be lost or seen too many.
        barrier.wait_then(|| ran.set(ran.get() + 1)).unwrap();
        assert_eq!(ran.get(), pass);
        barrier.wait().unwrap();
    }
}

/// P27
fn an_action_runs_once_before_any_party_passes() {
    let (barrier, ran) = (Barrier::new(5).unwrap(), RawValue::new(0).unwrap());
    let party = |barrier: Barrier, ran: RawValue<u32>| pass_and_act(&barrier, &ran);
    let start = |_| Process::new(party, (barrier.clone(), ran.clone())).start().unwrap();
    let children: Vec<Child<()>> = (0..5).map(start).collect();
    children.iter().for_each(|child| child.join().unwrap());
    assert_eq!(ran.get(), 20);
}

/// P27
fn an_action_of_threads_runs_once() {
    let (barrier, ran) = (Barrier::new(5).unwrap(), RawValue::new(0).unwrap());
    std::thread::scope(|scope| {
        (0..5).for_each(|_| drop(scope.spawn(|| pass_and_act(&barrier, &ran))));
    });
    assert_eq!(ran.get(), 20);
}

fn a_panicking_action_breaks_it() {
    let barrier = Barrier::new(2).unwrap();
    std::thread::scope(|scope| {
        let other = scope.spawn(|| barrier.wait());
        wait_until_waiting(&barrier, 1);
        let mine = scope.spawn(|| barrier.wait_then(|| panic!("a deliberate panic")));
        assert!(mine.join().is_err());
        assert_eq!(other.join().unwrap(), Err(BrokenBarrierError::Broken));
    });
    assert!(barrier.broken());
    barrier.reset();
    assert!(!barrier.broken());
}

fn count_a_pass(passes: RawValue<u32>) {
    // Read, then written: if two did it at a time, one of them would be lost.
    passes.set(passes.get() + 1);
}

fn pass_and_look(barrier: &Barrier, passes: &RawValue<u32>) {
    for round in 0..20 {
        barrier.wait().unwrap();
        assert_eq!(passes.get(), 4 * round + 1, "it runs before any party passes");
        barrier.wait_timeout(Duration::MAX).unwrap();
        barrier.wait_then(|| assert_eq!(passes.get(), 4 * round + 3)).unwrap();
        barrier.wait_timeout_then(Duration::MAX, || ()).unwrap();
        assert_eq!(passes.get(), 4 * round + 4);
    }
}

/// P27: the action is given once, where the barrier is made, and whichever party is last runs it.
fn the_barriers_action_runs_once_in_each_pass() {
    let passes = RawValue::new(0).unwrap();
    let barrier = Barrier::builder(3).action_with(count_a_pass, (passes.clone(),)).build().unwrap();
    let party = |barrier: Barrier, passes: RawValue<u32>| pass_and_look(&barrier, &passes);
    let start = |_| Process::new(party, (barrier.clone(), passes.clone())).start().unwrap();
    let others: Vec<Child<()>> = (0..2).map(start).collect();
    pass_and_look(&barrier, &passes);
    others.iter().for_each(|child| child.join().unwrap());
}

fn fail() {
    panic!("a deliberate panic");
}

fn die() {
    std::process::abort();
}

fn a_panic_in_the_barriers_action_breaks_it() {
    let barrier = Barrier::builder(2).action(fail).build().unwrap();
    std::thread::scope(|scope| {
        let other = scope.spawn(|| barrier.wait());
        wait_until_waiting(&barrier, 1);
        assert!(scope.spawn(|| barrier.wait()).join().is_err());
        assert_eq!(other.join().unwrap(), Err(BrokenBarrierError::Broken));
    });
    assert!(barrier.broken());
}

fn a_death_in_the_barriers_action_breaks_it() {
    let barrier = Barrier::builder(2).action(die).build().unwrap();
    let start = || Process::new(is_broken, (barrier.clone(),)).start().unwrap();
    let first = start();
    wait_until_waiting(&barrier, 1);
    let last = start();
    assert!(first.join().unwrap(), "the other party was not told");
    assert!(last.join().is_err());
    assert!(barrier.broken());
}

/// Is written, and cannot be read.
struct Unreadable;

impl serde::Serialize for Unreadable {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_unit()
    }
}

impl<'de> serde::Deserialize<'de> for Unreadable {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(serde::de::Error::custom("unreadable"))
    }
}

fn an_action_that_cannot_be_called_breaks_it() {
    let barrier = Barrier::builder(1).action_with(|_: Unreadable| (), (Unreadable,)).build().unwrap();
    assert_eq!(barrier.wait(), Err(BrokenBarrierError::Broken));
    assert!(barrier.broken());
}

/// P28 and P29, with threads.
fn a_party_that_gives_up_breaks_it() {
    let barrier = Barrier::builder(3).timeout(Duration::from_millis(30)).build().unwrap();
    std::thread::scope(|scope| {
        let waits: Vec<_> = (0..2).map(|_| scope.spawn(|| barrier.wait())).collect();
        // The first whose time is over breaks it, for the other one, too.
        let late = waits.into_iter().map(|wait| wait.join().unwrap().unwrap_err());
        assert!(late.filter(|error| *error == BrokenBarrierError::Timeout).count() >= 1);
    });
    assert!(barrier.broken());
    assert_eq!(barrier.wait(), Err(BrokenBarrierError::Broken));
    barrier.reset();
    std::thread::scope(|scope| {
        let waits: Vec<_> = (0..2).map(|_| scope.spawn(|| barrier.wait_timeout(Duration::MAX))).collect();
        wait_until_waiting(&barrier, 2);
        barrier.abort();
        assert!(waits.into_iter().all(|wait| wait.join().unwrap() == Err(BrokenBarrierError::Broken)));
    });
}

fn meet(barrier: Barrier, there: Event) -> bool {
    there.set();
    barrier.wait().is_err()
}

fn have_it_and_stay(_barrier: Barrier, there: Event) -> bool {
    there.set();
    loop {
        std::thread::park();
    }
}

fn pass_and_stay(barrier: Barrier, there: Event) -> bool {
    barrier.wait().unwrap();
    have_it_and_stay(barrier, there)
}

/// Kills a party of three while another waits: that one must be told. `waiting`: how many wait at that moment.
fn killed(victim: impl FnOnce(Barrier, Event) -> Child<bool>, waiting: u32) {
    let barrier = Barrier::new(3).unwrap();
    let there = Event::new().unwrap();
    let victim = victim(barrier.clone(), there.clone());
    there.wait();
    broken_for_others(barrier, &victim, waiting);
}

fn broken_for_others(barrier: Barrier, victim: &Child<bool>, waiting: u32) {
    let other = Process::new(meet, (barrier.clone(), Event::new().unwrap())).start().unwrap();
    wait_until_waiting(&barrier, waiting);
    victim.kill().unwrap();
    assert!(other.join().unwrap(), "the other party was not told");
    assert!(barrier.broken());
    barrier.reset();
    assert!(!barrier.broken());
}

fn a_killed_waiting_party_breaks_it() {
    killed(|barrier, there| Process::new(meet, (barrier, there)).start().unwrap(), 2);
}

fn a_party_killed_between_two_rounds_breaks_it() {
    let (barrier, there) = (Barrier::new(3).unwrap(), Event::new().unwrap());
    let victim = Process::new(pass_and_stay, (barrier.clone(), there.clone())).start().unwrap();
    let other = Process::new(wait_once, (barrier.clone(), 0)).start().unwrap();
    barrier.wait().unwrap();
    other.join().unwrap();
    there.wait();
    broken_for_others(barrier, &victim, 1);
}

/// A process that has received it takes part although it has not waited yet.
fn a_receiver_killed_before_it_came_breaks_it() {
    for method in [StartMethod::Spawn, StartMethod::ForkServer] {
        killed(
            |barrier, there| Process::new(have_it_and_stay, (barrier, there)).method(method).start().unwrap(),
            1,
        );
    }
}

/// A bystander that has inherited it, and perhaps does not know of it, ends as it likes.
fn a_killed_copy_breaks_nothing() {
    let barrier = Barrier::new(2).unwrap();
    let bystander = Process::fork(std::thread::park).start::<()>().unwrap();
    let party = Process::new(is_broken, (barrier.clone(),)).start().unwrap();
    wait_until_waiting(&barrier, 1);
    bystander.kill().unwrap();
    assert!(bystander.join().is_err());
    // Longer than the waits between two looks at those that take part.
    std::thread::sleep(Duration::from_millis(1200));
    assert!(barrier.wait().is_ok());
    assert!(!party.join().unwrap());
}

fn wait_once(barrier: Barrier, end: u8) {
    barrier.wait().unwrap();
    if end == 1 {
        std::process::exit(3);
    }
}

/// By return and by exit: the barrier stays whole for the others.
fn parties_that_ended_in_order_break_nothing() {
    let barrier = Barrier::new(3).unwrap();
    let start = |end| Process::new(wait_once, (barrier.clone(), end)).start().unwrap();
    let children = [start(0), start(1)];
    barrier.wait().unwrap();
    children.iter().for_each(|child| drop(child.join()));
    // Long enough for several timed looks at the processes that had it.
    assert_eq!(barrier.n_waiting(), 0);
    let refilled = [start(0), start(1)];
    wait_until_waiting(&barrier, 2);
    assert!(!barrier.broken());
    barrier.wait().unwrap();
    refilled.iter().for_each(|child| drop(child.join()));
}

fn is_broken(barrier: Barrier) -> bool {
    barrier.wait() == Err(BrokenBarrierError::Broken)
}

fn wait_until_waiting(barrier: &Barrier, count: u32) {
    while barrier.n_waiting() < count {
        std::thread::yield_now();
    }
}

/// P28
fn one_that_aborts_breaks_it_for_five() {
    let barrier = Barrier::new(5).unwrap();
    let start = |_| Process::new(is_broken, (barrier.clone(),)).start().unwrap();
    let others: Vec<Child<bool>> = (0..4).map(start).collect();
    wait_until_waiting(&barrier, 4);
    Process::new(|barrier: Barrier| barrier.abort(), (barrier.clone(),)).start().unwrap().join().unwrap();
    assert!(others.iter().all(|child| child.join().unwrap()));
    assert_eq!(
        (barrier.broken(), barrier.n_waiting(), barrier.wait()),
        (true, 0, Err(BrokenBarrierError::Broken))
    );

    // `test_abort_and_reset`
    barrier.reset();
    let pass = |barrier: Barrier| barrier.wait().unwrap().index();
    let start = |_| Process::new(pass, (barrier.clone(),)).start().unwrap();
    let others: Vec<Child<u32>> = (0..4).map(start).collect();
    let mut places = vec![barrier.wait().unwrap().index()];
    places.extend(others.iter().map(|child| child.join().unwrap()));
    places.sort_unstable();
    assert_eq!(places, [0, 1, 2, 3, 4]);
}

fn is_broken_then_passes(barrier: Barrier) -> (bool, u32) {
    (barrier.wait().is_err(), barrier.wait().unwrap().index())
}

/// P28
fn a_reset_breaks_those_that_wait() {
    let barrier = Barrier::new(5).unwrap();
    let start = |_| Process::new(is_broken_then_passes, (barrier.clone(),)).start().unwrap();
    let others: Vec<Child<(bool, u32)>> = (0..4).map(start).collect();
    wait_until_waiting(&barrier, 4);
    barrier.reset();
    assert!(!barrier.broken());
    let mut places = vec![barrier.wait().unwrap().index()];
    for child in &others {
        let (broken, place) = child.join().unwrap();
        assert!(broken);
        places.push(place);
    }
    places.sort_unstable();
    assert_eq!(places, [0, 1, 2, 3, 4]);
}

/// Longer than the waits between two timed looks.
const TIMEOUT: Duration = Duration::from_millis(600);

/// Whether it was told, and how long it waited for that.
fn times_out(barrier: Barrier, late: bool) -> (bool, Duration) {
    barrier.wait().unwrap();
    while late && !barrier.broken() {
        std::thread::yield_now();
    }
    let began = Instant::now();
    (barrier.wait_timeout(TIMEOUT).is_err(), began.elapsed())
}

/// P29: late by any time that is longer than the others' timeout.
fn one_that_is_late_breaks_it_for_five() {
    let barrier = Barrier::new(5).unwrap();
    let start = |at| Process::new(times_out, (barrier.clone(), at == 2)).start().unwrap();
    let parties: Vec<Child<(bool, Duration)>> = (0..5).map(start).collect();
    let told: Vec<(bool, Duration)> = parties.iter().map(|child| child.join().unwrap()).collect();
    assert!(told.iter().all(|(broken, _)| *broken));
    // The party that broke it waited for all of the timeout.
    assert!(told.iter().any(|(_, waited)| *waited >= TIMEOUT), "{told:?}: broken too early");
    assert!(barrier.broken());
}

/// `_TestBarrier.test_default_timeout`
fn a_default_timeout_travels() {
    let barrier = Barrier::builder(2).timeout(TIMEOUT).build().unwrap();
    let waits = |barrier: Barrier| {
        let began = Instant::now();
        barrier.wait() == Err(BrokenBarrierError::Timeout) && began.elapsed() >= TIMEOUT
    };
    assert!(Process::new(waits, (barrier.clone(),)).start().unwrap().join().unwrap());
    assert!(barrier.broken());
}

const PASSES: u16 = 1000;

fn pass_and_tell(barrier: Barrier, out: Handle) {
    let mut out = File::from(out.into_fd().unwrap());
    for pass in 0..PASSES {
        barrier.wait().unwrap();
        // As short as this, a write to a pipe goes in whole.
        out.write_all(&pass.to_ne_bytes()).unwrap();
    }
}

/// P30
fn a_thousand_passes_are_seen_in_order() {
    let barrier = Barrier::new(5).unwrap();
    let (read, write) = pipe().unwrap();
    let write = Handle::new(write);
    let start = |_| Process::new(pass_and_tell, (barrier.clone(), write.clone())).start().unwrap();
    let children: Vec<Child<()>> = (0..5).map(start).collect();
    drop(write);
    let mut said = File::from(read);
    for pass in 0..PASSES {
        for _ in 0..5 {
            let mut bytes = [0; 2];
            said.read_exact(&mut bytes).unwrap();
            assert_eq!(u16::from_ne_bytes(bytes), pass);
        }
    }
    children.iter().for_each(|child| child.join().unwrap());
    assert!(!barrier.broken());
}

fn leave_a_thread_waiting(barrier: Barrier) {
    let of_the_thread = barrier.clone();
    std::thread::spawn(move || of_the_thread.wait());
    wait_until_waiting(&barrier, 1);
}

/// Its arrival must not count: it will never pass.
fn a_process_that_ends_while_a_thread_waits_breaks_it() {
    let barrier = Barrier::new(3).unwrap();
    Process::new(leave_a_thread_waiting, (barrier.clone(),)).start().unwrap().join().unwrap();
    assert_eq!(barrier.wait(), Err(BrokenBarrierError::Broken));
}

/// Row 8: a process whose start time could not be read is not taken for one that ended.
fn a_process_that_can_open_no_file_is_not_dead() {
    // One number is free, for the barrier.
    let first_free = File::open("/dev/null").unwrap().as_raw_fd() as u64;
    let (barrier, no_file) =
        limited(Resource::RLIMIT_NOFILE, first_free + 1, || (Barrier::new(2), File::open("/proc/self/stat")));
    let barrier = barrier.unwrap();
    assert!(no_file.is_err());
    let child = Process::new(is_broken, (barrier.clone(),)).start().unwrap();
    wait_until_waiting(&barrier, 1);
    // Longer than the waits between two looks at this process.
    std::thread::sleep(Duration::from_millis(1200));
    assert!(barrier.wait().is_ok());
    assert!(!child.join().unwrap());
}
