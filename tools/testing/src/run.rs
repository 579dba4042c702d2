//! Running cases, one process each.

use crate::arguments::Arguments;
use crate::inspect::{descendants, describe};
use crate::own_time::OwnTime;
use mp_core::StartMethod;
use mp_core::sys::poll::{Interest, pidfd_open, wait_for};
use mp_core::sys::process::{Ended, become_subreaper, reap_any, send_signal};
use mp_core::sys::signal::SIGKILL;
use mp_core::word::Deadline;
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::fd::AsFd;
use std::process::{Command, ExitCode, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// One test case.
#[derive(Debug, Clone)]
pub struct Case {
    name: String,
    method: Option<StartMethod>,
    variant: Option<&'static str>,
    prepare: Option<fn()>,
    body: fn(),
}

impl Case {
    /// A case that is run once.
    pub fn plain(name: &str, body: fn()) -> Case {
        Case { name: name.to_owned(), method: None, variant: None, prepare: None, body }
    }

    /// One before which `prepare` is called, in the harness's process: it builds a program, or waits for something else
    /// that has nothing to do with the case, and its time is not the case's.
    pub fn prepared(name: &str, prepare: fn(), body: fn()) -> Case {
        Case { prepare: Some(prepare), ..Case::plain(name, body) }
    }

    /// A case that is run in a [`variant`].
    pub fn in_variant(name: &str, variant: &'static str, body: fn()) -> Case {
        Case { variant: Some(variant), ..Case::plain(&format!("{name}::{variant}"), body) }
    }

    /// A case that is run under each start method.
    pub fn every_method(name: &str, body: fn()) -> Vec<Case> {
        let methods = [StartMethod::Fork, StartMethod::Spawn, StartMethod::ForkServer];
        let case = |method: StartMethod| Case {
            method: Some(method),
            ..Case::plain(&format!("{name}::{method}"), body)
        };
        methods.into_iter().map(case).collect()
    }
}

/// The variant of the case that this process runs.
static VARIANT: OnceLock<&str> = OnceLock::new();

/// In which variant the case runs, in the case's own process; `None`: as it is.
pub fn variant() -> Option<&'static str> {
    VARIANT.get().copied()
}

/// The first argument of a program that is to run one case.
const RUN_CASE: &str = "--mp-case";
/// A case that is not done after so much time of its own ([`OwnTime`]) hangs: it is ended, and what waits for what is
/// printed.
const DEADLINE: Duration = Duration::from_secs(120);
/// Another deadline, in milliseconds: for the tests of this harness.
const OTHER_DEADLINE: &str = "MP_TESTING_DEADLINE";
/// How often orphans are looked after meanwhile.
const LOOK: Duration = Duration::from_millis(20);
/// How much time of its own what a case leaves behind may take to vanish.
const GRACE: Duration = Duration::from_secs(10);

/// What a case ends with that cannot be run here.
const IGNORED: i32 = 77;

/// Ends a case that needs what this machine does not have (a python, a server): it counts as ignored, for this reason.
/// With `MP_REQUIRE_PEERS` set, as in the gate, it fails instead.
pub fn ignore(reason: &str) -> ! {
    assert!(std::env::var_os("MP_REQUIRE_PEERS").is_none(), "required, and not here: {reason}");
    not_here(reason)
}

/// Ends a case that needs rights or parts that this machine does not have, and that cannot be installed: it counts as
/// ignored, in the gate too.
pub fn not_here(reason: &str) -> ! {
    println!("{reason}");
    std::process::exit(IGNORED)
}

/// Runs what the command line asks for: one case, a list, or all that it selects.
pub fn main(cases: &[Case]) -> ExitCode {
    crate::interrupts::link();
    // The program's own name may be anything.
    let words = std::env::args_os().skip(1).map(|word| word.into_string().expect("arguments are text"));
    let mut words = words.peekable();
    if words.peek().is_some_and(|word| word == RUN_CASE) {
        run_here(cases, &words.nth(1).unwrap_or_default());
    }
    let arguments = Arguments::parse(words);
    // None of the cases is an ignored one.
    let selected = |case: &&Case| !arguments.ignored_only && arguments.selects(&case.name);
    let chosen: Vec<&Case> = cases.iter().filter(selected).collect();
    if arguments.list {
        for case in &chosen {
            println!("{}: test", case.name);
        }
        return ExitCode::SUCCESS;
    }
    if let Err(error) = become_subreaper() {
        println!("cannot count what the cases leave behind: {error}");
        return ExitCode::FAILURE;
    }
    run_all(&chosen, cases.len(), &arguments)
}

/// In the case's own process.
fn run_here(cases: &[Case], name: &str) -> ! {
    let case = cases.iter().find(|case| case.name == name).expect("the harness names one of its own cases");
    if let Some(method) = case.method {
        mp_core::set_start_method(method).expect("it is not set in a new process");
    }
    if let Some(variant) = case.variant {
        VARIANT.get_or_init(|| variant);
    }
    (case.body)();
    std::process::exit(0)
}

fn run_all(chosen: &[&Case], of: usize, arguments: &Arguments) -> ExitCode {
    let began = Instant::now();
    println!("\nrunning {} tests", chosen.len());
    let mut failed = Vec::new();
    let mut ignored = 0;
    for case in chosen {
        print!("test {} ... ", case.name);
        let _ = std::io::stdout().flush();
        match run_apart(case, arguments.no_capture) {
            Ok(None) => println!("ok"),
            Ok(Some(reason)) => {
                ignored += 1;
                println!("ignored, {reason}");
            }
            Err(why) => {
                println!("FAILED");
                failed.push((case.name.clone(), why));
            }
        }
    }
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
        "\ntest result: {verdict}. {} passed; {} failed; {ignored} ignored; 0 measured; {} filtered out; finished in {:.2}s\n",
        chosen.len() - failed.len() - ignored,
        failed.len(),
        of - chosen.len(),
        began.elapsed().as_secs_f64()
    );
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(101) }
}

fn deadline() -> Duration {
    let other = std::env::var(OTHER_DEADLINE).ok().and_then(|text| text.parse().ok());
    other.map_or(DEADLINE, Duration::from_millis)
}

/// Runs a case in a process of its own; says why it failed, or why it could not be run.
fn run_apart(case: &Case, no_capture: bool) -> Result<Option<String>, String> {
    if let Some(prepare) = case.prepare {
        std::panic::catch_unwind(prepare).map_err(|_| "could not be prepared, as was printed above")?;
    }
    let mut output = unnamed_file().map_err(|error| format!("no file for its output: {error}"))?;
    let copy = || output.try_clone().map_or_else(|_| Stdio::null(), Stdio::from);
    let mut command = Command::new("/proc/self/exe");
    command.args([RUN_CASE, &case.name]).stdin(Stdio::null());
    if !no_capture {
        command.stdout(copy()).stderr(copy());
    }
    let child = command.spawn().map_err(|error| format!("could not be started: {error}"))?;
    let verdict = watch(child.id());
    let mut said = String::new();
    let _ = output.rewind().and_then(|()| output.read_to_string(&mut said));
    match verdict {
        Ok(Ended::Exited(0)) => Ok(None),
        Ok(Ended::Exited(IGNORED)) => Ok(Some(said.lines().last().unwrap_or_default().to_owned())),
        Ok(Ended::Exited(code)) => Err(format!("{said}\nexited with {code}")),
        Ok(Ended::Signaled(signal)) => Err(format!("{said}\nkilled by signal {signal}")),
        Err(why) => Err(format!("{said}\n{why}")),
    }
}

/// A file for the output: a pipe would stay open for as long as something that the case left behind lives.
fn unnamed_file() -> std::io::Result<File> {
    let path = std::env::temp_dir().join(format!("mp-testing-{}", std::process::id()));
    let file = File::options().read(true).write(true).create_new(true).open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

fn watch(case: u32) -> Result<Ended, String> {
    let pidfd = pidfd_open(case).map_err(|error| error.to_string())?;
    let (mut time, deadline) = (OwnTime::begin(), deadline());
    let mut ended = None;
    // As an init process would, reaps orphans as they end, so that the kernel can say how they did.
    while !reap(case, &mut ended) {
        if time.spent() > deadline {
            return Err(format!("hangs: not done after {deadline:?} of its own time\n{}", end_all()));
        }
        let _ = wait_for(pidfd.as_fd(), Interest::Read, Deadline::after(LOOK));
    }
    let mut time = OwnTime::begin();
    while !descendants(std::process::id()).is_empty() {
        if time.spent() > GRACE {
            return Err(format!("left running ({ended:?}):\n{}", end_all()));
        }
        std::thread::sleep(Duration::from_millis(2));
        reap(case, &mut ended);
    }
    ended.ok_or_else(|| "its exit status was not to be had".to_owned())
}

/// Reaps all that has ended; notes how the case did, and says whether that is known.
fn reap(case: u32, ended: &mut Option<Ended>) -> bool {
    while let Ok(Some((pid, how))) = reap_any() {
        if pid == case {
            *ended = Some(how);
        }
    }
    ended.is_some()
}

/// Ends what a case started, each by its id, as our own descendant; says what each was doing.
fn end_all() -> String {
    let mut report = String::new();
    loop {
        let left = descendants(std::process::id());
        if left.is_empty() {
            return report;
        }
        for (pid, _) in left {
            if let Ok(pidfd) = pidfd_open(pid) {
                report.push_str(&describe(pid));
                report.push('\n');
                let _ = send_signal(pidfd.as_fd(), SIGKILL);
            }
        }
        while let Ok(Some(_)) = reap_any() {}
        std::thread::sleep(Duration::from_millis(1));
    }
}
