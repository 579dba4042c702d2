//! What a pool's calls, streams and futures report, and what is shown of it. What pipelines tell is in `pipeline.rs`.

use indicatif::ProgressBar;
use mp_pool::pipeline::{Context, Outcome, Parallel, Pipeline, ProcessStep};
use mp_pool::progress::{Bar, Progress, ProgressError, ProgressEvent, Task, What};
use mp_pool::{ImapOptions, Pool, PoolBuilder, ProcessPoolExecutor, Retry, TaskError, TaskOptions};
use mp_queue::Queue;
use mp_testing::{kills, while_killing};
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::time::Duration;

mp_testing::cases! {
    plain: [
        every_item_is_counted_once_whichever_worker_is_killed,
        lines_end_with_what_became_of_the_work,
        a_bar_of_the_programs_own_is_always_finished,
        what_is_not_asked_for_is_not_told,
    ]
    every_method: [
        every_way_to_submit_is_counted,
        each_task_is_one_event,
        a_worker_that_dies_shows,
        tasks_that_are_tried_again_or_cancelled_show,
        no_thread_has_to_wait_for_the_results,
        a_map_is_seen_before_its_end,
        an_input_that_ends_early_ends_the_total,
        a_pipeline_reports_as_a_pool_does,
    ]
}

fn square(x: u64) -> u64 {
    x * x
}

/// The end of every tenth number is a panic, of 7 an abort.
fn fragile(x: u64) -> u64 {
    assert!(!x.is_multiple_of(10), "a deliberate panic");
    if x == 7 {
        std::process::abort();
    }
    x
}

fn every_way_to_submit_is_counted() {
    let (pool, progress) = (Pool::new(2).unwrap(), Progress::new());
    let reporting = pool.report_to(&progress);
    assert_eq!(reporting.map(square, 0..100).unwrap().len(), 100);
    assert_eq!(progress.tally().finished, 100);
    assert_eq!(reporting.starmap(|a: u64, b: u64| a + b, [(1, 2), (3, 4)]).unwrap(), [3, 7]);
    assert_eq!(reporting.apply(square, (3,)).unwrap(), 9);
    reporting.map_async(square, 0..50).unwrap().wait();
    assert_eq!(progress.tally().finished, 153);
    // Through shared memory in a block, and by message.
    for size in [1 << 20, 17 << 20] {
        assert_eq!(reporting.apply(|size: usize| vec![7_u8; size], (size,)).unwrap().len(), size);
    }
    for unordered in [false, true] {
        let input = (0..300_u64).filter(|x| !x.is_multiple_of(3));
        let results = match unordered {
            false => reporting.imap(square, input, ImapOptions::new()).unwrap().count(),
            true => {
                reporting.imap_unordered(square, input, ImapOptions::new().chunk_size(7)).unwrap().count()
            }
        };
        assert_eq!(results, 200);
    }
    let tally = progress.tally();
    assert_eq!((tally.submitted, tally.total, tally.finished, tally.failed), (555, Some(555), 555, 0));
    assert!(tally.is_finished());

    let executor = ProcessPoolExecutor::new(2).unwrap();
    let progress = Progress::new();
    let reporting = executor.report_to(&progress);
    let futures = [1, 2, 3].map(|x| reporting.submit(square, (x,)).unwrap());
    assert_eq!(futures.map(|future| future.result().unwrap()), [1, 4, 9]);
    let with = executor.with(TaskOptions::new().priority(1)).report_to(&progress);
    assert_eq!(with.map(square, 0..3).unwrap(), [0, 1, 4]);
    assert_eq!(progress.tally().to_string(), "6/6");
}

/// The positions of the items that have ended, and how many of them failed.
fn ended(events: &[ProgressEvent]) -> (Vec<u64>, u64) {
    let (mut positions, mut failed) = (Vec::new(), 0);
    for event in events {
        if let (Task::Items { first, count }, What::Finished(_) | What::Failed(_)) =
            (&event.task, &event.what)
        {
            positions.extend(*first..first + count);
            failed += if matches!(event.what, What::Failed(_)) { *count } else { 0 };
        }
    }
    positions.sort_unstable();
    (positions, failed)
}

fn each_task_is_one_event() {
    let (pool, progress) = (Pool::new(2).unwrap(), Progress::named("squares"));
    let events = progress.events();
    let results = pool.report_to(&progress).map_each(fragile, 8..1008).unwrap();
    let errors = results.iter().filter(|result| result.is_err()).count() as u64;
    drop(progress);
    let events: Vec<ProgressEvent> = events.collect();
    assert_eq!(ended(&events), ((0..1000).collect(), errors));
    let panics = |event: &&ProgressEvent| matches!(&event.what, What::Failed(Outcome::Panicked { .. }));
    assert_eq!((errors, events.iter().filter(panics).count()), (100, 100));
    let (first, last) = (events.first().unwrap(), events.last().unwrap());
    assert_eq!((&*last.name, first.tally.total, last.tally.ended()), ("squares", Some(1000), 1000));
    assert!(!last.tally.is_finished());
    // A hundredth of a worker's part at most goes together.
    assert!(events.iter().all(|event| !matches!(event.task, Task::Items { count, .. } if count > 5)));
}

fn a_worker_that_dies_shows() {
    let (pool, progress) = (Pool::new(1).unwrap(), Progress::new());
    let mut events = progress.events();
    let results = pool.report_to(&progress).map_each(fragile, 1..10).unwrap();
    assert!(matches!(results[6], Err(TaskError::WorkerDied { .. })));
    let tally = progress.tally();
    // The items after it were done by its successor.
    assert_eq!((tally.finished, tally.failed, tally.deaths, tally.restarts), (8, 1, 1, 1));
    assert_eq!(tally.to_string(), "9/9, 1 failed, 1 worker died, 1 worker restarted");
    let mut told = Vec::new();
    while let Some(Ok(event)) = events.try_next() {
        told.push(event.to_string());
    }
    assert!(told.contains(&"6/9 PoolWorker-1 was killed by signal 6".to_owned()), "{told:?}");
    assert!(told.contains(&"failed at 6/9: item 6 was killed by signal 6".to_owned()), "{told:?}");
    assert!(
        told.iter().any(|event| event.ends_with("PoolWorker-2 was started in the place of another worker"))
    );
    // Work that has ended hears of no death.
    assert!(pool.apply(fragile, (7,)).is_err());
    assert_eq!(progress.tally(), tally);
}

fn tasks_that_are_tried_again_or_cancelled_show() {
    let (pool, progress) = (Pool::new(2).unwrap(), Progress::new());
    let retry = TaskOptions::new().retry(Retry::new(3).on_panic());
    let results = pool.with(retry).report_to(&progress).map_each(fragile, [5, 7, 10]).unwrap();
    assert_eq!(results.iter().filter(|result| result.is_err()).count(), 2);
    let tally = progress.tally();
    assert_eq!((tally.retried, tally.finished, tally.failed, tally.deaths), (6, 1, 2, 4));

    let (progress, gate) = (Progress::new(), Queue::<()>::new().unwrap());
    let waits = |gate: Queue<()>| gate.get().is_ok();
    let task = pool.report_to(&progress).apply_async(waits, (gate.clone(),)).unwrap();
    assert_eq!((progress.tally().total, progress.tally().submitted), (Some(1), 1));
    task.cancel();
    assert_eq!(task.get(), Err(TaskError::Cancelled));
    assert_eq!((progress.tally().failed, progress.tally().cancelled), (1, 1));
}

fn wait_if(wait: bool, gate: Queue<()>) {
    if wait {
        gate.get().unwrap();
    }
}

fn no_thread_has_to_wait_for_the_results() {
    let (pool, progress, gate) = (Pool::new(2).unwrap(), Progress::new(), Queue::new().unwrap());
    let mut events = progress.events();
    let items = [(true, gate.clone()), (false, gate.clone())];
    let result = pool.report_to(&progress).starmap_async(wait_if, items).unwrap();
    let first = events.next().unwrap();
    assert_eq!((first.task, first.tally.finished), (Task::Items { first: 1, count: 1 }, 1));
    assert_eq!(events.try_next(), Some(Err(ProgressError::WouldBlock)));
    gate.put(()).unwrap();
    assert_eq!(events.next().unwrap().to_string(), "2/2 item 0 is done");
    assert!(result.ready());
    let late = events.next_timeout(Duration::from_millis(1));
    assert_eq!(late, Some(Err(ProgressError::Timeout)));
    drop(progress);
    assert_eq!(events.next(), None);
}

/// The tasks of the first half wait until all are submitted, those of the second until some of the first were seen to
/// have ended.
fn a_map_is_seen_before_its_end() {
    let (pool, progress) = (Pool::new(2).unwrap(), Progress::new());
    let [submitted, seen] = [(); 2].map(|()| Queue::new().unwrap());
    let open = |gate: &Queue<()>| (0..100).for_each(|_| gate.put(()).unwrap());
    let mut events = progress.events();
    std::thread::scope(|scope| {
        let map = scope.spawn(|| {
            let items = (0..200).map(|at| (true, if at < 100 { submitted.clone() } else { seen.clone() }));
            pool.report_to(&progress).starmap(wait_if, items).unwrap().len()
        });
        while progress.tally().submitted < 200 {
            std::thread::yield_now();
        }
        open(&submitted);
        while events.next().is_some_and(|event| event.tally.finished < 10) {}
        open(&seen);
        assert_eq!(map.join().unwrap(), 200);
    });
    assert!(progress.tally().is_finished());
}

fn an_input_that_ends_early_ends_the_total() {
    let (pool, progress) = (Pool::new(2).unwrap(), Progress::new());
    let mut endless = pool.report_to(&progress).imap(square, 0.., ImapOptions::new().look_ahead(10)).unwrap();
    assert_eq!(endless.next().unwrap().unwrap(), 0);
    assert_eq!(progress.tally().total, None);
    drop(endless);
    let input = (0..10).map(|x| if x == 5 { panic!("a deliberate panic of the input") } else { x });
    let call = catch_unwind(AssertUnwindSafe(|| pool.report_to(&progress).map(square, input)));
    assert!(call.is_err());
    let events = progress.events();
    // What workers had begun may end later.
    pool.close();
    pool.join().unwrap();
    let tally = progress.tally();
    assert_eq!((tally.total, tally.ended()), (Some(tally.submitted), tally.submitted));
    drop(progress);
    assert_eq!(events.count(), 0);
}

fn alone(breaks: bool) -> Result<(), String> {
    if breaks { Err("no camera".to_owned()) } else { Ok(()) }
}

fn a_pipeline_reports_as_a_pool_does() {
    let steps = |broken: u64| {
        let step = move |n: u64| ProcessStep::new(format!("step {n}"), alone, (n == broken,));
        let steps = Parallel::processes(1).steps((0..4).map(step));
        Pipeline::builder("eco").parallel(steps).build().unwrap()
    };
    let (progress, out) = (Progress::named("eco"), Written::default());
    let bar = Bar::lines(&progress, out.clone()).unwrap();
    let events = progress.events();
    assert_eq!(steps(9).run_reporting(Context::new(), &progress).unwrap().done(), 4);
    assert_eq!(progress.tally().to_string(), "4/4");
    assert!(steps(2).run_reporting(Context::new(), &progress).is_err());
    assert_eq!(progress.tally().to_string(), "8/8, 2 failed");
    drop(bar);
    drop(progress);
    let events: Vec<String> = events.map(|event| event.to_string()).collect();
    assert_eq!((events.len(), events[1].as_str()), (15, "1/4 step 0 is done"));
    assert!(out.lines().last().unwrap().starts_with("eco: 8/8, 2 failed in "), "{:?}", out.lines());
}

/// What was written, to be asked for.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Written {
    fn lines(&self) -> Vec<String> {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap().lines().map(str::to_owned).collect()
    }
}

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// How a call of a pool ends that is shown.
#[derive(Clone, Copy)]
enum End {
    Well,
    WithAnError,
    WithAPanic,
}

fn work(end: End, pool: &Pool, progress: &Progress, bar: Bar) {
    let shown = AssertUnwindSafe(|| {
        let _bar = bar;
        let tasks = pool.report_to(progress);
        match end {
            End::Well => assert_eq!(tasks.map(square, 0..1000).unwrap().len(), 1000),
            End::WithAnError => assert!(tasks.map(fragile, [1, 10, 11]).is_err()),
            End::WithAPanic => panic!("a deliberate panic beside {:?}", tasks.map(square, 0..3).unwrap()),
        }
    });
    assert_eq!(catch_unwind(shown).is_err(), matches!(end, End::WithAPanic));
}

fn lines_end_with_what_became_of_the_work() {
    let pool = Pool::new(2).unwrap();
    for (end, last) in [
        (End::Well, "squares: 1000/1000 in "),
        (End::WithAnError, "squares: 3/3, 1 failed in "),
        (End::WithAPanic, "squares: 3/3 in "),
    ] {
        let (progress, out) = (Progress::named("squares"), Written::default());
        work(end, &pool, &progress, Bar::lines(&progress, out.clone()).unwrap());
        let lines = out.lines();
        assert!(lines.last().unwrap().starts_with(last), "{lines:?}");
        assert!(lines.len() <= 11 && lines.iter().all(|line| line.starts_with("squares: ")), "{lines:?}");
    }
    let (progress, out) = (Progress::new(), Written::default());
    drop(Bar::lines(&progress, out.clone()).unwrap());
    assert!(out.lines()[0].starts_with("0/0 in "), "{:?}", out.lines());
}

fn a_bar_of_the_programs_own_is_always_finished() {
    let pool = Pool::new(2).unwrap();
    for (end, at) in
        [(End::Well, (1000, Some(1000))), (End::WithAnError, (3, Some(3))), (End::WithAPanic, (3, Some(3)))]
    {
        let (progress, own) = (Progress::new(), ProgressBar::hidden());
        work(end, &pool, &progress, Bar::with_bar(&progress, own.clone()).unwrap());
        assert!(own.is_finished());
        assert_eq!((own.position(), own.length()), at);
    }
}

fn what_is_not_asked_for_is_not_told() {
    let (pool, progress) = (Pool::new(2).unwrap(), Progress::new());
    let events = progress.events();
    pool.map(square, 0..1000).unwrap();
    assert_eq!((progress.tally().to_string().as_str(), progress.tally().submitted), ("0/0", 0));
    drop(progress);
    assert_eq!(events.count(), 0);
}

fn every_item_is_counted_once_whichever_worker_is_killed() {
    let builder: PoolBuilder = Pool::builder().processes(3);
    let pool = builder.build().unwrap();
    let (mut items, mut errors, mut deaths, mut restarts) = (0, 0, 0, 0);
    let moment = Duration::from_micros(3000);
    while_killing(
        kills(40) as usize,
        moment,
        || pool.worker_pids(),
        || {
            let progress = Progress::new();
            let events = progress.events();
            let results = pool.report_to(&progress).map_each(square, 0..2000).unwrap();
            let stream =
                pool.report_to(&progress).imap_unordered(square, 0..500, ImapOptions::new()).unwrap();
            let failed = results.into_iter().chain(stream).filter(Result::is_err).count() as u64;
            let tally = progress.tally();
            assert_eq!((tally.total, tally.submitted, tally.ended()), (Some(2500), 2500, 2500));
            assert_eq!((tally.failed, tally.cancelled), (failed, 0));
            assert!(tally.deaths >= tally.failed, "{tally}");
            drop(progress);
            let events: Vec<ProgressEvent> = events.collect();
            let twice = (0..500).flat_map(|at| [at, at]).chain(500..2000).collect();
            assert_eq!(ended(&events), (twice, failed));
            (items, errors) = (items + 2500, errors + failed);
            (deaths, restarts) = (deaths + tally.deaths, restarts + tally.restarts);
        },
    );
    println!(
        "{items} items, {errors} died with their worker, {deaths} deaths and {restarts} restarts were told"
    );
    assert!(deaths > 0 && restarts > 0);
}
