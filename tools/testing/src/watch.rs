//! The process that watches one case: the case's process is its child, and it is the heir of all that the case leaves
//! behind.

use crate::inspect::{descendants, describe};
use crate::own_time::OwnTime;
use crate::run::{Case, IGNORED, RUN_CASE};
use mp_core::sys::poll::{Interest, pidfd_open, wait_for};
use mp_core::sys::process::{Ended, become_subreaper, reap_any, send_signal};
use mp_core::sys::signal::SIGKILL;
use mp_core::word::Deadline;
use std::fs::File;
use std::io::{Read, Seek};
use std::os::fd::AsFd;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

/// A case that is not done after so much time of its own ([`OwnTime`]) hangs: it is ended, and what waits for what is
/// printed.
const DEADLINE: Duration = Duration::from_secs(120);
/// Another deadline, in milliseconds: for the tests of this harness.
const OTHER_DEADLINE: &str = "MP_TESTING_DEADLINE";
/// How often orphans are looked after meanwhile.
const LOOK: Duration = Duration::from_millis(20);
/// How much time of its own what a case leaves behind may take to vanish.
const GRACE: Duration = Duration::from_secs(10);

fn deadline() -> Duration {
    let other = std::env::var(OTHER_DEADLINE).ok().and_then(|text| text.parse().ok());
    other.map_or(DEADLINE, Duration::from_millis)
}

/// Runs a case in a process of its own. Printed is why it failed, or why it could not be run.
pub(crate) fn watch_here(case: &Case, no_capture: bool) -> ExitCode {
    let end = match become_subreaper() {
        Ok(()) => run_apart(case, no_capture),
        Err(error) => Err(format!("cannot count what the case leaves behind: {error}")),
    };
    match end {
        Ok(None) => ExitCode::SUCCESS,
        Ok(Some(reason)) => {
            println!("{reason}");
            ExitCode::from(IGNORED)
        }
        Err(why) => {
            println!("{why}");
            ExitCode::FAILURE
        }
    }
}

/// `Some`: why it could not be run.
fn run_apart(case: &Case, no_capture: bool) -> Result<Option<String>, String> {
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
        Ok(Ended::Exited(code)) if code == i32::from(IGNORED) => {
            Ok(Some(said.lines().last().unwrap_or_default().to_owned()))
        }
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
