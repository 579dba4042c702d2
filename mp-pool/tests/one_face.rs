//! One program, run with a pool of processes and with a pool of threads: one word differs.

use mp_pool::futures::{Future, Pending, as_completed};
use mp_pool::progress::{Bar, Progress};
use mp_pool::{
    GenerateOptions, Generated, ImapOptions, JoinPoolError, Pool, ProcessPoolExecutor, SubmitError,
    TaskError, TaskOptions, ThreadPool, ThreadPoolExecutor, YieldError, Yielder, with_state, worker_index,
};
use std::collections::BTreeMap;
use std::sync::mpsc;

mp_testing::cases! {
    plain: [
        streams_and_maps,
        results_that_come_later,
        generators,
        values_that_the_joining_thread_holds,
        values_that_the_thread_holds_that_shuts_down,
        progress,
        states_sizes_and_statistics,
        executors,
    ]
}

fn square(x: u64) -> u64 {
    x * x
}

fn fragile(x: u64) -> u64 {
    assert!(x % 10 != 3, "no {x}");
    x
}

/// The word of the name, run with both.
macro_rules! both {
    ($($case:ident, $processes:ty, $threads:ty, |$pool:ident| $program:block)*) => {$(
        fn $case() {
            let processes = { type $pool = $processes; $program };
            let threads = { type $pool = $threads; $program };
            assert_eq!(processes, threads);
        }
    )*};
}

/// What became of an item, without what only one of the two has.
fn outcome(result: &Result<u64, TaskError>) -> String {
    match result {
        Ok(value) => value.to_string(),
        Err(TaskError::Panicked { message, .. }) => message.clone(),
        Err(other) => other.to_string(),
    }
}

both! {
    streams_and_maps, Pool, ThreadPool, |P| {
        let pool = P::builder().processes(3).name("Both").build().unwrap();
        let mut told = vec![format!("{:?}", pool.map(square, 0..50).unwrap())];
        told.push(format!("{:?}", pool.starmap(|a: u64, b: u64| a * b, [(2, 3), (4, 5)]).unwrap()));
        told.extend(pool.map_each(fragile, 0..20).unwrap().iter().map(outcome));
        told.push(pool.map_in_chunks(square, 0..10, Some(3)).unwrap().get().unwrap().len().to_string());
        told.push(pool.starmap_in_chunks(|x: u64| x, [(7,)], None).unwrap().get().unwrap()[0].to_string());
        told.push(format!("{:?}", pool.map_interruptible(square, 0..3, || false).unwrap()));
        told.push(pool.apply(square, (9,)).unwrap().to_string());
        let mut stream = pool.imap(fragile, 0..).unwrap();
        told.extend(stream.by_ref().take(20).map(|value| outcome(&value)));
        drop(stream);
        let options = ImapOptions::new().chunk_size(4).look_ahead(30);
        told.extend(pool.imap_with(square, 0..40, options).unwrap().map(|value| outcome(&value)));
        let mut unordered: Vec<u64> = pool.imap_unordered(square, 0..99).unwrap().map(Result::unwrap).collect();
        unordered.sort_unstable();
        told.push(format!("{unordered:?}"));
        let of_three = pool.imap_unordered_with(square, [5; 3], options).unwrap();
        told.push(of_three.map(Result::unwrap).sum::<u64>().to_string());
        pool.close();
        assert!(matches!(pool.map(square, 0..3), Err(SubmitError::Closed)));
        pool.join().unwrap();
        told
    }

    results_that_come_later, Pool, ThreadPool, |P| {
        let pool = P::new(2).unwrap();
        let results: Vec<_> = (0..14).map(|x| pool.apply_async(fragile, (x,)).unwrap()).collect();
        let mut told: Vec<String> = results.iter().map(|result| outcome(&result.get())).collect();
        told.extend(results.iter().map(|result| format!("{:?} {:?}", result.ready(), result.successful())));
        let all = pool.map_async(square, 0..30).unwrap();
        all.wait();
        told.push(format!("{} {:?} {:?}", all.ready(), all.successful(), all.try_get().unwrap()));
        let failed = pool.map_async(fragile, 0..30).unwrap();
        told.push(format!("{}", failed.get_each().len()));
        told.push(format!("{:?}", failed.successful()));
        let (tell, told_by) = mpsc::channel();
        let tell_of_one = tell.clone();
        pool.apply_async(square, (7,)).unwrap().call_back(move |value| tell_of_one.send(value.unwrap()).unwrap());
        told.push(told_by.recv().unwrap().to_string());
        let add_up = move |values: Result<Vec<u64>, _>| tell.send(values.unwrap().iter().sum()).unwrap();
        pool.starmap_async(square, (0..9).map(|x| (x,))).unwrap().call_back(add_up);
        told.push(told_by.recv().unwrap().to_string());
        let interrupted = pool.apply_async(square, (3,)).unwrap().get_interruptible(|| false);
        told.push(interrupted.unwrap().to_string());
        told
    }

    generators, Pool, ThreadPool, |P| {
        let pool = P::new(2).unwrap();
        let mut ends = BTreeMap::new();
        let options = GenerateOptions::new().ahead(3).look_ahead(5);
        let (mut values, tasks) = (BTreeMap::<u64, Vec<u64>>::new(), pool.with(TaskOptions::new().priority(1)));
        let some = pool.generate(count, 0..9).unwrap();
        let others = tasks.generate(count, 0..9, options).unwrap();
        for event in some.chain(pool.generate_with(count, 0..9, options).unwrap()).chain(others) {
            match event {
                Generated::Value { item, value } => values.entry(item).or_default().push(value),
                Generated::End { item, values, outcome } => {
                    let outcome = outcome.map(|()| values);
                    ends.entry(item).or_insert_with(Vec::new).push(self::outcome(&outcome));
                }
            }
        }
        (values, ends)
    }

    values_that_the_joining_thread_holds, Pool, ThreadPool, |P| {
        let pool = P::new(2).unwrap();
        let values = pool.generate_with(count, [9, 1, 9], GenerateOptions::new().ahead(2)).unwrap();
        pool.close();
        assert_eq!(pool.join(), Err(JoinPoolError::Untaken));
        let ends = values.filter(|event| matches!(event, Generated::End { outcome: Ok(()), .. })).count();
        pool.join().unwrap();
        ends
    }

    values_that_the_thread_holds_that_shuts_down, ProcessPoolExecutor, ThreadPoolExecutor, |E| {
        let executor = E::new(2).unwrap();
        let tasks = executor.with(TaskOptions::new());
        let values = tasks.generate(count, [9, 1], GenerateOptions::new().ahead(2)).unwrap();
        executor.shutdown(Pending::Finish);
        let cancelled = |event: &Generated<u64>| {
            matches!(event, Generated::End { outcome: Err(TaskError::Cancelled), .. })
        };
        values.filter(cancelled).count()
    }

    progress, Pool, ThreadPool, |P| {
        let (pool, progress) = (P::new(2).unwrap(), Progress::named("both"));
        let bar = Bar::new(&progress).unwrap();
        let reporting = pool.report_to(&progress);
        assert_eq!(reporting.map(square, 0..100).unwrap().len(), 100);
        let mut told = vec![progress.tally().to_string()];
        reporting.starmap(|a: u64, b: u64| a + b, [(1, 2), (3, 4)]).unwrap();
        reporting.apply(square, (3,)).unwrap();
        reporting.map_async(square, 0..50).unwrap().wait();
        reporting.map_each(fragile, 0..20).unwrap();
        told.push(progress.tally().to_string());
        let input = (0..300_u64).filter(|x| !x.is_multiple_of(3));
        told.push(reporting.imap(square, input, ImapOptions::new()).unwrap().count().to_string());
        let by_seven = reporting.imap_unordered(square, 0..30, ImapOptions::new().chunk_size(7)).unwrap();
        told.push(by_seven.count().to_string());
        told.push(reporting.generate(count, 0..4, GenerateOptions::new()).unwrap().count().to_string());
        drop(bar);
        let tally = progress.tally();
        told.push(format!("{tally}: {} of {:?}, {} failed", tally.submitted, tally.total, tally.failed));
        told
    }

    states_sizes_and_statistics, Pool, ThreadPool, |P| {
        let pool = P::builder().processes(1).initializer_value(begin, (10,)).build().unwrap();
        let mut told = pool.map(with_state(next), [0, 0, 5]).unwrap();
        told.extend(pool.imap(with_state(next), [1, 2]).unwrap().map(Result::unwrap));
        told.push(pool.apply(with_state(next), (7,)).unwrap());
        let of_another = |text: &mut String, _: u64| text.len() as u64;
        assert!(matches!(pool.map(with_state(of_another), [1]), Err(SubmitError::Arguments(_))));
        let of_none = P::builder().processes(2).initializer(square, (3,)).build().unwrap();
        assert!(matches!(of_none.apply(with_state(next), (1,)), Err(SubmitError::Arguments(_))));
        told.push(of_none.apply(|| worker_index().is_some(), ()).unwrap().into());
        let statistics = pool.statistics();
        told.extend([statistics.tasks(), statistics.restarts(), statistics.workers.len() as u64]);
        told.push(pool.processes() as u64);
        told
    }

    executors, ProcessPoolExecutor, ThreadPoolExecutor, |E| {
        let (executor, progress) = (E::new(2).unwrap(), Progress::new());
        let futures: Vec<Future<u64>> = (0..20).map(|x| executor.submit(fragile, (x,)).unwrap()).collect();
        let mut told: Vec<String> = as_completed(futures).map(|future| outcome(&future.result())).collect();
        told.sort();
        told.extend(executor.map(square, 0..9).unwrap().map(|value| outcome(&value)));
        let reporting = executor.with(TaskOptions::new().priority(3)).report_to(&progress);
        let futures = [1, 2, 3].map(|x| reporting.submit(square, (x,)).unwrap());
        told.extend(futures.map(|future| outcome(&future.result())));
        told.push(progress.tally().to_string());
        told.push(format!("{} {}", executor.statistics().tasks(), executor.max_workers()));
        executor.shutdown(Pending::Finish);
        told
    }
}

/// Of 5 the task fails, of 7 it panics.
fn count(to: u64, results: Yielder<u64>) -> Result<(), YieldError> {
    (0..to).try_for_each(|x| results.yield_(10 * to + x))?;
    assert_ne!(to, 7, "no 7");
    if to == 5 { Err(YieldError::Failed("no 5".to_owned())) } else { Ok(()) }
}

fn begin(from: u64) -> u64 {
    from
}

fn next(state: &mut u64, by: u64) -> u64 {
    *state += 1 + by;
    *state
}
