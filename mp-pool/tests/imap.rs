//! Mirrors CPython's `test_imap`, `test_imap_unordered` and the iterators' part of `_TestPool` (P41, P42): and inputs
//! that are endless, fail, or block; workers that are killed; iterators that are dropped.

use mp_core::transfer::Handle;
use mp_mock::{fewer, new_pool};
use mp_pool::{Imap, ImapOptions, SubmitError, TaskError};
use mp_queue::Queue;
use mp_testing::while_killing;
use serde::{Deserialize, Serialize, Serializer};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

mp_testing::cases! {
    plain: [
        zero_is_refused,
        an_endless_input_is_read_a_bounded_number_of_items_ahead,
        a_program_that_takes_results_slowly_has_few_items_read_ahead,
        items_that_the_arena_does_not_hold,
        a_join_waits_for_no_result_to_be_taken,
        threads_take_from_streams_of_one_pool,
        a_stream_beside_more_than_the_board_holds,
        a_result_is_given_while_the_input_is_slow,
        every_item_comes_once_whichever_worker_is_killed,
    ],
    every_method: [
        results_come_in_the_order_of_the_input,
        results_come_as_they_are_done,
        a_failed_item_is_an_error_at_its_place,
        an_item_that_cannot_be_serialised_is_its_own_error,
        an_input_that_panics_gives_the_items_before_it_first,
        a_result_that_is_late_is_not_lost,
        a_dropped_stream_begins_nothing_more,
        a_closed_pool_gives_what_was_read,
        a_terminated_pool_ends_its_streams,
        handles_go_through_a_stream,
    ],
    mock: [
        threads_take_from_streams_of_one_pool,
        every_item_comes_once_whichever_worker_is_killed,
        results_come_in_the_order_of_the_input,
        a_failed_item_is_an_error_at_its_place,
        an_item_that_cannot_be_serialised_is_its_own_error,
        an_input_that_panics_gives_the_items_before_it_first,
        a_closed_pool_gives_what_was_read,
    ],
}

fn square(x: u64) -> u64 {
    x * x
}

const HOUR: Duration = Duration::from_secs(3600);

/// P41
fn results_come_in_the_order_of_the_input() {
    let pool = new_pool(3).unwrap();
    let items = fewer(1000);
    let squares: Vec<u64> = (0..items).map(square).collect();
    let all = |stream: Imap<_, u64>| stream.collect::<Result<Vec<u64>, TaskError>>().unwrap();
    assert_eq!(all(pool.imap(square, 0..items).unwrap()), squares);
    for chunk_size in [1, 7, 20, 1000, 5000] {
        for look_ahead in [1, 6, 64, 5000] {
            let options = ImapOptions::new().chunk_size(chunk_size).look_ahead(look_ahead);
            assert_eq!(all(pool.imap_with(square, 0..items, options).unwrap()), squares);
        }
        let options = ImapOptions::new().chunk_size(chunk_size);
        let mut each = all(pool.imap_unordered_with(square, 0..items, options).unwrap());
        each.sort_unstable();
        assert_eq!(each, squares);
    }
    let mut none = pool.imap(square, []).unwrap();
    assert_eq!((none.next(), none.next(), none.try_next()), (None, None, None));
}

fn zero_is_refused() {
    let pool = new_pool(1).unwrap();
    for options in [ImapOptions::new().chunk_size(0), ImapOptions::new().look_ahead(0)] {
        assert!(matches!(pool.imap_with(square, 0..3, options), Err(SubmitError::ChunkSize)));
        assert!(matches!(pool.imap_unordered_with(square, 0..3, options), Err(SubmitError::ChunkSize)));
    }
}

/// The first one waits until it may go on.
fn gated((x, gate): (u64, Option<Queue<()>>)) -> u64 {
    if let Some(gate) = gate {
        gate.get().unwrap();
    }
    x
}

/// The last of all is the one that all others came before.
fn results_come_as_they_are_done() {
    let pool = new_pool(2).unwrap();
    let gate = Queue::new().unwrap();
    let items = (0..500).map(|x| (x, (x == 0).then(|| gate.clone())));
    let mut stream = pool.imap_unordered(gated, items).unwrap();
    let mut others: Vec<u64> = stream.by_ref().take(499).map(Result::unwrap).collect();
    gate.put(()).unwrap();
    assert_eq!((stream.next(), stream.next()), (Some(Ok(0)), None));
    others.sort_unstable();
    assert!(others.into_iter().eq(1..500));
}

fn fails_now_and_then(x: u64) -> u64 {
    match x % 10 {
        3 => std::process::abort(),
        7 => panic!("a deliberate panic"),
        _ => x,
    }
}

fn a_failed_item_is_an_error_at_its_place() {
    let pool = new_pool(2).unwrap();
    for chunk_size in [1, 8] {
        let options = ImapOptions::new().chunk_size(chunk_size);
        let each: Vec<_> = pool.imap_with(fails_now_and_then, 0..40, options).unwrap().collect();
        assert_eq!(each.len(), 40);
        for (x, outcome) in (0..).zip(each) {
            match (x % 10, outcome) {
                (3, Err(TaskError::WorkerDied { .. })) | (7, Err(TaskError::Panicked { .. })) => {}
                (_, outcome) => assert_eq!(outcome, Ok(x)),
            }
        }
    }
}

#[derive(Debug, Deserialize)]
struct NotFive(u64);

impl Serialize for NotFive {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 == 5 { Err(serde::ser::Error::custom("it is five")) } else { self.0.serialize(serializer) }
    }
}

/// P42: that job's error, and no other's.
fn an_item_that_cannot_be_serialised_is_its_own_error() {
    let pool = new_pool(2).unwrap();
    for chunk_size in [1, 4, 100] {
        let options = ImapOptions::new().chunk_size(chunk_size);
        let stream = pool.imap_with(|x: NotFive| x.0, (0..10).map(NotFive), options).unwrap();
        for (x, outcome) in (0..).zip(stream) {
            match outcome {
                Err(TaskError::Failed(reason)) => {
                    assert!(x == 5 && reason.contains("it is five"), "{x} {reason}")
                }
                outcome => assert_eq!((x != 5, outcome), (true, Ok(x))),
            }
        }
        let unordered = pool.imap_unordered_with(|x: NotFive| x.0, (0..10).map(NotFive), options).unwrap();
        let (good, bad): (Vec<_>, Vec<_>) = unordered.partition(Result::is_ok);
        assert_eq!((good.len(), bad.len()), (9, 1));
    }
}

fn an_input_that_panics_gives_the_items_before_it_first() {
    let pool = new_pool(2).unwrap();
    for chunk_size in [1, 4, 1000] {
        let options = ImapOptions::new().chunk_size(chunk_size);
        let input = || (0..).inspect(|x| assert!(*x < 300, "the input ends badly"));
        let mut ordered = pool.imap_with(square, input(), options).unwrap();
        let mut given = Vec::new();
        let panicked = catch_unwind(AssertUnwindSafe(|| given.extend(ordered.by_ref().map(Result::unwrap))));
        let payload = panicked.unwrap_err();
        assert_eq!(payload.downcast_ref::<&str>(), Some(&"the input ends badly"));
        assert!(given.into_iter().eq((0..300).map(square)));
        assert_eq!(ordered.next(), None);
        let mut unordered = pool.imap_unordered_with(square, input(), options).unwrap();
        let mut given = 0;
        assert!(catch_unwind(AssertUnwindSafe(|| unordered.by_ref().for_each(|_| given += 1))).is_err());
        assert_eq!(given, 300);
    }
}

/// So memory is flat, however long it goes on.
fn an_endless_input_is_read_a_bounded_number_of_items_ahead() {
    let pool = new_pool(2).unwrap();
    for (chunk_size, look_ahead) in [(1, 1), (1, 10), (4, 10), (64, 640), (10, 4)] {
        let read = Cell::new(0_u64);
        let input = (0_u64..).inspect(|_| read.set(read.get() + 1));
        let options = ImapOptions::new().chunk_size(chunk_size).look_ahead(look_ahead);
        let mut stream = pool.imap_with(square, input, options).unwrap();
        for x in 0..20_000 {
            assert_eq!(stream.next(), Some(Ok(square(x))));
            assert!(read.get() <= x + 1 + look_ahead as u64, "{} at {x}", read.get());
        }
    }
    // The default is bounded, too.
    let read = Cell::new(0_u64);
    let mut stream = pool.imap_unordered(square, (0_u64..).inspect(|_| read.set(read.get() + 1))).unwrap();
    assert!(stream.by_ref().take(20_000).all(|square| square.is_ok()));
    assert!((20_000..=20_000 + 4096).contains(&read.get()), "{}", read.get());
}

/// However quick the tasks are: what is read is wanted.
fn a_program_that_takes_results_slowly_has_few_items_read_ahead() {
    let pool = new_pool(2).unwrap();
    let read = Cell::new(0_u64);
    let mut stream = pool.imap(square, (0_u64..).inspect(|_| read.set(read.get() + 1))).unwrap();
    for x in 0..2000 {
        assert_eq!(stream.next(), Some(Ok(square(x))));
        let began = Instant::now();
        while began.elapsed() < Duration::from_micros(20) {
            std::hint::spin_loop();
        }
        assert!(read.get() <= x + 1 + 256, "{} at {x}", read.get());
    }
}

/// 400 MiB through an arena of 64.
fn items_that_the_arena_does_not_hold() {
    let pool = new_pool(2).unwrap();
    let input = (0..200_u8).map(|x| vec![x; 2 << 20]);
    let stream = pool.imap(|block: Vec<u8>| (block.len(), block[7], block), input).unwrap();
    for (x, outcome) in (0..).zip(stream) {
        let (length, byte, block) = outcome.unwrap();
        assert_eq!((length, byte, block.len()), (2 << 20, x, 2 << 20));
    }
}

/// Of the items that were read, whose results may be more than the arena holds.
fn a_join_waits_for_no_result_to_be_taken() {
    let pool = new_pool(2).unwrap();
    let options = ImapOptions::new().look_ahead(100);
    let results = pool.imap_with(|x: u8| vec![x; 1 << 20], 0..100, options).unwrap();
    pool.close();
    pool.join().unwrap();
    for (x, result) in (0..).zip(results) {
        assert!(result == Ok(vec![x; 1 << 20]) || x > 0 && result == Err(TaskError::Closed), "{x}");
    }
}

fn threads_take_from_streams_of_one_pool() {
    let pool = new_pool(3).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..6_u64 {
            let pool = &pool;
            scope.spawn(move || {
                let options = ImapOptions::new().chunk_size(1 + thread as usize % 3);
                let items = thread * 10_000..thread * 10_000 + fewer(3000);
                let squares = items.clone().map(square);
                if thread % 2 == 0 {
                    let stream = pool.imap_with(square, items, options).unwrap();
                    assert!(stream.map(Result::unwrap).eq(squares));
                } else {
                    let stream = pool.imap_unordered_with(square, items, options).unwrap();
                    assert_eq!(stream.map(Result::unwrap).sum::<u64>(), squares.sum());
                }
            });
        }
    });
}

/// A stream waits for room, and gets it.
fn a_stream_beside_more_than_the_board_holds() {
    let pool = new_pool(2).unwrap();
    let many = pool.map_in_chunks(square, 0..20_000, Some(1)).unwrap();
    assert_eq!(pool.imap(square, 0..100).unwrap().map(Result::unwrap).sum::<u64>(), 328_350);
    assert_eq!(many.get().unwrap().len(), 20_000);
}

/// Each item is submitted when it is read: the second one is read only when the result of the first has been said.
fn a_result_is_given_while_the_input_is_slow() {
    let pool = new_pool(1).unwrap();
    let (begun, say) = (Queue::new().unwrap(), Queue::<u64>::new().unwrap());
    let read = Cell::new(0);
    let input = (0..200).filter(|_| true).inspect(|x| {
        read.set(x + 1);
        // Waits for the task before it, which so must have been submitted.
        if *x > 0 {
            assert_eq!(begun.get().unwrap(), *x - 1);
        }
    });
    let items = input.map(|x: u64| (x, say.clone()));
    std::thread::scope(|scope| {
        scope.spawn(|| (0..200).for_each(|_| begun.put(say.get().unwrap()).unwrap()));
        let said = |(x, say): (u64, Queue<u64>)| say.put(x).map(|()| x).unwrap();
        let stream = pool.imap(said, items).unwrap();
        for (x, outcome) in (0..200).zip(stream) {
            assert_eq!(outcome, Ok(x));
            // The one before the last was done when the last was read.
            assert!(read.get() <= x + 4, "{} were read before {x} was given", read.get());
        }
    });
}

/// P42
fn a_result_that_is_late_is_not_lost() {
    let pool = new_pool(1).unwrap();
    let gate = Queue::new().unwrap();
    let items = (0..5).map(|x| (x, Some(gate.clone())));
    let mut stream = pool.imap(gated, items).unwrap();
    for x in 0..5 {
        assert_eq!(stream.try_next(), Some(Err(TaskError::WouldBlock)));
        assert_eq!(stream.next_timeout(Duration::from_millis(2)), Some(Err(TaskError::Timeout)));
        gate.put(()).unwrap();
        assert_eq!(stream.next_timeout(HOUR), Some(Ok(x)));
    }
    assert_eq!((stream.try_next(), stream.next_timeout(HOUR)), (None, None));
}

fn say_and_wait((x, said, gate): (u64, Queue<u64>, Queue<()>)) -> u64 {
    said.put(x).unwrap();
    gate.get().unwrap();
    x
}

fn a_dropped_stream_begins_nothing_more() {
    let pool = new_pool(1).unwrap();
    let (said, gate) = (Queue::new().unwrap(), Queue::new().unwrap());
    let items = (0..).map(|x| (x, said.clone(), gate.clone()));
    let stream = pool.imap(say_and_wait, items).unwrap();
    assert_eq!(said.get().unwrap(), 0);
    drop(stream);
    gate.put(()).unwrap();
    // The worker is at the next one after it, if there is any.
    assert_eq!(pool.apply(square, (3,)).unwrap(), 9);
    assert!(said.try_get().is_err());
    // One that was taken to the end leaves nothing either.
    assert_eq!(pool.imap(square, 0..10).unwrap().take(2).count(), 2);
    pool.close();
    pool.join().unwrap();
}

fn a_closed_pool_gives_what_was_read() {
    let pool = new_pool(2).unwrap();
    let options = ImapOptions::new().look_ahead(10);
    let mut stream = pool.imap_with(square, 0..100, options).unwrap();
    let whole = pool.imap(square, 0..10).unwrap();
    pool.close();
    pool.join().unwrap();
    let given: Vec<_> = stream.by_ref().take_while(Result::is_ok).collect();
    assert_eq!((given.len(), stream.next()), (2, None));
    // All of it was read at once.
    assert!(whole.map(Result::unwrap).eq((0..10).map(square)));
    assert!(matches!(pool.imap(square, 0..3), Err(SubmitError::Closed)));
    let pool = new_pool(1).unwrap();
    let mut stream = pool.imap_with(square, 0..100, options).unwrap();
    pool.close();
    assert_eq!(stream.find_map(Result::err), Some(TaskError::Closed));
    assert_eq!(stream.next(), None);
}

fn a_terminated_pool_ends_its_streams() {
    let pool = new_pool(2).unwrap();
    let gate: Queue<()> = Queue::new().unwrap();
    let mut stream = pool.imap(gated, (0..).map(|x| (x, Some(gate.clone())))).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| pool.terminate());
        assert_eq!(stream.next(), Some(Err(TaskError::Terminated)));
    });
    let last = stream.by_ref().last();
    assert_eq!((last, stream.next()), (Some(Err(TaskError::Closed)), None));
}

fn handles_go_through_a_stream() {
    let pool = new_pool(2).unwrap();
    let (_reads, writes) = mp_core::sys::fd::pipe().unwrap();
    let items = (0..50_u64).map(|x| (x, (x % 3 == 0).then(|| Handle::new(writes.try_clone().unwrap()))));
    let options = ImapOptions::new().chunk_size(4);
    let back = |(x, handle): (u64, Option<Handle>)| (x, handle);
    let stream = pool.imap_with(back, items, options).unwrap();
    let mut count = 0;
    for (x, outcome) in (0..).zip(stream) {
        let (value, handle) = outcome.unwrap();
        assert_eq!((value, handle.is_some()), (x, x % 3 == 0));
        count += 1;
    }
    assert_eq!(count, 50);
}

/// Now and then a long one.
fn value_of(x: u64) -> Vec<u8> {
    vec![x as u8; if x % 509 == 508 { 300 << 10 } else { x as usize * 7 % 700 }]
}

/// `MP_KILLS=5000` sets the number.
fn every_item_comes_once_whichever_worker_is_killed() {
    const ITEMS: u64 = 3000;
    let wanted = mp_testing::kills(fewer(200) as u32) as usize;
    let pool = new_pool(4).unwrap();
    let pids = || pool.worker_pids();
    while_killing(wanted, Duration::from_micros(3000), pids, || {
        for chunk_size in [1, 5] {
            let options = ImapOptions::new().chunk_size(chunk_size);
            let stream = pool.imap_with(value_of, 0..ITEMS, options).unwrap();
            let mut items = 0;
            for (x, outcome) in (0..).zip(stream) {
                match outcome {
                    Ok(value) => assert_eq!(value, value_of(x)),
                    Err(TaskError::WorkerDied { .. }) => {}
                    Err(other) => panic!("{x}: {other:?}"),
                }
                items += 1;
            }
            assert_eq!(items, ITEMS);
            let unordered = pool.imap_unordered_with(|x: u64| x, 0..ITEMS, options).unwrap();
            let (mut seen, mut items) = (vec![false; ITEMS as usize], 0);
            for outcome in unordered {
                match outcome {
                    Ok(x) => assert!(!std::mem::replace(&mut seen[x as usize], true), "{x} came twice"),
                    Err(TaskError::WorkerDied { .. }) => {}
                    Err(other) => panic!("{other:?}"),
                }
                items += 1;
            }
            assert_eq!(items, ITEMS);
        }
    });
    println!("killed {wanted}");
    pool.close();
    pool.join().unwrap();
}
