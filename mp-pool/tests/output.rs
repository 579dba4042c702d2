//! What tasks write, and their log records, attributed to the task.

use log::{debug, info};
use mp_core::active_children;
use mp_pool::{
    JoinPoolError, LevelFilter, Pool, PoolBuilder, Retry, TaskError, TaskNumber, TaskOptions, TaskOutput,
    TaskOutputKind,
};
use mp_queue::Queue;
use mp_testing::{kill, wait_a_random_moment, while_killing};
use nix::fcntl::{FcntlArg, fcntl};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::time::{Duration, Instant};

mp_testing::cases! {
    plain: [
        a_callback_that_panics_is_called_again,
        tiny_tasks_that_rarely_write_have_their_text_and_no_other,
        a_childs_output_is_its_tasks,
        a_child_that_outlives_its_task_holds_up_nothing,
        a_slow_callback_loses_nothing,
        a_callback_that_waits_for_the_end_of_its_pool_is_told,
        an_enlarged_pipe_is_read_to_its_end,
        long_arguments_and_handles_arrive,
        what_a_pool_wrote_is_given_at_its_end,
        a_worker_that_has_just_started_is_read,
        each_piece_has_its_task_whichever_worker_is_killed,
        a_program_of_a_logger_of_its_own_keeps_it,
    ],
    every_method: [
        each_task_has_its_own_output,
        a_killed_task_shows_what_it_wrote,
        a_panic_is_told_to_its_task,
        records_have_their_task,
        an_initializer_is_no_task,
        each_try_shows_what_it_wrote,
    ]
}

type Key = (Option<(u64, u64)>, &'static str);

/// All that was written, by task and stream.
#[derive(Clone, Default)]
struct All(Arc<Mutex<BTreeMap<Key, String>>>);

impl All {
    fn add(&self, output: TaskOutput) {
        assert!(output.worker < 8 && output.pid > 1);
        let (stream, text) = match output.kind {
            TaskOutputKind::Stdout(bytes) => ("out", String::from_utf8(bytes).unwrap()),
            TaskOutputKind::Stderr(bytes) => ("err", String::from_utf8(bytes).unwrap()),
            TaskOutputKind::Record(record) => {
                ("log", format!("{} {}: {}\n", record.level, record.target, record.message))
            }
            other => panic!("{other:?}"),
        };
        assert!(!text.is_empty());
        let task = output.task.map(|TaskNumber { call, item, .. }| (call, item));
        self.0.lock().unwrap().entry((task, stream)).or_default().push_str(&text);
    }

    fn of(&self, task: Option<(u64, u64)>, stream: &'static str) -> String {
        self.0.lock().unwrap().get(&(task, stream)).cloned().unwrap_or_default()
    }

    fn builder(&self, processes: usize) -> PoolBuilder {
        let all = self.clone();
        Pool::builder().processes(processes).on_output(move |output| all.add(output))
    }
}

fn say(x: u64) -> u64 {
    println!("{x} begins");
    if !x.is_multiple_of(3) {
        eprint!("error of {x}");
    }
    print!("{x} ends");
    x * x
}

fn each_task_has_its_own_output() {
    let all = All::default();
    let pool = all.builder(3).build().unwrap();
    let squares: Vec<u64> = (0..60).map(|x| x * x).collect();
    assert_eq!(pool.map(say, 0..60).unwrap(), squares);
    assert_eq!(pool.apply(say, (1000,)).unwrap(), 1_000_000);
    assert_eq!(pool.map_in_chunks(say, 0..60, Some(1)).unwrap().get().unwrap(), squares);
    assert_eq!(pool.imap(say, 0..60).unwrap().map(Result::unwrap).collect::<Vec<_>>(), squares);
    pool.flush_output();
    let of = |x: u64| format!("{x} begins\n{x} ends");
    assert_eq!(all.of(Some((1, 0)), "out"), of(1000));
    for call in [0, 2, 3] {
        for x in 0..60 {
            assert_eq!(all.of(Some((call, x)), "out"), of(x), "{call}");
            let error = if x % 3 == 0 { String::new() } else { format!("error of {x}") };
            assert_eq!(all.of(Some((call, x)), "err"), error, "{call}");
        }
    }
    pool.close();
    pool.join().unwrap();
    let tasks = all.0.lock().unwrap().keys().filter(|(task, _)| task.is_some()).count();
    assert_eq!((tasks, all.of(None, "out")), (181 + 121, String::new()));
}

fn say_and_die(x: u64) -> u64 {
    println!("{x} begins");
    eprint!("and dies");
    if x == 7 {
        mp_testing::kill(std::process::id());
    }
    x
}

fn a_killed_task_shows_what_it_wrote() {
    let all = All::default();
    let pool = all.builder(2).build().unwrap();
    let each = pool.map_each(say_and_die, 0..20).unwrap();
    pool.flush_output();
    for (x, outcome) in (0..).zip(each) {
        assert_eq!(matches!(outcome, Err(TaskError::WorkerDied { .. })), x == 7, "{x}: {outcome:?}");
        assert_eq!(all.of(Some((0, x)), "out"), format!("{x} begins\n"));
        assert_eq!(all.of(Some((0, x)), "err"), "and dies");
    }
}

fn a_panic_is_told_to_its_task() {
    let all = All::default();
    let pool = all.builder(2).build().unwrap();
    let each = pool.map_each(|x: u64| assert_ne!(x, 3, "no threes"), 0..6).unwrap();
    pool.flush_output();
    assert_eq!(each.iter().filter(|outcome| outcome.is_err()).count(), 1);
    for x in 0..6 {
        assert_eq!(all.of(Some((0, x)), "err").contains("no threes"), x == 3, "{x}");
    }
}

fn log(x: u64) {
    debug!("too much of {x}");
    info!("{x} is here");
    log::warn!(target: "elsewhere", "{x} twice");
}

fn records_have_their_task() {
    let all = All::default();
    let pool = all.builder(2).record_level(LevelFilter::Info).build().unwrap();
    pool.map(log, 0..30).unwrap();
    pool.flush_output();
    for x in 0..30 {
        let wanted = format!("INFO output: {x} is here\nWARN elsewhere: {x} twice\n");
        assert_eq!(all.of(Some((0, x)), "log"), wanted);
    }
    // Without a level there are none, and nothing breaks.
    let (all, silent) = (All::default(), All::default());
    silent.builder(1).build().unwrap().apply(log, (1,)).unwrap();
    let long = |_: u64| info!("{}", "x".repeat(1 << 20));
    let pool = all.builder(1).record_level(LevelFilter::Trace).build().unwrap();
    pool.apply(long, (1,)).unwrap();
    pool.flush_output();
    assert_eq!(all.of(Some((0, 0)), "log").len(), (1 << 20) + "INFO output: \n".len());
    assert!(silent.0.lock().unwrap().is_empty());
}

struct Own;

impl log::Log for Own {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }
    fn log(&self, record: &log::Record<'_>) {
        eprintln!("own: {}", record.args());
    }
    fn flush(&self) {}
}

fn write_rarely(x: u64) -> u64 {
    if x % 97 == 5 {
        println!("{x}");
    }
    if x % 89 == 7 {
        std::io::stderr().write_all(x.to_string().as_bytes()).unwrap();
        // It ends about when that is read.
        let began = Instant::now();
        while began.elapsed() < Duration::from_micros(x % 60) {
            std::hint::spin_loop();
        }
    }
    x
}

/// Most tasks have no mark: the text of the others is read before their end, behind it, or with that of others.
fn tiny_tasks_that_rarely_write_have_their_text_and_no_other() {
    const TASKS: u64 = 40_000;
    let all = All::default();
    let pool = all.builder(2).build().unwrap();
    assert_eq!(pool.map(write_rarely, 0..TASKS).unwrap().len(), TASKS as usize);
    pool.flush_output();
    let written = all.0.lock().unwrap();
    for (key, text) in written.iter() {
        let (Some((0, x)), stream) = key else { panic!("{key:?}: {text:?}") };
        let right = if *stream == "out" && x % 97 == 5 {
            format!("{x}\n")
        } else if *stream == "err" && x % 89 == 7 {
            x.to_string()
        } else {
            String::new()
        };
        assert_eq!(*text, right, "{key:?}");
    }
    let writing = (0..TASKS).map(|x| u64::from(x % 97 == 5) + u64::from(x % 89 == 7));
    assert_eq!(written.len() as u64, writing.sum::<u64>());
}

fn set_own() {
    log::set_logger(&Own).unwrap();
    log::set_max_level(LevelFilter::Info);
}

fn a_program_of_a_logger_of_its_own_keeps_it() {
    let all = All::default();
    let builder = all.builder(1).record_level(LevelFilter::Trace);
    let pool = builder.initializer(set_own, ()).build().unwrap();
    pool.apply(log, (5,)).unwrap();
    pool.flush_output();
    assert_eq!(all.of(Some((0, 0)), "err"), "own: 5 is here\nown: 5 twice\n");
    assert_eq!(all.of(Some((0, 0)), "log"), "");
}

fn fill_a_larger_pipe(bytes: usize) {
    fcntl(std::io::stdout(), FcntlArg::F_SETPIPE_SZ(1 << 20)).unwrap();
    print!("{}", "x".repeat(bytes));
}

/// The task has ended when the callback has had nothing yet.
fn an_enlarged_pipe_is_read_to_its_end() {
    const BYTES: usize = 900_000;
    let (all, gate) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(())));
    let (its, closed) = (Arc::clone(&all), Arc::clone(&gate));
    let callback = move |output: TaskOutput| {
        drop(closed.lock().unwrap());
        if let TaskOutputKind::Stdout(bytes) = output.kind {
            // ORDERING: Relaxed: read after the flush.
            its.fetch_add(bytes.len(), Ordering::Relaxed);
        }
    };
    let pool = Pool::builder().processes(1).on_output(callback).build().unwrap();
    for round in 1..=5 {
        let hold = gate.lock().unwrap();
        pool.apply(fill_a_larger_pipe, (BYTES,)).unwrap();
        drop(hold);
        pool.flush_output();
        // ORDERING: as above.
        assert_eq!(all.load(Ordering::Relaxed), round * BYTES);
    }
}

fn an_initializer_is_no_task() {
    let all = All::default();
    let pool = all.builder(2).initializer(|| println!("begins"), ()).build().unwrap();
    pool.map(|_: u64| (), 0..10).unwrap();
    pool.close();
    pool.join().unwrap();
    assert_eq!(all.of(None, "out"), "begins\nbegins\n");
    assert_eq!(all.0.lock().unwrap().len(), 1);
}

fn each_try_shows_what_it_wrote() {
    let all = All::default();
    let pool = all.builder(1).build().unwrap();
    let options = TaskOptions::new().retry(Retry::new(2));
    let refused = pool.with(options).map_each(say_and_die, [7]).unwrap();
    assert!(matches!(refused[0], Err(TaskError::WorkerDied { deaths: 3, .. })), "{refused:?}");
    pool.flush_output();
    assert_eq!(all.of(Some((0, 0)), "out"), "7 begins\n".repeat(3));
}

fn a_childs_output_is_its_tasks() {
    let all = All::default();
    let pool = all.builder(2).build().unwrap();
    let run = |x: u64| assert!(Command::new("echo").arg(x.to_string()).status().unwrap().success());
    pool.map(run, 0..10).unwrap();
    pool.flush_output();
    for x in 0..10 {
        assert_eq!(all.of(Some((0, x)), "out"), format!("{x}\n"));
    }
}

fn a_child_that_outlives_its_task_holds_up_nothing() {
    let all = All::default();
    let pool = all.builder(1).build().unwrap();
    let outlives = || Command::new("sleep").arg("600").spawn().unwrap().id();
    let child = pool.apply(outlives, ()).unwrap();
    kill(pool.worker_pids()[0]);
    assert_eq!(pool.apply(say, (2,)).unwrap(), 4);
    pool.flush_output();
    assert_eq!(all.of(Some((1, 0)), "out"), "2 begins\n2 ends");
    pool.close();
    pool.join().unwrap();
    kill(child);
}

fn a_callback_that_panics_is_called_again() {
    std::panic::set_hook(Box::new(|_| ()));
    let calls = Arc::new(AtomicUsize::new(0));
    let counts = Arc::clone(&calls);
    let callback = move |_| {
        // ORDERING: Relaxed: `flush_output` orders it.
        counts.fetch_add(1, Ordering::Relaxed);
        panic!("it does");
    };
    let pool = Pool::builder().processes(1).on_output(callback).build().unwrap();
    for x in 1..4 {
        pool.apply(|| println!("once"), ()).unwrap();
        pool.flush_output();
        assert_eq!(calls.load(Ordering::Relaxed), x);
    }
}

fn write_much(x: u64) {
    for line in 0..20_000_u64 {
        println!("{x} {line} and some more text to fill the line");
    }
}

/// More than pipes hold, so workers wait.
fn a_slow_callback_loses_nothing() {
    let all = All::default();
    let adds = all.clone();
    let callback = move |output| {
        wait_a_random_moment(Duration::from_millis(1));
        adds.add(output);
    };
    let pool = Pool::builder().processes(2).on_output(callback).build().unwrap();
    pool.map(write_much, 0..3).unwrap();
    pool.flush_output();
    for x in 0..3 {
        let text = all.of(Some((0, x)), "out");
        assert_eq!(text.lines().count(), 20_000);
        let wanted =
            |(line, text): (usize, &str)| text == format!("{x} {line} and some more text to fill the line");
        assert!(text.lines().enumerate().all(wanted));
    }
}

fn long_arguments_and_handles_arrive() {
    let all = All::default();
    let pool = all.builder(2).build().unwrap();
    let length = |bytes: Vec<u8>| {
        println!("{}", bytes.len());
        bytes
    };
    let long: Vec<Vec<u8>> = [10, 5_000, 100_000, 20 << 20].map(|length| vec![7; length]).to_vec();
    assert!(pool.map(length, long.clone()).unwrap() == long);
    assert!(pool.map_in_chunks(length, long.clone(), Some(1)).unwrap().get().unwrap() == long);
    let queue = Queue::new().unwrap();
    let put = |queue: Queue<u64>| {
        println!("put");
        queue.put(5).unwrap();
    };
    pool.map(put, (0..3).map(|_| queue.clone())).unwrap();
    pool.flush_output();
    for (item, bytes) in (0..).zip(&long) {
        assert_eq!(all.of(Some((0, item)), "out"), format!("{}\n", bytes.len()));
        assert_eq!(all.of(Some((1, item)), "out"), format!("{}\n", bytes.len()));
    }
    assert_eq!((all.of(Some((2, 2)), "out").as_str(), queue.get().unwrap()), ("put\n", 5));
}

fn what_a_pool_wrote_is_given_at_its_end() {
    let all = All::default();
    let pool = all.builder(2).build().unwrap();
    pool.map(say, 0..10).unwrap();
    drop(pool);
    assert!((0..10).all(|x| all.of(Some((0, x)), "out") == format!("{x} begins\n{x} ends")));
}

/// Each task has a worker of its own, which may have done it before the pool knows that it has started.
fn a_worker_that_has_just_started_is_read() {
    let all = All::default();
    let pool = all.builder(1).max_tasks_per_child(1).build().unwrap();
    for call in 0..100 {
        assert_eq!(pool.apply(say, (2,)).unwrap(), 4);
        pool.flush_output();
        assert_eq!(all.of(Some((call, 0)), "out"), "2 begins\n2 ends", "{call}");
    }
    // Those of the workers that have ended are closed.
    assert!(mp_testing::open_descriptors(std::process::id()).len() < 60);
}

fn write_twice(x: u64) -> u64 {
    println!("{x} begins");
    std::io::stderr().write_all(format!("{x} is at work\n").as_bytes()).unwrap();
    std::hint::black_box((0..x * 10).sum::<u64>());
    println!("{x} ends");
    x
}

/// `MP_KILLS=5000` sets the number; the default fits the gate.
fn each_piece_has_its_task_whichever_worker_is_killed() {
    let (kills, moment) = (mp_testing::kills(40) as usize, Duration::from_millis(4));
    let all = All::default();
    let pool = all.builder(4).build().unwrap();
    let (mut call, mut died, mut shown) = (0, 0, 0);
    while_killing(
        kills,
        moment,
        || pool.worker_pids(),
        || {
            let each = pool.map_each(write_twice, 0..300).unwrap();
            pool.flush_output();
            for (x, outcome) in (0..).zip(each) {
                let (out, err) = (all.of(Some((call, x)), "out"), all.of(Some((call, x)), "err"));
                let (whole, work) = (format!("{x} begins\n{x} ends\n"), format!("{x} is at work\n"));
                match outcome {
                    Ok(value) => assert_eq!((value, out, err), (x, whole, work)),
                    Err(TaskError::WorkerDied { .. }) => {
                        died += 1;
                        shown += usize::from(!out.is_empty());
                        assert!(whole.starts_with(&out) && work.starts_with(&err), "{x}: {out:?} {err:?}");
                    }
                    Err(other) => panic!("{x}: {other:?}"),
                }
            }
            call += 1;
            all.0.lock().unwrap().clear();
        },
    );
    println!("killed {kills} in {call} calls: {died} tasks died, {shown} of them had written");
    pool.close();
    pool.join().unwrap();
    assert!(active_children().is_empty());
}

fn write_so_many(bytes: usize) {
    std::io::stdout().write_all(&vec![b'x'; bytes]).unwrap();
}

/// The worker would wait for the callback, and the callback for the worker.
fn a_callback_that_waits_for_the_end_of_its_pool_is_told() {
    static POOL: OnceLock<Pool> = OnceLock::new();
    let (tell, told) = mpsc::channel();
    let on_output = move |_: TaskOutput| {
        let pool = POOL.wait();
        pool.close();
        tell.send(pool.join()).unwrap();
    };
    let pool = POOL.get_or_init(|| Pool::builder().processes(1).on_output(on_output).build().unwrap());
    let written = pool.apply_async(write_so_many, (1 << 20,)).unwrap();
    assert_eq!(told.recv().unwrap(), Err(JoinPoolError::InOutput));
    assert_eq!(written.get(), Ok(()));
    pool.join().unwrap();
    assert!(told.try_iter().all(|end| matches!(end, Ok(()) | Err(JoinPoolError::InOutput))));
}
