//! Objects of a user's type: what their methods may do, and what their deaths cost.

use mp_core::Process;
use mp_manager::{ListProxy, Manager, ManagerError, Restart, shared};
use mp_pipe::{Connection, pipe};
use mp_testing::limited;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Barrier, Condvar};

mp_testing::cases! {
    plain: [
        methods_run_in_the_manager,
        a_value_moves_in_if_it_can_travel,
        shared_methods_run_side_by_side,
        an_exclusive_method_runs_alone,
        a_slow_method_holds_up_its_object_alone,
        panics_come_back_and_the_object_stays,
        a_constructor_that_panics_makes_nothing,
        an_object_may_call_its_own_manager,
        a_supervised_object_is_made_again,
        a_supervised_object_that_may_not_is_dead,
        a_supervised_object_that_is_killed_is_told_of,
        without_descriptors_the_error_says_so,
        a_supervised_object_survives_handles_that_cannot_be_taken,
    ],
    every_method: [a_proxy_travels]
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Counter {
    count: u64,
    log: Vec<String>,
}

/// A method's own error.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum TakeError {
    TooFew(u64),
}

#[shared]
impl Counter {
    /// Not exposed: it has no receiver.
    pub(crate) fn starting_at(count: u64) -> Counter {
        Counter { count, ..Counter::default() }
    }

    pub(crate) fn add(&mut self, n: u64) -> u64 {
        self.count += n;
        self.count
    }

    pub(crate) fn get(&self) -> u64 {
        self.count
    }

    pub(crate) fn note(&mut self, text: &str, numbers: &[u32]) {
        self.log.push(format!("{text} {numbers:?}"));
    }

    pub(crate) fn log(&self) -> Vec<String> {
        self.log.clone()
    }

    pub(crate) fn take(&mut self, n: u64) -> Result<u64, TakeError> {
        self.count = self.count.checked_sub(n).ok_or(TakeError::TooFew(self.count))?;
        Ok(self.count)
    }

    pub(crate) fn where_it_is(&self) -> u32 {
        self.id()
    }

    pub(crate) fn panic_after(&mut self, n: u64) {
        self.count += n;
        panic!("a deliberate panic");
    }

    pub(crate) fn abort(&self) {
        std::process::abort();
    }

    pub(crate) fn push_to(&self, list: ListProxy<u64>) {
        list.push(self.count).unwrap();
    }

    fn id(&self) -> u32 {
        std::process::id()
    }
}

fn methods_run_in_the_manager() {
    let manager = Manager::start().unwrap();
    let counter = manager.construct(Counter::starting_at, (5,)).unwrap();
    assert_eq!((counter.add(2).unwrap(), counter.get().unwrap()), (7, 7));
    counter.note("text", &[1, 2]).unwrap();
    assert_eq!(counter.log().unwrap(), ["text [1, 2]"]);
    assert_eq!(counter.where_it_is().unwrap(), manager.server_pid());
    assert_eq!((counter.take(3).unwrap(), counter.take(9).unwrap()), (Ok(4), Err(TakeError::TooFew(4))));
    drop(counter);
    assert_eq!(manager.number_of_objects().unwrap(), 0);
}

fn a_value_moves_in_if_it_can_travel() {
    let manager = Manager::start().unwrap();
    let counter = manager.object_of(Counter { count: 1, log: vec!["here".to_owned()] }).unwrap();
    assert_eq!((counter.log().unwrap(), counter.clone().add(1).unwrap()), (vec!["here".to_owned()], 2));
}

fn add_one(counter: CounterProxy) -> u64 {
    counter.add(1).unwrap()
}

fn a_proxy_travels() {
    let manager = Manager::start().unwrap();
    let counter = manager.construct(Counter::default, ()).unwrap();
    let children: Vec<_> =
        (0..5).map(|_| Process::new(add_one, (counter.clone(),)).start().unwrap()).collect();
    let mut counts: Vec<u64> = children.iter().map(|child| child.join().unwrap()).collect();
    counts.sort_unstable();
    assert_eq!((counts, counter.get().unwrap()), (vec![1, 2, 3, 4, 5], 5));
}

/// Cannot travel: it is made where it lives.
struct Gate {
    both: Barrier,
    inside: AtomicU32,
    open: Mutex<bool>,
    opened: Condvar,
}

#[shared]
impl Gate {
    pub(crate) fn new() -> Gate {
        let (inside, open, opened) = (AtomicU32::new(0), Mutex::new(false), Condvar::new());
        Gate { both: Barrier::new(2), inside, open, opened }
    }

    pub(crate) fn meet(&self) -> bool {
        self.both.wait().is_leader()
    }

    pub(crate) fn wait_until_open(&self) {
        let open = self.open.lock().unwrap();
        self.inside.fetch_add(1, Ordering::Relaxed);
        drop(self.opened.wait_while(open, |open| !*open).unwrap());
    }

    pub(crate) fn inside(&self) -> u32 {
        self.inside.load(Ordering::Relaxed)
    }

    pub(crate) fn open(&self) {
        *self.open.lock().unwrap() = true;
        self.opened.notify_all();
    }

    /// How many were inside while it ran.
    pub(crate) fn alone(&mut self) -> u32 {
        let waiting = if *self.open.get_mut().unwrap() { 0 } else { *self.inside.get_mut() };
        std::thread::yield_now();
        waiting
    }
}

fn shared_methods_run_side_by_side() {
    let manager = Manager::start().unwrap();
    let gate = manager.construct(Gate::new, ()).unwrap();
    // Each waits for the other, inside.
    let leaders = std::thread::scope(|scope| {
        let other = scope.spawn(|| gate.meet().unwrap());
        u32::from(gate.meet().unwrap()) + u32::from(other.join().unwrap())
    });
    assert_eq!(leaders, 1);
}

fn an_exclusive_method_runs_alone() {
    let manager = Manager::start().unwrap();
    let gate = manager.construct(Gate::new, ()).unwrap();
    std::thread::scope(|scope| {
        let inside = [0; 3].map(|_| scope.spawn(|| gate.wait_until_open().unwrap()));
        while gate.inside().unwrap() < 3 {
            std::thread::yield_now();
        }
        gate.open().unwrap();
        // It begins when those three have left.
        assert_eq!(gate.alone().unwrap(), 0);
        inside.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

fn a_slow_method_holds_up_its_object_alone() {
    let manager = Manager::start().unwrap();
    let gate = manager.construct(Gate::new, ()).unwrap();
    let (dict, counter) =
        (manager.dict::<u8, u8>().unwrap(), manager.construct(Counter::default, ()).unwrap());
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| gate.wait_until_open().unwrap());
        while gate.inside().unwrap() == 0 {
            std::thread::yield_now();
        }
        dict.insert(1, 1).unwrap();
        assert_eq!((dict.get(&1).unwrap(), counter.add(1).unwrap()), (Some(1), 1));
        gate.open().unwrap();
        slow.join().unwrap();
    });
}

fn panics_come_back_and_the_object_stays() {
    let manager = Manager::start().unwrap();
    let counter = manager.construct(Counter::default, ()).unwrap();
    match counter.panic_after(3).unwrap_err() {
        ManagerError::Panicked { message, location } => {
            assert_eq!(message, "a deliberate panic");
            assert!(location.contains("shared.rs"), "{location}");
        }
        other => panic!("{other}"),
    }
    assert_eq!(counter.get().unwrap(), 3);
}

fn a_constructor_that_panics_makes_nothing() {
    let manager = Manager::start().unwrap();
    let refused = manager.construct(|| -> Counter { panic!("a deliberate panic") }, ()).unwrap_err();
    assert!(refused.to_string().contains("a deliberate panic"), "{refused}");
    assert_eq!(manager.number_of_objects().unwrap(), 0);
}

fn an_object_may_call_its_own_manager() {
    let manager = Manager::start().unwrap();
    let (counter, list) = (manager.construct(Counter::starting_at, (4,)).unwrap(), manager.list().unwrap());
    counter.push_to(list.clone()).unwrap();
    assert_eq!(list.to_vec().unwrap(), [4]);
}

fn a_supervised_object_is_made_again() {
    let manager = Manager::start().unwrap();
    let list = manager.list::<u64>().unwrap();
    let counter = manager.supervised(Counter::starting_at, (5,), Restart::UpTo(1)).unwrap();
    assert_eq!((counter.add(1).unwrap(), counter.get().unwrap()), (6, 6));
    assert_ne!(counter.where_it_is().unwrap(), manager.server_pid());
    counter.push_to(list.clone()).unwrap();
    let died = counter.abort().unwrap_err();
    assert!(matches!(died, ManagerError::ObjectDied { restarted: true, .. }), "{died:?}");
    assert!(died.to_string().contains("signal 6") && died.to_string().contains("first state"), "{died}");
    assert_eq!(counter.add(1).unwrap(), 6);
    // The manager and its other objects have not noticed.
    assert_eq!(list.to_vec().unwrap(), [6]);
    let again = counter.abort().unwrap_err();
    assert!(matches!(again, ManagerError::ObjectDied { restarted: false, .. }), "{again:?}");
    let dead = counter.get().unwrap_err();
    assert!(dead.to_string().contains("make a new object"), "{dead}");
}

fn a_supervised_object_that_may_not_is_dead() {
    let manager = Manager::start().unwrap();
    let counter = manager.supervised(Counter::default, (), Restart::Never).unwrap();
    let panicked = counter.panic_after(1).unwrap_err();
    assert!(matches!(panicked, ManagerError::Panicked { .. }), "{panicked:?}");
    assert_eq!(counter.get().unwrap(), 1);
    assert!(matches!(counter.abort(), Err(ManagerError::ObjectDied { restarted: false, .. })));
    assert!(matches!(counter.get(), Err(ManagerError::ObjectDied { restarted: false, .. })));
    let refused =
        manager.supervised(|| -> Counter { std::process::abort() }, (), Restart::Always).unwrap_err();
    assert!(refused.to_string().contains("signal 6"), "{refused}");
}

fn a_supervised_object_that_is_killed_is_told_of() {
    let manager = Manager::start().unwrap();
    let counter = manager.supervised(Counter::default, (), Restart::Always).unwrap();
    for _ in 0..3 {
        counter.add(1).unwrap();
        let pidfd = mp_core::sys::poll::pidfd_open(counter.where_it_is().unwrap()).unwrap();
        let fd = std::os::fd::AsFd::as_fd(&pidfd);
        mp_core::sys::process::send_signal(fd, mp_core::sys::signal::SIGKILL).unwrap();
        assert!(matches!(counter.get(), Err(ManagerError::ObjectDied { restarted: true, .. })));
        assert_eq!(counter.get().unwrap(), 0);
    }
}

fn without_descriptors_the_error_says_so() {
    let manager = limited(Resource::RLIMIT_NOFILE, 24, Manager::start).unwrap();
    let mut actors = Vec::new();
    let refused = loop {
        match manager.supervised(Counter::default, (), Restart::Never) {
            Ok(actor) => actors.push(actor),
            Err(error) => break error,
        }
    };
    assert!(refused.to_string().contains("RLIMIT_NOFILE"), "{refused}");
    assert_eq!(manager.list::<u8>().unwrap().len().unwrap(), 0);
}

type End = Connection<u8, u8>;

/// Takes and gives handles.
#[derive(Debug)]
struct Ends {
    calls: u32,
}

#[shared]
impl Ends {
    pub(crate) fn new() -> Ends {
        Ends { calls: 0 }
    }

    /// So many descriptors may be open in this process.
    pub(crate) fn allow(&self, descriptors: u64) {
        let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        setrlimit(Resource::RLIMIT_NOFILE, descriptors, hard).unwrap();
    }

    pub(crate) fn take(&mut self, ends: Vec<End>) -> usize {
        self.calls += 1;
        ends.len()
    }

    pub(crate) fn give(&mut self, count: usize) -> Vec<End> {
        self.calls += 1;
        (0..count).map(|_| pipe().unwrap().0).collect()
    }

    pub(crate) fn calls(&self) -> u32 {
        self.calls
    }
}

fn a_supervised_object_survives_handles_that_cannot_be_taken() {
    let ends = || (0..100).map(|_| pipe().unwrap().0).collect::<Vec<End>>();
    // Its own process has no descriptors for the arguments.
    let manager = Manager::start().unwrap();
    let object = manager.supervised(Ends::new, (), Restart::Never).unwrap();
    assert_eq!(object.take(ends()).unwrap(), 100);
    object.allow(64).unwrap();
    let refused = object.take(ends()).unwrap_err().to_string();
    assert!(refused.contains("arguments") && refused.contains("RLIMIT_NOFILE"), "{refused}");
    assert_eq!(object.calls().unwrap(), 1);
    // The manager has none for the result.
    let manager = limited(Resource::RLIMIT_NOFILE, 64, Manager::start).unwrap();
    let object = manager.supervised(Ends::new, (), Restart::Never).unwrap();
    object.allow(1000).unwrap();
    let refused = object.give(100).unwrap_err().to_string();
    assert!(refused.contains("was called") && refused.contains("RLIMIT_NOFILE"), "{refused}");
    assert_eq!(object.calls().unwrap(), 1);
}
