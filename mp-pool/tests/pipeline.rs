//! Pipelines whose steps do what they should: order, modes, merges, conditions, dependencies, progress. What fails is
//! in pipeline_failures.rs.

use mp_pool::pipeline::{
    Attempt, BuildError, Context, ContextError, Mode, OnConflict, Outcome, Parallel, Pipeline, PipelineError,
    ProcessStep, Report, Step,
};
use mp_queue::Queue;
use std::collections::HashSet;
use std::sync::{Arc, Barrier, Mutex};
use std::time::Duration;

mp_testing::cases! {
    plain: [
        what_could_not_work_is_not_built,
        threads_run_as_many_at_a_time_as_there_are_workers,
        a_key_of_several_steps_becomes_what_is_asked_for,
        values_that_cannot_be_reduced_are_an_error,
        a_step_after_another_sees_what_that_wrote,
        conditions_skip_and_their_errors_are_errors,
        two_pipelines_do_not_mix_their_events,
        a_pipeline_runs_several_times_and_in_several_threads,
    ],
    every_method: [
        steps_hand_values_on_in_order,
        processes_run_as_many_at_a_time_as_there_are_workers,
        the_order_of_their_ends_decides_nothing,
        each_task_has_its_events,
        a_consumer_with_a_lock_stops_no_task,
        handles_cross_where_contents_would_be_long,
    ],
}

type Words<T> = Result<T, String>;

fn square(x: u64) -> Words<u64> {
    Ok(x * x)
}

fn step<T: Send + Sync + 'static>(
    name: &str,
    work: impl Fn(&Context) -> Result<T, ContextError> + Send + Sync + 'static,
) -> Step<T> {
    Step::new(name, work)
}

fn text(context: &Context, key: &str) -> String {
    context.get::<String>(key).unwrap().clone()
}

fn keys(report: &Report) -> Vec<&str> {
    report.context().keys().collect()
}

fn steps_hand_values_on_in_order() {
    let pipeline = Pipeline::builder("squares")
        .step(step("three", |_| Ok(3_u64)))
        .parallel(
            Parallel::processes(2)
                .step(ProcessStep::with_input("square", square, |context| Ok((*context.get("three")?,))))
                .step(
                    ProcessStep::new("other", |x: u64| Words::Ok((x, "text".to_owned())), (7,))
                        .keys(["number", "text"]),
                ),
        )
        .step(step("nothing", |_| Ok(())))
        .step(step("given", |context| Ok(context.get::<u64>("given")? + context.get::<u64>("square")?)))
        .build()
        .unwrap();
    let report = pipeline.run(Context::new().with("given", 1_u64)).unwrap();
    assert_eq!(keys(&report), ["given", "three", "square", "number", "text"]);
    assert_eq!(report.context().get::<u64>("given"), Ok(&10));
    assert_eq!(
        (report.context().get::<u64>("number"), text(report.context(), "text")),
        (Ok(&7), "text".to_owned())
    );
    assert_eq!((report.submitted(), report.started(), report.done()), (5, 5, 5));
    let modes = report.tasks().iter().map(|task| task.mode);
    let expected = [Mode::Here, Mode::Processes, Mode::Processes, Mode::Here, Mode::Here];
    assert!(modes.eq(expected), "{report}");
    // u64 3 in one byte, and 9.
    let square = report.task("square").unwrap();
    assert_eq!((square.bytes_in, square.bytes_out), (Some(1), Some(1)));
    let unknown = report.context().get::<u64>("quadrat").unwrap_err();
    assert!(matches!(unknown, ContextError::UnknownKey { known, .. } if known.len() == 5));
    assert!(matches!(report.context().get::<u32>("square"), Err(ContextError::WrongType { .. })));
    assert!(format!("{report}").starts_with("squares: 5 of 5 tasks are done, 5 started"));
}

fn pids(report: &Report) -> HashSet<u32> {
    report.tasks().iter().flat_map(|task| &task.attempts).map(|attempt| attempt.pid).collect()
}

/// Says that it began, goes on when it may, says that it ends.
fn begin_and_end(log: Queue<bool>, gate: Queue<()>) -> Words<()> {
    log.put(true).map_err(|error| error.to_string())?;
    gate.get().map_err(|error| error.to_string())?;
    log.put(false).map_err(|error| error.to_string())
}

/// The most at a time, from what they said.
fn most(log: &Queue<bool>) -> usize {
    let (mut now, mut most) = (0, 0);
    while let Ok(began) = log.try_get() {
        now = if began { now + 1 } else { now - 1 };
        most = most.max(now);
    }
    assert_eq!(now, 0);
    most
}

fn as_many_as_workers(mode: Mode, workers: usize) {
    let (log, gate) = (Queue::new().unwrap(), Queue::new().unwrap());
    let steps = ["a", "b", "c", "d", "e"]
        .map(|name| ProcessStep::new(name, begin_and_end, (log.clone(), gate.clone())));
    let pipeline = match mode {
        Mode::Threads => Pipeline::builder("p").parallel(Parallel::threads(workers).steps(steps)),
        _ => Pipeline::builder("p").parallel(Parallel::processes(workers).steps(steps)),
    };
    let pipeline = pipeline.build().unwrap();
    let (mut began, mut events) = (0, Vec::new());
    let report = pipeline
        .run_with_progress(Context::new(), |progress| {
            events.push(progress.to_string());
            began += usize::from(progress.to_string().ends_with("started"));
            // As many as may run at a time have begun: from here on they end.
            if began == workers.min(5) && gate.qsize() == 0 && progress.tally.finished == 0 {
                (0..5).for_each(|_| gate.put(()).unwrap());
            }
        })
        .unwrap();
    assert_eq!(report.started(), 5, "{events:?}");
    assert!(most(&log) <= workers);
    assert!(report.tasks().iter().all(|task| task.mode == mode));
    let here = std::process::id();
    match mode {
        Mode::Threads => assert_eq!(pids(&report), HashSet::from([here])),
        _ => assert!(pids(&report).len() == 5 && !pids(&report).contains(&here)),
    }
}

fn processes_run_as_many_at_a_time_as_there_are_workers() {
    [1, 2, 9].into_iter().for_each(|workers| as_many_as_workers(Mode::Processes, workers));
}

fn threads_run_as_many_at_a_time_as_there_are_workers() {
    [1, 2, 9].into_iter().for_each(|workers| as_many_as_workers(Mode::Threads, workers));
}

/// Goes on when the other has ended, if it is to be the second.
fn front_or_rear(name: String, is_second: bool, ended: Queue<()>) -> Words<String> {
    if is_second {
        ended.get().map_err(|error| error.to_string())?;
    }
    Ok(name)
}

fn the_order_of_their_ends_decides_nothing() {
    for second in ["front", "rear"] {
        let ended = Queue::new().unwrap();
        let branches = ["front", "rear"].map(|name| {
            ProcessStep::new(name, front_or_rear, (name.to_owned(), name == second, ended.clone()))
                .keys("side")
        });
        let pipeline = Pipeline::builder("p")
            .parallel(Parallel::processes(2).steps(branches).on_conflict(OnConflict::LastDeclared))
            .build()
            .unwrap();
        let mut order = Vec::new();
        let report = pipeline
            .run_with_progress(Context::new(), |progress| {
                if progress.to_string().ends_with("is done") {
                    order.push(progress.task.to_string());
                    ended.put(()).unwrap();
                }
            })
            .unwrap();
        assert_eq!(order[1], second);
        assert_eq!(text(report.context(), "side"), "rear");
    }
}

fn counters(
    block: impl FnOnce(Parallel<mp_pool::pipeline::Threads>) -> Parallel<mp_pool::pipeline::Threads>,
) -> Pipeline {
    let counter = |name| step(name, |context| Ok(context.get::<u64>("counter")? + 1)).keys("counter");
    let parallel = Parallel::threads(2).step(counter("a")).step(counter("b"));
    Pipeline::builder("p").parallel(block(parallel)).build().unwrap()
}

fn a_key_of_several_steps_becomes_what_is_asked_for() {
    let run = |pipeline: Pipeline| pipeline.run(Context::new().with("counter", 0_u64)).unwrap();
    // Each saw 0: it is updated, and the sum is for the program to ask for.
    let last = run(counters(|block| block.on_conflict(OnConflict::LastDeclared)));
    assert_eq!(last.context().get::<u64>("counter"), Ok(&1));
    let sum = run(counters(|block| block.reduce("counter", |a: &u64, b: &u64| a + b)));
    assert_eq!(sum.context().get::<u64>("counter"), Ok(&2));
    let apart = run(counters(|block| block.on_conflict(OnConflict::Namespaced)));
    assert_eq!(keys(&apart), ["counter", "a.counter", "b.counter"]);
    assert_eq!(apart.context().get::<u64>("counter"), Ok(&0));
}

fn values_that_cannot_be_reduced_are_an_error() {
    let run = |pipeline: Pipeline| pipeline.run(Context::new().with("counter", 0_u64)).unwrap_err();
    let wrong = run(counters(|block| block.reduce("counter", |a: &u32, _: &u32| *a)));
    let PipelineError::Merge { key, reason, .. } = &wrong else { panic!("{wrong}") };
    assert!(key == "counter" && reason.contains("u64") && reason.contains("u32"), "{wrong}");
    assert_eq!(wrong.report().done(), 2);
    let panics =
        run(counters(|block| block.reduce("counter", |_: &u64, _: &u64| panic!("a deliberate panic"))));
    assert!(panics.to_string().contains("a deliberate panic"), "{panics}");
}

fn what_could_not_work_is_not_built() {
    let one = |name: &str| step(name, |_| Ok(1));
    let build = |block| Pipeline::builder("p").parallel(block).build().unwrap_err();
    assert_eq!(Pipeline::builder("p").build().unwrap_err(), BuildError::NoSteps);
    assert_eq!(build(Parallel::threads(1)), BuildError::NoSteps);
    assert_eq!(build(Parallel::threads(0).step(one("a"))), BuildError::NoWorkers);
    let twice = Pipeline::builder("p").step(one("a")).step(one("a")).build().unwrap_err();
    assert_eq!(twice, BuildError::DuplicateName { name: "a".to_owned() });
    let unknown = build(Parallel::threads(1).step(one("a").after("b")));
    assert_eq!(unknown, BuildError::UnknownDependency { step: "a".to_owned(), after: "b".to_owned() });
    assert!(matches!(
        build(Parallel::threads(1).step(one("a").after("a"))),
        BuildError::UnknownDependency { .. }
    ));
    let circle =
        Parallel::threads(1).step(one("a")).step(one("b").after("c")).step(one("c").after("b").after("a"));
    assert_eq!(build(circle), BuildError::Cycle { steps: vec!["b".to_owned(), "c".to_owned()] });
    let conflict = build(Parallel::threads(1).step(one("a").keys("x")).step(one("b").keys("x")));
    let [key, first, second] = ["x", "a", "b"].map(str::to_owned);
    assert_eq!(conflict, BuildError::Conflict { key, first, second });
    let late = ProcessStep::new("a", square, (1,)).deadline(Duration::from_millis(1));
    assert_eq!(build(Parallel::threads(1).step(late)), BuildError::DeadlineOfThread { step: "a".to_owned() });
}

fn a_step_after_another_sees_what_that_wrote() {
    let plus = |name: &str, of: &'static str, after: &[&str]| {
        let step = step(name, move |context| Ok(context.get::<u64>(of)? + 1));
        after.iter().fold(step, |step, after| step.after(*after))
    };
    // Declared the wrong way round. "c" sees what is before "b" as well, and "d" nothing of the block.
    let block = Parallel::threads(4)
        .step(plus("c", "a", &["b"]))
        .step(plus("b", "a", &["a"]))
        .step(step("a", |_| Ok(1_u64)))
        .step(step("d", |context| Ok(context.contains("a"))));
    let report = Pipeline::builder("p").parallel(block).build().unwrap().run(Context::new()).unwrap();
    assert_eq!(["a", "b", "c"].map(|key| *report.context().get::<u64>(key).unwrap()), [1, 2, 2]);
    assert_eq!(report.context().get::<bool>("d"), Ok(&false));
}

fn conditions_skip_and_their_errors_are_errors() {
    let above =
        |limit: u64| move |context: &Context| Ok::<_, ContextError>(*context.get::<u64>("x")? > limit);
    let block = Parallel::threads(2)
        .step(step("yes", |_| Ok(1)).when(above(3)))
        .step(step("no", |_| Ok(1)).when(above(7)))
        .step(step("after no", |_| Ok(1)).after("no"));
    let mut last = (0, None);
    let pipeline = Pipeline::builder("p").parallel(block).build().unwrap();
    let report = pipeline
        .run_with_progress(Context::new().with("x", 5_u64), |progress| {
            last = (progress.tally.finished, progress.tally.total)
        })
        .unwrap();
    assert_eq!((report.done(), report.skipped(), report.started(), last), (1, 2, 1, (3, Some(3))));
    assert_eq!(keys(&report), ["x", "yes"]);
    let wrong = pipeline.run(Context::new()).unwrap_err();
    assert!(
        matches!(&wrong.report().task("yes").unwrap().outcome, Outcome::Failed(reason) if reason.contains("\"x\""))
    );
}

fn each_task_has_its_events() {
    let pipeline = Pipeline::builder("p")
        .parallel(
            Parallel::processes(1)
                .steps(["a", "b", "c", "d"].map(|name| ProcessStep::new(name, square, (2,)))),
        )
        .build()
        .unwrap();
    let mut events = Vec::new();
    drop(pipeline.run_with_progress(Context::new(), |progress| events.push(progress.to_string())).unwrap());
    let expected = (1..).zip(["a", "b", "c", "d"]).flat_map(|(number, name)| {
        [format!("{}/4 {name} started", number - 1), format!("{number}/4 {name} is done")]
    });
    assert_eq!(events, expected.collect::<Vec<_>>());
}

fn two_pipelines_do_not_mix_their_events() {
    let both = Arc::new(Barrier::new(2));
    let run = |name: &'static str| {
        let both = Arc::clone(&both);
        let pipeline = Pipeline::builder(name)
            .step(step("meet", move |_| Ok(both.wait().is_leader())))
            .step(step("end", |_| Ok(())))
            .build()
            .unwrap();
        std::thread::spawn(move || {
            let mut events = Vec::new();
            let told = pipeline.run_with_progress(Context::new(), |progress| {
                assert_eq!(&*progress.name, name);
                events.push(progress.tally.finished);
            });
            drop(told.unwrap());
            events
        })
    };
    let threads = ["one", "two"].map(run);
    assert!(threads.into_iter().all(|thread| thread.join().unwrap() == [0, 1, 1, 2]));
}

/// The teaching document's failure: its bar holds a lock, so nothing could be sent to a process, and nothing was told.
fn a_consumer_with_a_lock_stops_no_task() {
    let bar = Mutex::new(Vec::new());
    let pipeline = Pipeline::builder("sport_mode_processes")
        .parallel(
            Parallel::processes(4)
                .steps((0..4).map(|n| ProcessStep::new(format!("vision {n}"), square, (n,)))),
        )
        .build()
        .unwrap();
    let report = pipeline
        .run_with_progress(Context::new(), |progress| bar.lock().unwrap().push(progress.tally.finished))
        .unwrap();
    assert_eq!((report.submitted(), report.started(), report.done()), (4, 4, 4));
    let bar = bar.into_inner().unwrap();
    assert_eq!((bar.len(), bar.last()), (8, Some(&4)));
}

fn handles_cross_where_contents_would_be_long() {
    let long: Queue<Vec<u8>> = Queue::new().unwrap();
    long.put(vec![7; 1 << 20]).unwrap();
    let count = |long: Queue<Vec<u8>>| {
        let content = long.get().map_err(|error| error.to_string())?;
        Words::Ok(content.iter().map(|byte| u64::from(*byte)).sum::<u64>())
    };
    let pipeline = Pipeline::builder("p")
        .step(step("long", move |_| Ok(long.clone())))
        .parallel(Parallel::processes(1).step(ProcessStep::with_input("sum", count, |context| {
            Ok((context.get::<Queue<Vec<u8>>>("long")?.clone(),))
        })))
        .build()
        .unwrap();
    let report = pipeline.run(Context::new()).unwrap();
    assert_eq!(report.context().get::<u64>("sum"), Ok(&(7 << 20)));
    assert!(report.task("sum").unwrap().bytes_in.unwrap() < 1000);
}

fn a_pipeline_runs_several_times_and_in_several_threads() {
    let pipeline = Pipeline::builder("p")
        .step(step("double", |context| Ok(2 * context.get::<u64>("x")?)))
        .build()
        .unwrap();
    let pipeline = &pipeline;
    std::thread::scope(|scope| {
        let run = |x| {
            scope.spawn(move || {
                *pipeline.run(Context::new().with("x", x)).unwrap().context().get::<u64>("double").unwrap()
            })
        };
        let runs: Vec<_> = (0..4_u64).map(run).collect();
        let doubled: Vec<u64> = runs.into_iter().map(|run| run.join().unwrap()).collect();
        assert_eq!(doubled, [0, 2, 4, 6]);
    });
    let report = pipeline.run(Context::new().with("x", 4_u64)).unwrap();
    let Attempt { outcome, pid, .. } = &report.task("double").unwrap().attempts[0];
    assert_eq!((outcome, *pid), (&Outcome::Done, std::process::id()));
}
