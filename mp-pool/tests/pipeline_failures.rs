//! Pipelines whose steps fail: each in each of the ways there are, and what becomes of the others, of the report, and
//! of the processes.

use mp_core::active_children;
use mp_core::sys::process::{become_subreaper, send_signal};
use mp_pool::pipeline::{
    Context, OnFailure, Outcome, Parallel, Pipeline, PipelineError, ProcessStep, Report, RetryOn, Step,
};
use mp_queue::Queue;
use mp_testing::{all_gone, kill_if_it_lives, parent_in_role, role, stay};
use nix::sys::signal::{SigSet, Signal};
use serde::{Deserialize, Serialize};
use std::io::{BufRead, BufReader};
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

mp_testing::cases! {
    plain: [
        threads_fail_as_processes_do,
        a_failed_thread_lets_the_others_end,
    ],
    every_method: [
        every_way_to_fail_is_in_the_report,
        the_first_failure_ends_the_others,
        a_process_that_holds_sigterm_back_is_killed,
        a_deadline_ends_one_attempt_alone,
        what_cannot_cross_stops_all_before_any_starts,
        retries_have_new_processes,
        an_attempt_that_is_too_late_is_tried_again,
        no_retry_follows_what_is_not_listed,
        a_consumer_that_panics_leaves_no_process,
        a_killed_parent_leaves_no_process,
        whichever_process_is_killed_every_task_has_one_outcome,
    ],
}

type Words<T> = Result<T, String>;

/// One of its two forms cannot be serialised.
#[derive(Debug, Clone, Deserialize)]
struct Stubborn(bool);

impl Serialize for Stubborn {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 {
            return Err(serde::ser::Error::custom("field `camera` has no serial form"));
        }
        serializer.serialize_newtype_struct("Stubborn", &self.0)
    }
}

fn end_by(way: String) -> Words<Stubborn> {
    match way.as_str() {
        "error" => Err("no camera".to_owned()),
        "panic" => panic!("a deliberate panic"),
        "exit" => std::process::exit(3),
        "kill" => {
            nix::sys::signal::kill(nix::unistd::Pid::this(), Signal::SIGKILL)
                .map_err(|error| error.to_string())?;
            stay()
        }
        "endless" => stay(),
        "value" => Ok(Stubborn(true)),
        _ => Ok(Stubborn(false)),
    }
}

fn one(way: &str) -> ProcessStep<Stubborn> {
    ProcessStep::new(way, end_by, (way.to_owned(),))
}

fn nothing_is_left() {
    assert!(active_children().is_empty());
}

fn outcomes(report: &Report) -> Vec<String> {
    report.tasks().iter().map(|task| format!("{} {}", task.name, task.outcome)).collect()
}

fn every_way_to_fail_is_in_the_report() {
    let argument = ProcessStep::new("argument", |_: Stubborn| Words::Ok(1), (Stubborn(true),));
    let block = Parallel::processes(2)
        .steps(["error", "panic", "exit", "kill", "value", "good"].map(one))
        .step(one("endless").deadline(Duration::from_millis(10)))
        .step(argument)
        .step(one("after error").after("error"));
    let pipeline = Pipeline::builder("p")
        .on_failure(OnFailure::CollectAll)
        .parallel(block)
        .step(Step::new("later", |context: &Context| Words::Ok(context.contains("good"))))
        .step(Step::new("wants", |context: &Context| context.get::<Stubborn>("error").cloned()))
        .build()
        .unwrap();
    let mut told = Vec::new();
    let error = pipeline
        .run_with_progress(Context::new(), |progress| {
            told.push((progress.tally.finished, progress.to_string()))
        })
        .unwrap_err();
    let report = error.report();
    let expected = [
        "error failed: no camera",
        "panic panicked at",
        "exit exited with code 3",
        "kill was killed by signal 9",
        "value is not serializable: ",
        "good is done",
        "endless timed out",
        "argument is not serializable: ",
        "after error was not started: error is not done",
        "later is done",
        "wants failed: the context has no key \"error\"",
    ];
    for (found, expected) in outcomes(report).iter().zip(expected) {
        assert!(found.starts_with(expected), "{found:?} is not {expected:?}");
    }
    for name in ["value", "argument"] {
        let outcome = &report.task(name).unwrap().outcome;
        assert!(
            matches!(outcome, Outcome::NotSerializable(reason) if reason.contains("camera")),
            "{outcome:?}"
        );
    }
    assert!(matches!(&report.task("panic").unwrap().outcome, Outcome::Panicked { message, location }
        if message == "a deliberate panic" && location.contains("pipeline_failures.rs")));
    assert_eq!(report.context().get::<bool>("later"), Ok(&true));
    // The sums. One that is too late may be so before its process is there.
    let late = report.task("endless").unwrap().attempts.len();
    assert_eq!((report.submitted(), report.started(), report.done()), (11, 8 + late, 2));
    assert_eq!(report.failures().count(), 9);
    assert_eq!(told.last().unwrap().0, 2);
    assert_eq!(told.iter().filter(|(_, line)| line.starts_with("failed at")).count(), 9);
    assert!(error.to_string().starts_with("p: 2 of 11 tasks are done, "), "{error}");
    assert!(error.to_string().ends_with("and 4 more"), "{error}");
    nothing_is_left();
}

/// Says that it runs, and never ends.
fn run_for_ever(began: Queue<u32>, hold_sigterm_back: bool) -> Words<()> {
    if hold_sigterm_back {
        let mut signals = SigSet::empty();
        signals.add(Signal::SIGTERM);
        signals.thread_block().map_err(|error| error.to_string())?;
    }
    began.put(std::process::id()).map_err(|error| error.to_string())?;
    stay()
}

/// Fails when the others run.
fn fail_beside(began: Queue<u32>, others: usize) -> Words<()> {
    for _ in 0..others {
        began.get().map_err(|error| error.to_string())?;
    }
    Err("enough".to_owned())
}

fn stopped_on_first(hold_sigterm_back: bool, grace: Duration) -> PipelineError {
    let began = Queue::new().unwrap();
    let other =
        |name: &str| ProcessStep::new(name, run_for_ever, (began.clone(), hold_sigterm_back)).grace(grace);
    let pipeline = Pipeline::builder("p")
        .parallel(
            Parallel::processes(3)
                .step(other("a"))
                .step(ProcessStep::new("b", fail_beside, (began.clone(), 2)))
                .step(other("c"))
                .step(other("d")),
        )
        .step(Step::new("e", |_: &Context| Words::Ok(())))
        .build()
        .unwrap();
    pipeline.run(Context::new()).unwrap_err()
}

fn the_first_failure_ends_the_others() {
    let error = stopped_on_first(false, Duration::from_secs(3600));
    let expected = [
        "a was cancelled",
        "b failed: enough",
        "c was cancelled",
        "d was not started: b had failed",
        "e was not started: b had failed",
    ];
    assert_eq!(outcomes(error.report()), expected);
    assert_eq!((error.report().started(), error.report().done()), (3, 0));
    nothing_is_left();
}

fn a_process_that_holds_sigterm_back_is_killed() {
    let error = stopped_on_first(true, Duration::from_millis(20));
    assert_eq!(outcomes(error.report())[0], "a was cancelled");
    nothing_is_left();
}

fn a_deadline_ends_one_attempt_alone() {
    let began = Queue::new().unwrap();
    let late = |name: &str, deadline, hold_sigterm_back| {
        ProcessStep::new(name, run_for_ever, (began.clone(), hold_sigterm_back))
            .deadline(deadline)
            .grace(Duration::from_millis(20))
    };
    let pipeline = Pipeline::builder("p")
        .on_failure(OnFailure::CollectAll)
        .parallel(
            Parallel::processes(4)
                .step(late("before its start", Duration::ZERO, false))
                .step(late("polite", Duration::from_millis(300), false))
                .step(late("stubborn", Duration::from_millis(300), true))
                .step(one("good").deadline(Duration::from_secs(3600))),
        )
        .build()
        .unwrap();
    let error = pipeline.run(Context::new()).unwrap_err();
    let expected = ["before its start timed out", "polite timed out", "stubborn timed out", "good is done"];
    assert_eq!(outcomes(error.report()), expected);
    assert!(
        error
            .report()
            .task("polite")
            .unwrap()
            .attempts
            .iter()
            .all(|attempt| { attempt.elapsed >= Duration::from_millis(300) })
    );
    nothing_is_left();
}

fn what_cannot_cross_stops_all_before_any_starts() {
    let pipeline = |on_failure| {
        Pipeline::builder("p")
            .on_failure(on_failure)
            .parallel(Parallel::processes(2).step(one("good")).step(ProcessStep::new(
                "bad",
                |_: Stubborn| Words::Ok(1),
                (Stubborn(true),),
            )))
            .build()
            .unwrap()
    };
    let mut events = Vec::new();
    let error = pipeline(OnFailure::StopOnFirst)
        .run_with_progress(Context::new(), |progress| events.push(progress.to_string()))
        .unwrap_err();
    assert_eq!((error.report().started(), error.report().submitted()), (0, 2));
    assert!(events.iter().all(|event| event.starts_with("failed at 0/2")), "{events:?}");
    assert!(outcomes(error.report())[1].starts_with("bad is not serializable: "), "{error}");
    // The program asked for the others.
    let error = pipeline(OnFailure::CollectAll).run(Context::new()).unwrap_err();
    assert_eq!(error.report().done(), 1);
}

/// Does as it is told, each attempt by itself.
fn obey(orders: Queue<String>) -> Words<Stubborn> {
    end_by(orders.get().map_err(|error| error.to_string())?)
}

fn orders(ways: &[&str]) -> Queue<String> {
    let orders = Queue::new().unwrap();
    ways.iter().for_each(|way| orders.put((*way).to_owned()).unwrap());
    orders
}

fn retries_have_new_processes() {
    let step = ProcessStep::new("a", obey, (orders(&["kill", "error", "panic", "good"]),))
        .retry(4, &[RetryOn::Killed, RetryOn::Failed, RetryOn::Panicked])
        .backoff(Duration::from_millis(1));
    let pipeline = Pipeline::builder("p").parallel(Parallel::processes(1).step(step)).build().unwrap();
    let mut events = Vec::new();
    let report =
        pipeline.run_with_progress(Context::new(), |progress| events.push(progress.to_string())).unwrap();
    let attempts = &report.task("a").unwrap().attempts;
    let ends: Vec<String> = attempts.iter().map(|attempt| attempt.outcome.to_string()).collect();
    assert_eq!([&ends[0], &ends[1], &ends[3]], ["was killed by signal 9", "failed: no camera", "is done"]);
    let pids: std::collections::HashSet<u32> = attempts.iter().map(|attempt| attempt.pid).collect();
    assert_eq!((pids.len(), report.started(), events.len()), (4, 1, 8));
    assert_eq!(events[1], "0/1 a was killed by signal 9, and is tried again");
}

fn an_attempt_that_is_too_late_is_tried_again() {
    let step = one("endless").deadline(Duration::from_millis(1)).retry(2, &[RetryOn::TimedOut]);
    let pipeline = Pipeline::builder("p").parallel(Parallel::processes(1).step(step)).build().unwrap();
    let mut again = 0;
    let error = pipeline
        .run_with_progress(Context::new(), |progress| {
            again += usize::from(progress.to_string().ends_with("endless timed out, and is tried again"));
        })
        .unwrap_err();
    assert_eq!((again, outcomes(error.report())), (2, vec!["endless timed out".to_owned()]));
    nothing_is_left();
}

fn no_retry_follows_what_is_not_listed() {
    let step = |ways: &[&str]| ProcessStep::new("a", obey, (orders(ways),)).retry(2, &[RetryOn::Exited]);
    let attempts = |ways: &[&str]| {
        let pipeline =
            Pipeline::builder("p").parallel(Parallel::processes(1).step(step(ways))).build().unwrap();
        let error = pipeline.run(Context::new()).unwrap_err();
        error.report().task("a").unwrap().attempts.len()
    };
    assert_eq!(attempts(&["error", "good"]), 1);
    assert_eq!(attempts(&["exit", "exit", "exit", "good"]), 3);
}

fn threads_fail_as_processes_do() {
    let pipeline = Pipeline::builder("p")
        .on_failure(OnFailure::CollectAll)
        .parallel(Parallel::threads(2).steps(["error", "panic", "good"].map(one)))
        .step(Step::new("here", |_: &Context| -> Words<()> { panic!("a deliberate panic") }))
        .build()
        .unwrap();
    let error = pipeline.run(Context::new()).unwrap_err();
    let report = error.report();
    assert_eq!(report.task("error").unwrap().outcome, Outcome::Failed("no camera".to_owned()));
    // Where a thread panicked is told on standard error.
    for name in ["panic", "here"] {
        assert!(
            matches!(&report.task(name).unwrap().outcome, Outcome::Panicked { message, .. } if message == "a deliberate panic")
        );
    }
    assert_eq!((report.started(), report.done()), (4, 1));
}

fn a_failed_thread_lets_the_others_end() {
    let (say, hear) = std::sync::mpsc::channel();
    let hear = std::sync::Mutex::new(hear);
    let pipeline = Pipeline::builder("p")
        .parallel(
            Parallel::threads(2)
                .step(Step::new("waits", move |_: &Context| hear.lock().unwrap().recv().map(|()| 7)))
                .step(one("error"))
                .step(one("good")),
        )
        .build()
        .unwrap();
    let error = pipeline
        .run_with_progress(Context::new(), |progress| {
            if progress.to_string().starts_with("failed at 0/3: error") {
                say.send(()).unwrap();
            }
        })
        .unwrap_err();
    assert_eq!(
        outcomes(error.report()),
        ["waits is done", "error failed: no camera", "good was not started: error had failed"]
    );
    assert_eq!(error.report().context().get::<i32>("waits"), Ok(&7));
}

fn a_consumer_that_panics_leaves_no_process() {
    let pipeline = Pipeline::builder("p")
        .parallel(Parallel::processes(2).steps(["endless", "good"].map(one)))
        .build()
        .unwrap();
    let run = || {
        drop(pipeline.run_with_progress(Context::new(), |progress| {
            assert!(progress.tally.finished == 0, "a deliberate panic of the bar");
        }));
    };
    assert!(catch_unwind(AssertUnwindSafe(run)).is_err());
    nothing_is_left();
}

fn a_killed_parent_leaves_no_process() {
    if role().is_some() {
        let began = Queue::new().unwrap();
        let steps = ["a", "b"].map(|name| ProcessStep::new(name, run_for_ever, (began.clone(), true)));
        let pipeline = Pipeline::builder("p").parallel(Parallel::processes(2).steps(steps)).build().unwrap();
        std::thread::spawn(move || {
            (0..2).for_each(|_| assert!(began.get().unwrap() > 0));
            println!("both run");
        });
        drop(pipeline.run(Context::new()));
        return;
    }
    become_subreaper().unwrap();
    for signal in [Signal::SIGKILL, Signal::SIGTERM] {
        let mut parent = parent_in_role("parent").spawn().unwrap();
        let pidfd = mp_core::sys::poll::pidfd_open(parent.id()).unwrap();
        let mut line = String::new();
        BufReader::new(parent.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "both run\n");
        send_signal(pidfd.as_fd(), signal as i32).unwrap();
        parent.wait().unwrap();
        all_gone();
    }
}

fn say_pid_and_work(pids: Queue<u32>) -> Words<u32> {
    pids.put(std::process::id()).map_err(|error| error.to_string())?;
    Ok((0..20_000_u32).fold(std::process::id(), |pid, _| std::hint::black_box(pid)))
}

/// Every second one is killed, wherever it is by then: its task is done, or was killed, and no other one is.
fn whichever_process_is_killed_every_task_has_one_outcome() {
    const TASKS: usize = 60;
    let pids = Queue::new().unwrap();
    let steps = (0..TASKS).map(|n| ProcessStep::new(n.to_string(), say_pid_and_work, (pids.clone(),)));
    let pipeline = Pipeline::builder("p")
        .on_failure(OnFailure::CollectAll)
        .parallel(Parallel::processes(4).steps(steps))
        .build()
        .unwrap();
    let killer = std::thread::spawn(move || {
        let mut killed = Vec::new();
        for n in 0..TASKS {
            let pid = pids.get().unwrap();
            if n % 2 == 1 && kill_if_it_lives(pid) {
                killed.push(pid);
            }
        }
        killed
    });
    let run = pipeline.run(Context::new());
    let killed = killer.join().unwrap();
    let report = run.as_ref().unwrap_or_else(PipelineError::report);
    assert_eq!((report.submitted(), report.started()), (TASKS, TASKS));
    for task in report.tasks() {
        let pid = task.attempts[0].pid;
        match &task.outcome {
            Outcome::Done => assert_eq!(report.context().get::<u32>(&task.name), Ok(&pid)),
            Outcome::Killed(9) => assert!(killed.contains(&pid) && !report.context().contains(&task.name)),
            other => panic!("{} {other}", task.name),
        }
    }
    assert_eq!(run.is_ok(), report.done() == TASKS);
    nothing_is_left();
}
