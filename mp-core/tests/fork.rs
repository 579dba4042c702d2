//! What only a fork can do: work on what is captured and borrowed, in a scope or not; and what stands against it: other
//! threads (fault row 39).

use mp_core::popen::ForkIsSafe;
use mp_core::{
    JoinError, Process, StartError, StartMethod, active_children, current_process, get_logger, log_to_stderr,
    scope,
};
use mp_testing::{parent_in_role, role};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};

mp_testing::cases! {
    plain: [
        a_scope_lends_what_it_borrows,
        a_scope_ends_when_its_processes_have,
        a_scope_tells_of_a_process_that_was_not_joined,
        a_scope_passes_a_panic_on_once_all_have_ended,
        threads_refuse_a_fork_and_their_number_is_named,
        a_promise_lets_a_threaded_parent_fork,
        joined_threads_do_not_count,
    ],
    every_method: [
        records_are_shown_by_name,
        the_authkey_is_inherited,
    ]
}

fn a_scope_lends_what_it_borrows() {
    let numbers = [1_u64, 2, 3, 4];
    let sums = scope(|scope| {
        let halves = numbers.chunks(2).map(|half| scope.fork(|| half.iter().sum::<u64>()).unwrap());
        halves.map(|child| child.join().unwrap()).collect::<Vec<u64>>()
    });
    assert_eq!(sums, [3, 7]);
}

fn a_scope_ends_when_its_processes_have() {
    let (read, write) = mp_core::sys::fd::pipe().unwrap();
    let write = std::fs::File::from(write);
    scope(|scope| {
        for _ in 0..4 {
            scope.fork(|| std::io::Write::write_all(&mut &write, b"!").unwrap()).unwrap();
        }
    });
    assert!(active_children().is_empty());
    drop(write);
    let mut text = String::new();
    std::io::Read::read_to_string(&mut std::fs::File::from(read), &mut text).unwrap();
    assert_eq!(text, "!!!!");
}

fn words_of(panic: Box<dyn std::any::Any + Send>) -> String {
    panic
        .downcast_ref::<String>()
        .cloned()
        .or(panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .unwrap()
}

fn a_scope_tells_of_a_process_that_was_not_joined() {
    let seen = scope(|scope| scope.fork(|| -> u8 { panic!("no luck") }).unwrap().join());
    assert!(matches!(seen, Err(JoinError::Panicked { .. })));
    let unseen = catch_unwind(|| {
        scope(|scope| {
            let named = Process::fork(|| std::process::exit(3)).name("quitter");
            scope.start::<_, ()>(named).map(drop)
        })
    });
    assert!(words_of(unseen.unwrap_err()).contains("quitter"));
}

fn a_scope_passes_a_panic_on_once_all_have_ended() {
    let result = catch_unwind(AssertUnwindSafe(|| {
        scope(|scope| {
            scope.fork(|| ()).unwrap();
            panic!("in the scope")
        })
    }));
    assert_eq!(words_of(result.map(|()| 0).unwrap_err()), "in the scope");
    assert!(active_children().is_empty());
}

fn threads_refuse_a_fork_and_their_number_is_named() {
    let (send, receive) = std::sync::mpsc::channel::<()>();
    let waits = std::thread::spawn(move || receive.recv());
    let refused = Process::fork(|| ()).start().unwrap_err();
    assert!(matches!(refused, StartError::Threads { threads: 2 }), "{refused:?}");
    assert!(refused.to_string().contains("2 threads"), "{refused}");
    drop(send);
    let _ = waits.join();
}

/// The system may list a thread for a moment after it was joined.
fn joined_threads_do_not_count() {
    for _ in 0..200 {
        std::thread::spawn(|| ()).join().unwrap();
        Process::fork(|| ()).start().unwrap().join().unwrap();
    }
}

/// The other threads are inside the library all the time; a lock of its own that one of them held would hang a child,
/// which starts a child of its own.
fn a_promise_lets_a_threaded_parent_fork() {
    let stop = AtomicBool::new(false);
    std::thread::scope(|threads| {
        for _ in 0..2 {
            threads.spawn(|| {
                // ORDERING: Relaxed: only whether to go on.
                while !stop.load(Ordering::Relaxed) {
                    let child = Process::new(|| (), ()).method(StartMethod::ForkServer).start().unwrap();
                    assert_eq!(current_process().name(), "MainProcess");
                    active_children();
                    child.join().unwrap();
                }
            });
        }
        for round in 0..50_u32 {
            let work = || {
                let grandchild = Process::new(|x: u32| x, (round,)).method(StartMethod::ForkServer).start();
                (current_process().name().to_owned(), grandchild.unwrap().join().unwrap())
            };
            // SAFETY: the other threads print nothing, and touch neither the environment nor the panic hook; the
            // child neither.
            #[allow(unsafe_code, reason = "the promise that this case is about")]
            let vouched = unsafe { ForkIsSafe::vouch() };
            let child = Process::fork(work).name("promised").despite_threads(vouched).start().unwrap();
            assert_eq!(child.join().unwrap(), ("promised".to_owned(), round));
        }
        // ORDERING: as above.
        stop.store(true, Ordering::Relaxed);
    });
}

fn log_something() {
    get_logger().info("in the child");
}

fn records_are_shown_by_name() {
    if role().is_some() {
        let logger = log_to_stderr(log::LevelFilter::Info).unwrap();
        // A second time is no error, and a level that is not shown is not made.
        log_to_stderr(log::LevelFilter::Info).unwrap();
        logger.info("in the parent");
        logger.log(log::Level::Debug, "too small");
        let child = Process::new(log_something, ()).name("talker").start().unwrap();
        child.join().unwrap();
        return;
    }
    let output = parent_in_role("logs").stdin(Stdio::null()).stderr(Stdio::piped()).output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stderr).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    for expected in [
        "[INFO/MainProcess] in the parent",
        "[INFO/talker] child process calling its function",
        "[INFO/talker] in the child",
        "[INFO/talker] process shutting down",
        "[INFO/talker] process exiting with exitcode 0",
    ] {
        assert!(lines.contains(&expected), "{expected} is not in\n{text}");
    }
    assert!(!text.contains("too small") && !text.contains("DEBUG"), "{text}");
}

fn my_key() -> Vec<u8> {
    current_process().authkey().unwrap().as_bytes().to_vec()
}

fn the_key_of_my_child() -> Vec<u8> {
    Process::new(my_key, ()).start().unwrap().join().unwrap()
}

fn the_authkey_is_inherited() {
    // Asked for in the child first: it is the parent's all the same.
    let first = Process::new(my_key, ()).start().unwrap().join().unwrap();
    let mine = my_key();
    assert_eq!((mine.len(), &first), (32, &mine));
    assert_eq!(Process::new(the_key_of_my_child, ()).start().unwrap().join().unwrap(), mine);
    mp_core::set_authkey(mp_core::AuthKey::new(*b"a key of our own"));
    assert_eq!(Process::new(my_key, ()).start().unwrap().join().unwrap(), b"a key of our own");
    assert_eq!(format!("{:?}", current_process().authkey().unwrap()), "AuthKey(<key>)");
}
