//! Where there are no more descriptors, or no more processes: an error that says so, nothing left of what was
//! begun, and all as before. Fault rows 8 and 9, for everything that can be made; starting a process alone,
//! and what is left of it, is in `mp-core/tests/descriptors.rs`.

use mp::{
    Array, AtomicU64, Barrier, BoundedSemaphore, Condition, Event, Item, Lock, Manager, Mutex,
    OwnedSemaphore, Pool, Process, Queue, RLock, RawArray, RawValue, RwLock, Semaphore, ShareableList,
    SharedMemory, Value, active_children, pipe, pipe_simplex,
};
use mp_core::transfer::{pack, unpack};
use mp_testing::{
    at_every_limit, descendants, limited, not_here, open_descriptors, parent_in_role, process_name, role,
    shared_memory_names,
};
use nix::sys::resource::Resource;
use std::any::Any;
use std::error::Error;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Stdio;

mp_testing::cases! {
    plain: [
        objects_without_descriptors_leave_nothing,
        what_arrives_without_descriptors_leaves_nothing,
        helpers_without_descriptors_leave_nothing,
        helpers_without_processes_leave_nothing,
        where_no_file_may_have_a_byte_each_object_is_refused_and_no_signal_ends_the_process,
    ]
}

type Made = Result<Box<dyn Any>, Box<dyn Error>>;

fn made<T: 'static, E: Error + 'static>(result: Result<T, E>) -> Made {
    match result {
        Ok(object) => Ok(Box::new(object)),
        Err(error) => Err(Box::new(error)),
    }
}

/// (name, how it is made)
type Kind = (&'static str, fn() -> Made);

/// What needs no process beside this one.
const OBJECTS: &[Kind] = &[
    ("Lock", || made(Lock::new())),
    ("RLock", || made(RLock::new())),
    ("Mutex", || made(Mutex::new(1_u8))),
    ("RwLock", || made(RwLock::new(1_u8))),
    ("Condition", || made(Condition::new())),
    ("Semaphore", || made(Semaphore::new(1))),
    ("BoundedSemaphore", || made(BoundedSemaphore::new(1))),
    ("OwnedSemaphore", || made(OwnedSemaphore::new(1))),
    ("Event", || made(Event::new())),
    ("Barrier", || made(Barrier::new(2))),
    ("Value", || made(Value::new(1_u8))),
    ("RawValue", || made(RawValue::new(1_u8))),
    ("Array", || made(Array::from_slice(&[1_u8, 2]))),
    ("RawArray", || made(RawArray::<u8>::zeroed(2))),
    ("AtomicU64", || made(AtomicU64::new(1))),
    ("Queue", || made(Queue::<u8>::new())),
    ("Queue::counted", || made(Queue::<u8>::counted())),
    ("pipe", || made(pipe::<u8, u8>())),
    ("pipe_simplex", || made(pipe_simplex::<u8>())),
    ("SharedMemory", || made(SharedMemory::create(&own_name(), 100))),
    ("ShareableList", || made(ShareableList::create(&own_name(), [Item::Int(1)]))),
];

fn own_name() -> String {
    format!("mp-limits-{}", std::process::id())
}

/// The error number at the bottom of an error.
fn errno(error: &(dyn Error + 'static)) -> Option<i32> {
    match error.source() {
        Some(source) => errno(source),
        None => error.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error),
    }
}

/// Says what came of it, once it is dropped, and gives whether it worked.
fn tell(name: &str, soft: u64, result: Made) -> bool {
    let worked = result.is_ok();
    match result {
        Ok(_) => println!("{name}: worked"),
        Err(error) => {
            let number = errno(&*error);
            // With a limit of 3 there is no number to copy to, which the kernel calls an invalid argument.
            let fits = number == Some(libc::EMFILE) || number == Some(libc::EINVAL) && soft == 3;
            assert!(fits, "{name} under {soft}: {error:?}");
            println!("{name}: refused");
        }
    }
    worked
}

/// Nothing is open that was not; but for what a process keeps from its first named block on: the register of its names,
/// and its line to the keeper, which a later block gets if the first could not.
fn nothing_new(before: &mut Vec<(u32, String)>, keeps: bool) {
    let now = open_descriptors(std::process::id());
    if keeps {
        for kept in ["/dev/shm/", "socket:"] {
            let mut such = now.iter().filter(|open| open.1.starts_with(kept));
            before.retain(|open| !open.1.starts_with(kept));
            before.extend(such.next().cloned());
            assert_eq!(such.next(), None, "one is kept");
        }
        before.sort();
    }
    assert_eq!(now, *before);
}

fn objects_without_descriptors_leave_nothing() {
    at_every_limit(|soft| {
        let mut before = open_descriptors(std::process::id());
        for (name, make) in OBJECTS {
            let named = *name == "SharedMemory" || *name == "ShareableList";
            let worked = tell(name, soft, limited(Resource::RLIMIT_NOFILE, soft, make));
            nothing_new(&mut before, named && worked);
            // Ended under the limit, too.
            let worked = limited(Resource::RLIMIT_NOFILE, soft, || make().map(drop)).is_ok();
            nothing_new(&mut before, named && worked);
            drop(make().unwrap_or_else(|error| panic!("{name} after {soft}: {error:?}")));
            nothing_new(&mut before, named);
        }
        assert!(!shared_memory_names().contains(&own_name()));
    });
}

/// The sender's handles are duplicated here, and a queue opens what it needs.
fn what_arrives_without_descriptors_leaves_nothing() {
    fn arrive<T: serde::Serialize + serde::de::DeserializeOwned>(name: &str, sent: T, soft: u64) {
        let message = pack(&sent).unwrap();
        drop(sent);
        let again = || unpack::<T>(&message.bytes, message.handles.clone()).map(drop);
        let before = open_descriptors(std::process::id());
        let result = limited(Resource::RLIMIT_NOFILE, soft, again);
        println!("{name}: {}", if result.is_ok() { "worked" } else { "refused" });
        assert_eq!(open_descriptors(std::process::id()), before, "{name} under {soft}");
        again().unwrap();
        assert_eq!(open_descriptors(std::process::id()), before, "{name} after {soft}");
    }
    at_every_limit(|soft| {
        arrive("Lock", Lock::new().unwrap(), soft);
        arrive("Barrier", Barrier::new(2).unwrap(), soft);
        arrive("Array", Array::from_slice(&[1_u8]).unwrap(), soft);
        arrive("Queue", Queue::<u8>::new().unwrap(), soft);
        arrive("Queue::counted", Queue::<u8>::counted().unwrap(), soft);
        arrive("SharedMemory", SharedMemory::new(10).unwrap(), soft);
    });
}

fn nothing() {}

fn double(x: u64) -> u64 {
    2 * x
}

/// What does not go by itself: descriptors but for sockets, and how many of these.
fn open_now() -> (Vec<String>, usize) {
    let all = open_descriptors(std::process::id()).into_iter().map(|(_, target)| target);
    let (sockets, mut others): (Vec<String>, _) = all.partition(|target| target.starts_with("socket:"));
    others.retain(|target| !target.starts_with("/proc/"));
    others.sort();
    (others, sockets.len())
}

/// Begins with a template, which stays, and the socket of its pre-forked child, which comes and goes.
struct Before {
    open: (Vec<String>, usize),
}

impl Before {
    fn new() -> Before {
        Process::new(nothing, ()).start().unwrap().join().unwrap();
        active_children();
        Before { open: open_now() }
    }

    fn is_as_now(&self, what: &str) {
        assert!(active_children().is_empty(), "{what}");
        // The template and its pre-forked child, whose name it has until it is told another.
        let is_helper = |pid: u32| ["mp-template", "mp-spare"].contains(&process_name(pid).as_str());
        while descendants(std::process::id()).iter().any(|(pid, _)| !is_helper(*pid)) {
            std::thread::yield_now();
        }
        let (others, sockets) = open_now();
        assert_eq!(others, self.open.0, "{what}");
        assert!(sockets.abs_diff(self.open.1) <= 1, "{what}: {sockets} sockets, and not {}", self.open.1);
    }
}

/// A pool that came to be may break, since its workers have the limit too; but it says so.
fn use_pool(pool: Pool) {
    match pool.apply(double, (4,)) {
        Ok(number) => assert_eq!(number, 8),
        Err(error) => eprintln!("a pool broke: {error}"),
    }
}

fn use_manager(manager: Manager) {
    match manager.list::<u8>().and_then(|list| list.push(1)) {
        Ok(()) => {}
        Err(error) => eprintln!("a manager broke: {error}"),
    }
}

fn helpers_without_descriptors_leave_nothing() {
    at_every_limit(|soft| {
        let before = Before::new();
        let pool = limited(Resource::RLIMIT_NOFILE, soft, || Pool::new(3));
        tell("Pool", soft, pool.map(use_pool).map(|()| Box::new(()) as Box<dyn Any>).map_err(Into::into));
        before.is_as_now("Pool");
        let manager = limited(Resource::RLIMIT_NOFILE, soft, Manager::start);
        tell(
            "Manager",
            soft,
            manager.map(use_manager).map(|()| Box::new(()) as Box<dyn Any>).map_err(Into::into),
        );
        before.is_as_now("Manager");
        let pool = Pool::new(3).unwrap();
        assert_eq!(pool.map(double, 0..10).unwrap().len(), 10);
        drop(pool);
        before.is_as_now("a pool without a limit");
    });
}

/// In a process of a user that has no other: root is not bound by this limit, and others' processes count.
/// Threads count, too.
fn helpers_without_processes_leave_nothing() {
    if role().is_none() {
        if !nix::unistd::geteuid().is_root() {
            not_here("needs root, to become another user");
        }
        let user = 1_000_000 + std::process::id();
        let mut parent = parent_in_role("is bound by the limit");
        let output = parent.uid(user).gid(user).stderr(Stdio::inherit()).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{said}");
        assert!(said.contains("worked") && said.contains("refused"), "{said}");
        return;
    }
    let before = Before::new();
    for more in 0..12 {
        // This process, its template, and a pre-forked child, which there is sooner or later.
        let result = limited(Resource::RLIMIT_NPROC, 3 + more, || Pool::new(3).map(use_pool));
        say("Pool", more, result.err().map(Into::into));
        before.is_as_now(&format!("Pool with {more} more"));
        let result = limited(Resource::RLIMIT_NPROC, 3 + more, || Manager::start().map(use_manager));
        say("Manager", more, result.err().map(Into::into));
        before.is_as_now(&format!("Manager with {more} more"));
    }
    let pool = Pool::new(3).unwrap();
    assert_eq!(pool.map(double, 0..10).unwrap().len(), 10);
}

fn say(name: &str, more: u64, error: Option<Box<dyn Error>>) {
    match error {
        None => println!("{name} with {more} more: worked"),
        Some(error) if errno(&*error) == Some(libc::EAGAIN) => println!("{name} with {more} more: refused"),
        Some(error) => panic!("{name} with {more} more: {error:?}"),
    }
}

/// The system would end the process by SIGXFSZ.
fn where_no_file_may_have_a_byte_each_object_is_refused_and_no_signal_ends_the_process() {
    for (name, make) in OBJECTS {
        match limited(Resource::RLIMIT_FSIZE, 0, make) {
            // A connection is a socket.
            Ok(_) => assert!(name.starts_with("pipe"), "{name}"),
            Err(error) => assert!(error.to_string().contains("RLIMIT_FSIZE"), "{name}: {error}"),
        }
        drop(make().unwrap_or_else(|error| panic!("{name} afterwards: {error:?}")));
    }
    assert!(!shared_memory_names().contains(&own_name()));
}
