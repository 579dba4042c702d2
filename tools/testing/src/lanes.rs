//! Running cases side by side: most of them wait most of their time.

use crate::arguments::Arguments;
use crate::run::{Case, IGNORED, WATCH_CASE};
use std::process::{Command, ExitCode, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

/// What became of a case that did not fail.
enum Passed {
    Ran,
    Ignored { reason: String },
}

/// What has become of the cases so far.
#[derive(Default)]
struct Told {
    passed: usize,
    ignored: usize,
    failed: Vec<(String, String)>,
}

impl Told {
    fn tell(&mut self, case: &Case, end: Result<Passed, String>) {
        let name = &case.name;
        match end {
            Ok(Passed::Ran) => {
                self.passed += 1;
                println!("test {name} ... ok");
            }
            Ok(Passed::Ignored { reason }) => {
                self.ignored += 1;
                println!("test {name} ... ignored, {reason}");
            }
            Err(why) => {
                println!("test {name} ... FAILED");
                self.failed.push((name.clone(), why));
            }
        }
    }
}

/// Runs the cases, and says at the end how they did, as libtest does.
pub(crate) fn run_all(chosen: &[&Case], of: usize, arguments: &Arguments) -> ExitCode {
    let began = Instant::now();
    println!("\nrunning {} tests", chosen.len());
    let (cases, told) = (Mutex::new(chosen.iter()), Mutex::new(Told::default()));
    let next = || cases.lock().unwrap_or_else(PoisonError::into_inner).next();
    let lane = || {
        while let Some(case) = next() {
            let end = run_watched(case, arguments.no_capture);
            told.lock().unwrap_or_else(PoisonError::into_inner).tell(case, end);
        }
    };
    thread::scope(|scope| {
        for _ in 0..lanes(arguments) {
            scope.spawn(lane);
        }
    });
    let Told { passed, ignored, failed } = told.into_inner().unwrap_or_else(PoisonError::into_inner);
    if !failed.is_empty() {
        println!("\nfailures:");
        for (name, why) in &failed {
            println!("\n---- {name} ----\n{why}");
        }
        println!("\nfailures:");
        failed.iter().for_each(|(name, _)| println!("    {name}"));
    }
    let verdict = if failed.is_empty() { "ok" } else { "FAILED" };
    println!(
        "\ntest result: {verdict}. {passed} passed; {} failed; {ignored} ignored; 0 measured; {} filtered out; finished in {:.2}s\n",
        failed.len(),
        of - chosen.len(),
        began.elapsed().as_secs_f64()
    );
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(101) }
}

/// How many cases run at once. Output that is not captured is of one case at a time.
fn lanes(arguments: &Arguments) -> usize {
    if arguments.no_capture {
        return 1;
    }
    let asked = arguments.test_threads.or_else(|| std::env::var("RUST_TEST_THREADS").ok()?.parse().ok());
    asked.unwrap_or_else(|| 2 * thread::available_parallelism().map_or(1, usize::from)).max(1)
}

/// Runs a case below a process that watches it ([`watch`](crate::watch)); says why it failed.
fn run_watched(case: &Case, no_capture: bool) -> Result<Passed, String> {
    if let Some(prepare) = case.prepare {
        std::panic::catch_unwind(prepare).map_err(|_| "could not be prepared, as was printed above")?;
    }
    let mut command = Command::new("/proc/self/exe");
    command.args([WATCH_CASE, &case.name]).stdin(Stdio::null()).stderr(Stdio::inherit());
    if no_capture {
        command.arg("--nocapture").stdout(Stdio::inherit());
    }
    let output = command.output().map_err(|error| format!("could not be started: {error}"))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    match output.status.code() {
        Some(0) => Ok(Passed::Ran),
        Some(code) if code == i32::from(IGNORED) => {
            Ok(Passed::Ignored { reason: said.lines().last().unwrap_or_default().to_owned() })
        }
        Some(_) => Err(said),
        None => Err(format!("{said}\nwhat watches it was ended: {}", output.status)),
    }
}
