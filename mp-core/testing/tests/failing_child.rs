//! That a failure anywhere in a case's family fails the case: the harness is run on cases that must fail.

use mp_core::Process;
use std::process::{Command, Stdio};

const FAILING: &str = "MP_TESTING_FAILING";

fn main() -> std::process::ExitCode {
    use mp_testing::Case;
    if std::env::var_os(FAILING).is_some() {
        let mut cases = Case::every_method("joined_child_panics", joined_child_panics);
        cases.push(Case::plain("panics_itself", panics_itself));
        cases.push(Case::plain("is_killed", is_killed));
        cases.push(Case::plain("passes", || {}));
        return mp_testing::main(&cases);
    }
    mp_testing::main(&[Case::plain("a_failing_child_fails_its_case", a_failing_child_fails_its_case)])
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

fn a_failing_child_fails_its_case() {
    let output = Command::new(std::env::current_exe().unwrap())
        .env(FAILING, "1")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(101), "{text}");
    for name in ["fork", "spawn", "forkserver"] {
        assert!(text.contains(&format!("test joined_child_panics::{name} ... FAILED")), "{text}");
    }
    assert!(text.contains("test panics_itself ... FAILED"), "{text}");
    assert!(text.contains("test is_killed ... FAILED"), "{text}");
    assert!(text.contains("test passes ... ok"), "{text}");
    assert!(text.contains("a deliberate failure"), "{text}");
    assert!(text.contains("test result: FAILED. 1 passed; 5 failed"), "{text}");
}
