//! A worker that is killed at one system call: after it has taken a task and before it begins it, and in the middle of
//! a result. At each single instruction: the kill sweep.

use mp_core::transfer::Handle;
use mp_pool::{Pool, TaskError};
use mp_testing::{At, kill_at};
use nix::libc::{SYS_fallocate, SYS_sendmsg};

mp_testing::cases! {
    every_method: [
        what_was_taken_and_not_begun_goes_to_another_worker,
        a_death_in_the_middle_of_a_result_costs_that_item_alone,
    ]
}

/// Kills the one worker of a pool there, when it has got what `submit` gives it to do.
fn killed_at<R>(pool: &Pool, at: At, submit: impl FnOnce() -> R) -> R {
    // It sleeps soon: it has nothing more to do.
    let worker = pool.apply(std::process::id, ()).unwrap();
    let mut submitted = None;
    kill_at(worker, at, || submitted = Some(submit()));
    submitted.unwrap()
}

fn count(handles: Vec<Handle>) -> usize {
    handles.len()
}

/// The worker asks for arguments that have handles by a message, when it has taken the task.
fn what_was_taken_and_not_begun_goes_to_another_worker() {
    for at in [At::Before(SYS_sendmsg), At::After(SYS_sendmsg)] {
        let pool = Pool::new(1).unwrap();
        for round in 0..3 {
            let (end, _other) = mp_core::sys::fd::pipe().unwrap();
            let submit = || pool.apply_async(count, (vec![Handle::new(end)],)).unwrap();
            let result = if round == 0 { killed_at(&pool, at, submit) } else { submit() };
            assert_eq!(result.get(), Ok(1), "{at:?}");
        }
    }
}

fn long(x: u32) -> Vec<u8> {
    vec![x as u8; if x == 2 { 9 << 20 } else { 10 }]
}

/// Its memory is made, its pages are taken, it is sent: a result that goes by message.
fn a_death_in_the_middle_of_a_result_costs_that_item_alone() {
    for at in
        [At::Before(SYS_fallocate), At::After(SYS_fallocate), At::Before(SYS_sendmsg), At::After(SYS_sendmsg)]
    {
        let pool = Pool::new(1).unwrap();
        for chunk_size in [1, 5] {
            let submit = || pool.map_in_chunks(long, 0..5, Some(chunk_size)).unwrap();
            let each = killed_at(&pool, at, submit).get_each();
            for (x, outcome) in (0..).zip(each) {
                let died = matches!(outcome, Err(TaskError::WorkerDied { .. }));
                assert!(if x == 2 { died } else { outcome == Ok(long(x)) }, "{at:?}, {x}: {outcome:?}");
            }
        }
    }
}
