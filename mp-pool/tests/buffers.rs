//! Buffers: arguments and results that are filled, sent and read where they lie.

use mp_core::{Process, StartError, StartMethod, active_children};
use mp_mock::new_pool;
use mp_pool::{Buffer, BufferMut, Pool, Retry, TaskError, TaskOptions, buffer};
use mp_queue::Queue;
use mp_testing::{no_new_shared_memory, shared_memory_names, variant, while_killing};
use std::fs;
use std::sync::Mutex;
use std::time::Duration;

mp_testing::cases! {
    plain: [
        sixty_four_in_flight_and_all_results_held,
        a_result_lies_where_an_argument_lay,
        a_long_one_has_memory_of_its_own,
        a_buffer_outlives_its_pool,
        results_that_are_arguments_and_parts_of_values,
        a_result_that_is_dropped_unread_gives_its_memory_back,
        chunks_of_tasks_give_buffers_each,
        what_a_task_keeps_does_not_change,
        a_record_overwrites_no_buffer_beside_it,
        a_task_that_is_tried_again_gets_the_same_elements,
        no_fork_while_one_may_be_written_to,
        a_place_from_elsewhere_is_refused,
        buffers_while_workers_are_killed,
    ],
    every_method: [
        elements_cross_where_they_lie,
        a_killed_worker_gives_back_what_it_had,
        a_buffer_sent_by_another_way_is_a_copy,
        a_pool_in_a_worker_takes_its_tasks_buffers,
    ],
    mock: [
        elements_cross_where_they_lie,
        results_that_are_arguments_and_parts_of_values,
        a_task_that_is_tried_again_gets_the_same_elements,
    ],
}

const MIB: usize = 1 << 20;

/// Mappings of this process whose memory has such a name.
fn mapped(name: &str) -> usize {
    fs::read_to_string("/proc/self/maps").unwrap().lines().filter(|line| line.contains(name)).count()
}

/// Of buffers with memory of their own.
fn mapped_by_themselves() -> usize {
    mapped("mp-buffer")
}

/// Whatever was lent of the pool's memory was given back: there is room for as many buffers as there ever can be.
fn check_all_is_free(pool: &Pool) {
    let before = mapped_by_themselves();
    let all: Vec<BufferMut<u8>> = (0..31).map(|_| pool.buffer(MIB).unwrap()).collect();
    assert_eq!(mapped_by_themselves(), before, "some of the pool's memory was not given back");
    drop(all);
}

/// Elements that tell a buffer from others, and each place from others.
fn content(seed: usize, len: usize) -> impl Iterator<Item = u64> {
    (0..len as u64).map(move |at| at.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ seed as u64)
}

fn filled(pool: &Pool, seed: usize, len: usize) -> Buffer<u64> {
    let mut buffer = pool.buffer(len).unwrap();
    buffer.iter_mut().zip(content(seed, len)).for_each(|(to, from)| *to = from);
    buffer.freeze()
}

fn is_filled(buffer: &[u64], seed: usize, len: usize) -> bool {
    buffer.len() == len && buffer.iter().copied().eq(content(seed, len))
}

fn negated(of: Buffer<u64>) -> Buffer<u64> {
    let mut negation = buffer(of.len()).unwrap();
    negation.iter_mut().zip(&*of).for_each(|(to, from)| *to = !from);
    negation.freeze()
}

fn is_negated(buffer: &[u64], seed: usize, len: usize) -> bool {
    buffer.len() == len && buffer.iter().copied().eq(content(seed, len).map(|element| !element))
}

fn elements_cross_where_they_lie() {
    let before = shared_memory_names();
    let pool = new_pool(2).unwrap();
    for len in [0, 1, 2047, 2048, 2049, MIB / 8] {
        let result = pool.apply(negated, (filled(&pool, len, len),)).unwrap();
        assert!(is_negated(&result, len, len), "{len}");
    }
    if variant() != Some("mock") {
        let bytes = |pool: &Pool| {
            let each = pool.statistics().workers;
            each.iter().map(|worker| worker.bytes_in + worker.bytes_out).sum::<u64>()
        };
        let copied = bytes(&pool);
        for round in 0..10 {
            let result = pool.apply(negated, (filled(&pool, round, MIB / 8),)).unwrap();
            assert!(is_negated(&result, round, MIB / 8));
        }
        assert!(bytes(&pool) - copied < 2000, "a place is a few bytes");
        assert_eq!(mapped_by_themselves(), 0);
        check_all_is_free(&pool);
    }
    drop(pool);
    no_new_shared_memory(&before);
}

fn abort_with_one(argument: Buffer<u64>) -> Buffer<u64> {
    let mut half: BufferMut<u64> = buffer(argument.len()).unwrap();
    half[..argument.len() / 2].copy_from_slice(&argument[..argument.len() / 2]);
    std::process::abort();
}

fn a_killed_worker_gives_back_what_it_had() {
    let pool = Pool::new(2).unwrap();
    for round in 0..12 {
        let arguments = (0..4).map(|at| filled(&pool, at, MIB / 8));
        let each = pool.map_each(abort_with_one, arguments).unwrap();
        assert!(each.iter().all(|end| matches!(end, Err(TaskError::WorkerDied { .. }))), "{round}: {each:?}");
    }
    check_all_is_free(&pool);
    let result = pool.apply(negated, (filled(&pool, 7, MIB / 8),)).unwrap();
    assert!(is_negated(&result, 7, MIB / 8));
}

fn sixty_four_in_flight_and_all_results_held() {
    let pool = Pool::new(2).unwrap();
    let arguments: Vec<Buffer<u64>> = (0..64).map(|seed| filled(&pool, seed, MIB / 8)).collect();
    assert!(mapped_by_themselves() >= 32, "half of the pool's memory is for buffers");
    let submit = |argument: &Buffer<u64>| pool.apply_async(negated, (argument.clone(),)).unwrap();
    let pending: Vec<_> = arguments.iter().map(submit).collect();
    let results: Vec<Buffer<u64>> = pending.iter().map(|result| result.get().unwrap()).collect();
    for (seed, (argument, result)) in arguments.iter().zip(&results).enumerate() {
        assert!(is_filled(argument, seed, MIB / 8) && is_negated(result, seed, MIB / 8), "{seed}");
    }
    drop((arguments, pending, results));
    assert_eq!(mapped_by_themselves(), 0);
    check_all_is_free(&pool);
}

fn a_result_lies_where_an_argument_lay() {
    let pool = Pool::new(1).unwrap();
    let (mut arguments, mut results) = (Vec::new(), Vec::new());
    for seed in 0..20 {
        let argument = filled(&pool, seed, MIB / 8);
        arguments.push(argument.as_ptr().addr());
        let result = pool.apply(negated, (argument,)).unwrap();
        assert!(is_negated(&result, seed, MIB / 8), "{seed}");
        results.push(result.as_ptr().addr());
    }
    let overlaps = |result: &usize| arguments.iter().any(|argument| result.abs_diff(*argument) < MIB);
    assert!(
        results.iter().any(overlaps),
        "each has memory that the other one never has: twice as much is touched"
    );
    check_all_is_free(&pool);
}

fn sampled(of: Buffer<u8>) -> Buffer<u8> {
    let mut copy = buffer(of.len()).unwrap();
    copy.copy_from_slice(&of);
    copy[of.len() - 1] = 9;
    copy.freeze()
}

fn a_long_one_has_memory_of_its_own() {
    let pool = Pool::new(1).unwrap();
    let mut long = pool.buffer::<u8>(300 * MIB).unwrap();
    (long[7], long[200 * MIB]) = (1, 2);
    let result = pool.apply(sampled, (long.freeze(),)).unwrap();
    let (len, last) = (result.len(), result.len() - 1);
    assert_eq!((len, result[7], result[200 * MIB], result[last]), (300 * MIB, 1, 2, 9));
    drop(result);
    assert_eq!(mapped_by_themselves(), 0);
    let refused = pool.buffer::<u64>(usize::MAX / 4).unwrap_err();
    assert!(matches!(refused, mp_core::MemError::NoMemory { .. }), "{refused}");
    assert!(pool.buffer::<u8>(1 << 46).is_err());
}

fn a_buffer_outlives_its_pool() {
    let pool = Pool::new(1).unwrap();
    let (argument, unfilled) = (filled(&pool, 3, MIB / 8), pool.buffer::<u8>(MIB).unwrap());
    let pending = pool.apply_async(negated, (argument.clone(),)).unwrap();
    let result = pending.get().unwrap();
    drop(pool);
    let mut unfilled = unfilled;
    unfilled.fill(5);
    assert!(is_filled(&argument, 3, MIB / 8) && is_negated(&result, 3, MIB / 8));
    assert!(unfilled.iter().all(|byte| *byte == 5));
    // A result that is not read keeps the memory as well.
    drop((argument, unfilled, result));
    let again = pending.get().unwrap();
    assert!(is_negated(&again, 3, MIB / 8));
    drop((again, pending));
    assert_eq!(mapped("memfd:mp-pool"), 0);
}

/// Which numbers, and their buffers, in a value of several parts.
type Parts = (usize, Vec<Buffer<u64>>, Option<Buffer<u8>>);

fn argument_and_more(of: Buffer<u64>) -> Parts {
    let mut bytes = buffer(40_000).unwrap();
    bytes.fill(8);
    (of.len(), vec![negated(of.clone()), of.clone(), of], Some(bytes.freeze()))
}

fn results_that_are_arguments_and_parts_of_values() {
    let pool = new_pool(2).unwrap();
    for seed in 0..20 {
        let argument = filled(&pool, seed, 4000);
        let (len, each, bytes) = pool.apply(argument_and_more, (argument,)).unwrap();
        assert_eq!((len, each.len()), (4000, 3));
        assert!(
            is_negated(&each[0], seed, 4000)
                && is_filled(&each[1], seed, 4000)
                && is_filled(&each[2], seed, 4000)
        );
        assert!(bytes.is_some_and(|bytes| bytes.len() == 40_000 && bytes.iter().all(|byte| *byte == 8)));
    }
    let arguments = (0..20).map(|seed| filled(&pool, seed, 4000));
    for (seed, result) in pool.imap(negated, arguments).unwrap().enumerate() {
        assert!(is_negated(&result.unwrap(), seed, 4000), "{seed}");
    }
    if variant() != Some("mock") {
        check_all_is_free(&pool);
    }
}

fn a_result_that_is_dropped_unread_gives_its_memory_back() {
    let pool = Pool::new(1).unwrap();
    for seed in 0..100 {
        drop(pool.apply_async(negated, (filled(&pool, seed, MIB / 8),)).unwrap());
    }
    let result = pool.apply(negated, (filled(&pool, 1, 10_000),)).unwrap();
    assert!(is_negated(&result, 1, 10_000));
    drop(result);
    check_all_is_free(&pool);
}

fn rendered(seed: usize) -> Buffer<u64> {
    let mut image = buffer(8000).unwrap();
    image.iter_mut().zip(content(seed, 8000)).for_each(|(to, from)| *to = from);
    image.freeze()
}

fn chunks_of_tasks_give_buffers_each() {
    let pool = Pool::new(2).unwrap();
    for chunk in [1, 5, 40] {
        let images = pool.map_in_chunks(rendered, 0..200, Some(chunk)).unwrap().get().unwrap();
        assert!(images.iter().enumerate().all(|(seed, image)| is_filled(image, seed, 8000)), "{chunk}");
    }
    check_all_is_free(&pool);
    // One call knows what the results of earlier ones took: none of its results needs memory of its own.
    drop(pool.apply(rendered, (0,)).unwrap());
    let result = pool.apply(rendered, (1,)).unwrap();
    assert!(is_filled(&result, 1, 8000));
    assert_eq!(mapped_by_themselves(), 0);
}

static KEPT: Mutex<Vec<Buffer<u64>>> = Mutex::new(Vec::new());

fn keep(argument: Buffer<u64>) -> Buffer<u64> {
    let result = negated(argument.clone());
    KEPT.lock().unwrap().extend([argument, result.clone()]);
    result
}

/// Whether all of them are as they were, of so many that were kept with these seeds.
fn check_kept(count: usize, len: usize) -> bool {
    let kept = KEPT.lock().unwrap();
    let is_right = |(seed, pair): (usize, &[Buffer<u64>])| {
        is_filled(&pair[0], seed, len) && is_negated(&pair[1], seed, len)
    };
    kept.len() == 2 * count && kept.chunks(2).enumerate().all(is_right)
}

fn keep_and_give_nothing(argument: Buffer<u64>) {
    KEPT.lock().unwrap().push(argument);
}

fn are_filled(len: usize) -> bool {
    KEPT.lock().unwrap().iter().enumerate().all(|(seed, buffer)| is_filled(buffer, seed, len))
}

fn drop_kept() {
    KEPT.lock().unwrap().clear();
}

fn what_a_task_keeps_does_not_change() {
    let (pool, len) = (Pool::new(1).unwrap(), 8000);
    for seed in 0..5 {
        let result = pool.apply(keep, (filled(&pool, seed, len),)).unwrap();
        assert!(is_negated(&result, seed, len));
    }
    for seed in 100..150 {
        drop(pool.apply(negated, (filled(&pool, seed, len),)).unwrap());
    }
    assert!(pool.apply(check_kept, (5, len)).unwrap());
    pool.apply(drop_kept, ()).unwrap();
    check_all_is_free(&pool);
    // What gives a short value, or none, may keep something, too.
    for seed in 0..5 {
        pool.apply(keep_and_give_nothing, (filled(&pool, seed, len),)).unwrap();
    }
    (100..120).for_each(|seed| drop(pool.apply(negated, (filled(&pool, seed, len),)).unwrap()));
    assert!(pool.apply(are_filled, (len,)).unwrap());
    pool.apply(drop_kept, ()).unwrap();
    check_all_is_free(&pool);
    // A task without a buffer tells that nothing is kept any more.
    pool.apply(keep_and_give_nothing, (filled(&pool, 0, MIB / 8),)).unwrap();
    pool.apply(drop_kept, ()).unwrap();
    check_all_is_free(&pool);
    // A dead worker keeps nothing.
    drop(pool.apply(keep, (filled(&pool, 0, MIB / 8),)).unwrap());
    let died = pool.apply_async(abort_with_one, (filled(&pool, 0, MIB / 8),)).unwrap().get();
    assert!(matches!(died, Err(TaskError::WorkerDied { .. })), "{died:?}");
    check_all_is_free(&pool);
}

/// Longer than what is left beside the buffers, and shorter than the whole room.
fn with_a_long_value(argument: Buffer<u64>, long: usize) -> (Buffer<u64>, Vec<u8>, Buffer<u64>) {
    (negated(argument.clone()), vec![7; long], argument)
}

fn keep_and_give_bytes(argument: Buffer<u64>, long: usize) -> Vec<u8> {
    KEPT.lock().unwrap().extend([argument.clone(), negated(argument)]);
    vec![7; long]
}

fn a_record_overwrites_no_buffer_beside_it() {
    let (pool, len) = (Pool::new(1).unwrap(), 3000);
    for long in [500, 600, 10_000, 20_000, 30_000, 3 << 20] {
        for seed in 0..3 {
            let argument = filled(&pool, seed, len);
            let (negation, bytes, again) = pool.apply(with_a_long_value, (argument, long)).unwrap();
            assert!(is_negated(&negation, seed, len) && is_filled(&again, seed, len), "{long}");
            assert!(bytes.len() == long && bytes.iter().all(|byte| *byte == 7), "{long}");
            let bytes = pool.apply(keep_and_give_bytes, (filled(&pool, seed, len), long)).unwrap();
            assert!(bytes.len() == long && bytes.iter().all(|byte| *byte == 7), "{long}");
        }
        assert!(pool.apply(check_kept, (3, len)).unwrap(), "{long}");
        pool.apply(drop_kept, ()).unwrap();
    }
    check_all_is_free(&pool);
}

fn abort_the_first_time(argument: Buffer<u64>, marks: Queue<()>) -> Buffer<u64> {
    if marks.try_get().is_ok() {
        std::process::abort();
    }
    negated(argument)
}

fn panic_the_first_time(argument: Buffer<u64>) -> Buffer<u64> {
    let _half: BufferMut<u64> = buffer(argument.len()).unwrap();
    if KEPT.lock().unwrap().is_empty() {
        KEPT.lock().unwrap().push(buffer(0).unwrap().freeze());
        panic!("the first time");
    }
    negated(argument)
}

fn a_task_that_is_tried_again_gets_the_same_elements() {
    let pool = new_pool(1).unwrap();
    let options = TaskOptions::new().retry(Retry::new(2).on_panic());
    if variant() != Some("mock") {
        let marks = Queue::new().unwrap();
        marks.put(()).unwrap();
        let again = pool.with(options);
        let result = again.apply(abort_the_first_time, (filled(&pool, 1, MIB / 8), marks)).unwrap();
        assert!(is_negated(&result, 1, MIB / 8));
    }
    let result = pool.with(options).apply(panic_the_first_time, (filled(&pool, 2, 20_000),)).unwrap();
    assert!(is_negated(&result, 2, 20_000));
}

fn put_back(from: &Queue<Buffer<u64>>, to: &Queue<Buffer<u64>>) {
    to.put(negated(from.get().unwrap())).unwrap();
}

fn through_queues(from: Queue<Buffer<u64>>, to: Queue<Buffer<u64>>) {
    put_back(&from, &to);
}

/// The queue is used in the middle of a task that has buffers of its own.
fn through_queues_in_a_task(
    mine: Buffer<u64>,
    from: Queue<Buffer<u64>>,
    to: Queue<Buffer<u64>>,
) -> Buffer<u64> {
    to.put(mine.clone()).unwrap();
    put_back(&from, &to);
    negated(mine)
}

fn a_buffer_sent_by_another_way_is_a_copy() {
    let (one, other) = (Pool::new(1).unwrap(), Pool::new(1).unwrap());
    // To another pool, and back from it to the first.
    let result = other.apply(negated, (filled(&one, 1, MIB / 8),)).unwrap();
    assert!(is_negated(&result, 1, MIB / 8));
    let twice = one.apply(negated, (result,)).unwrap();
    assert!(is_filled(&twice, 1, MIB / 8));
    // To a process, through a queue, and out of a task through a queue.
    let (to, from) = (Queue::new().unwrap(), Queue::new().unwrap());
    for (seed, len) in [(2, 10), (3, 5000), (4, 3 << 20)] {
        let child =
            Process::new(negated, (filled(&one, seed, len),)).method(StartMethod::Spawn).start().unwrap();
        assert!(is_negated(&child.join().unwrap(), seed, len), "{len}");
        let child = Process::new(through_queues, (to.clone(), from.clone()))
            .method(StartMethod::Spawn)
            .start()
            .unwrap();
        to.put(filled(&one, seed, len)).unwrap();
        assert!(is_negated(&from.get().unwrap(), seed, len), "{len}");
        child.join().unwrap();
        let task =
            one.apply_async(through_queues_in_a_task, (filled(&one, 9, 5000), to.clone(), from.clone()));
        assert!(is_filled(&from.get().unwrap(), 9, 5000));
        to.put(filled(&one, seed, len)).unwrap();
        assert!(is_negated(&from.get().unwrap(), seed, len), "{len}");
        assert!(is_negated(&task.unwrap().get().unwrap(), 9, 5000));
    }
    // As text.
    let text = serde_json::to_string(&filled(&one, 5, 3000)).unwrap();
    assert!(is_filled(&serde_json::from_str::<Buffer<u64>>(&text).unwrap(), 5, 3000));
    drop((twice, to, from));
    check_all_is_free(&one);
    check_all_is_free(&other);
}

/// Text from anywhere, in a task that has buffers.
fn read_as_a_buffer(mine: Buffer<u64>, text: String) -> (usize, Option<String>) {
    (mine.len(), serde_json::from_str::<Buffer<u64>>(&text).err().map(|error| error.to_string()))
}

fn a_place_from_elsewhere_is_refused() {
    let pool = Pool::new(1).unwrap();
    let text = "[1,300000,16384]".to_owned();
    let (len, refused) = pool.apply(read_as_a_buffer, (filled(&pool, 1, 5000), text.clone())).unwrap();
    assert_eq!(len, 5000);
    assert!(refused.is_some_and(|why| why.contains("does not belong")));
    let refused = serde_json::from_str::<Buffer<u64>>(&text).unwrap_err();
    assert!(refused.to_string().contains("does not belong"), "{refused}");
    let refused = serde_json::from_str::<Buffer<u64>>("[0,[1,2,3],0]").unwrap_err();
    assert!(refused.to_string().contains("whole number"), "{refused}");
}

fn in_a_pool_of_its_own(argument: Buffer<u64>) -> Buffer<u64> {
    let inner = Pool::new(1).unwrap();
    let once = inner.apply(negated, (argument,)).unwrap();
    let twice = inner.apply(negated, (once.clone(),)).unwrap();
    inner.apply(negated, (twice,)).unwrap()
}

fn a_pool_in_a_worker_takes_its_tasks_buffers() {
    let pool = Pool::new(1).unwrap();
    for seed in 0..2 {
        let result = pool.apply(in_a_pool_of_its_own, (filled(&pool, seed, MIB / 8),)).unwrap();
        assert!(is_negated(&result, seed, MIB / 8));
    }
    check_all_is_free(&pool);
}

fn nothing() {}

fn no_fork_while_one_may_be_written_to() {
    let fork = || Process::new(nothing, ()).method(StartMethod::Fork).start();
    let pool = Pool::new(1).unwrap();
    let mut unfilled = pool.buffer::<u8>(MIB).unwrap();
    drop(pool);
    let refused = fork().unwrap_err();
    assert!(matches!(refused, StartError::Borrowed { guards: 1 }), "{refused}");
    unfilled.fill(1);
    drop(unfilled);
    fork().unwrap().join().unwrap();
    // Own memory that is frozen never changes.
    let own = buffer::<u8>(MIB).unwrap();
    assert!(fork().is_err());
    let own = own.freeze();
    fork().unwrap().join().unwrap();
    assert_eq!(own.len(), MIB);
}

fn buffers_while_workers_are_killed() {
    let pool = Pool::new(2).unwrap();
    let (mut done, mut died, kills) = (0, 0, 60);
    let pids = || pool.worker_pids();
    while_killing(kills, Duration::from_millis(3), pids, || {
        let arguments = (0..24).map(|seed| filled(&pool, seed, 3000 + 1000 * seed));
        let each = pool.map_each(negated, arguments).unwrap();
        assert_eq!(each.len(), 24);
        for (seed, end) in each.into_iter().enumerate() {
            match end {
                Ok(result) => {
                    done += 1;
                    assert!(is_negated(&result, seed, 3000 + 1000 * seed), "{seed}");
                }
                Err(TaskError::WorkerDied { .. }) => died += 1,
                Err(other) => panic!("{seed}: {other:?}"),
            }
        }
    });
    println!("{kills} kills: {done} done, {died} died");
    drop(pool.map(negated, (0..8).map(|seed| filled(&pool, seed, 3000))).unwrap());
    check_all_is_free(&pool);
    pool.close();
    pool.join().unwrap();
    assert!(active_children().is_empty());
}
