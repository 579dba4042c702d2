//! That a failure anywhere in a case's family fails the case, and a hang, and that a busy machine does not: the harness
//! is run on cases that must fail.

use mp_core::Process;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;
use std::process::{Command, ExitCode, Output, Stdio};
use std::time::Duration;

/// Which cases the harness is to run.
const CASES: &str = "MP_TESTING_CASES";

fn main() -> ExitCode {
    use mp_testing::Case;
    match std::env::var(CASES).as_deref() {
        Ok("failing") => {
            let mut cases = Case::every_method("joined_child_panics", joined_child_panics);
            cases.push(Case::plain("panics_itself", panics_itself));
            cases.push(Case::plain("is_killed", is_killed));
            cases.push(Case::prepared("is_not_prepared", wrong, || {}));
            cases.push(Case::plain("passes", || {}));
            mp_testing::main(&cases)
        }
        Ok("hanging") => mp_testing::main(&[
            Case::plain("sleeps", std::thread::park),
            Case::plain("spins", || while std::hint::black_box(true) {}),
        ]),
        Ok("slow") => mp_testing::main(&[
            Case::plain("needs_a_cpu", need_a_cpu),
            Case::prepared("passes", || std::thread::sleep(2 * SHORT), || {}),
        ]),
        _ => mp_testing::main(&[
            Case::plain("a_failing_child_fails_its_case", a_failing_child_fails_its_case),
            Case::plain("a_hang_is_found", a_hang_is_found),
            Case::plain("a_busy_machine_is_no_hang", a_busy_machine_is_no_hang),
        ]),
    }
}

fn wrong() {
    assert_eq!(1 + 1, 3, "a deliberate failure");
}

fn joined_child_panics() {
    Process::new(wrong, ()).start().unwrap().join().unwrap();
}

fn panics_itself() {
    wrong();
}

fn is_killed() {
    std::process::abort();
}

/// Of the harness's time for a case, in the tests of its deadline.
const SHORT: Duration = Duration::from_secs(1);

/// This program again, as a harness of these cases.
fn harness(cases: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.env(CASES, cases).env("MP_TESTING_DEADLINE", SHORT.as_millis().to_string()).stdin(Stdio::null());
    command
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn a_failing_child_fails_its_case() {
    let output = harness("failing").env_remove("MP_TESTING_DEADLINE").output().unwrap();
    let text = said(&output);
    assert_eq!(output.status.code(), Some(101), "{text}");
    for name in ["fork", "spawn", "forkserver"] {
        assert!(text.contains(&format!("test joined_child_panics::{name} ... FAILED")), "{text}");
    }
    for name in ["panics_itself", "is_killed", "is_not_prepared"] {
        assert!(text.contains(&format!("test {name} ... FAILED")), "{text}");
    }
    assert!(text.contains("test passes ... ok"), "{text}");
    assert!(text.contains("a deliberate failure"), "{text}");
    assert!(text.contains("test result: FAILED. 1 passed; 6 failed"), "{text}");
}

fn a_hang_is_found() {
    let output = harness("hanging").output().unwrap();
    let text = said(&output);
    assert!(text.contains("test result: FAILED. 0 passed; 2 failed"), "{text}");
    assert_eq!(text.matches("hangs: not done after 1s of its own time").count(), 2, "{text}");
}

/// Uses half of its deadline of a CPU's time.
fn need_a_cpu() {
    let used = || Duration::from(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap());
    while used() < SHORT / 2 {}
}

/// One CPU for the harness, its case, and five programs that never stop: the case takes three times its deadline.
fn a_busy_machine_is_no_hang() {
    let all = sched_getaffinity(Pid::from_raw(0)).unwrap();
    let mut one = CpuSet::new();
    one.set((0..CpuSet::count()).find(|cpu| all.is_set(*cpu).unwrap()).unwrap()).unwrap();
    sched_setaffinity(Pid::from_raw(0), &one).unwrap();
    let spin = || Command::new("/bin/sh").args(["-c", "while :; do :; done"]).spawn().unwrap();
    let mut others: Vec<_> = (0..5).map(|_| spin()).collect();
    let output = harness("slow").output().unwrap();
    for other in &mut others {
        other.kill().unwrap();
        other.wait().unwrap();
    }
    assert!(said(&output).contains("test result: ok. 2 passed"), "{}", said(&output));
}
