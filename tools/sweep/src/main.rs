//! The kill sweep: a process is killed after each single instruction of an operation, and the survivors report
//! whether they could go on and whether anything is lost.
//!
//! ```text
//!  for n = 0, 1, 2, …                                                 a scene: fresh shared objects
//!    sleepers ── wait ─────────────────────────────────────────────►  go on, within the limit
//!    victim   ── stop ── n instructions ─ X                           SIGKILL (or SIGSTOP, and SIGCONT later)
//!    barger   ─────────────────── the same operation ──────────────►  (--barge) goes on
//!    checker                                            ── uses the objects, counts what is there ──► verdict
//! ```
//!
//! `mp-sweep [operation…] [--stop] [--barge] [--pass] [--twice] [--tsv] [--list] [--every n|call] [--jobs n]`
//! prints one row for each operation, and fails if anything was stuck, lost or torn. A name selects an operation;
//! `lock`, which is none's name, all that begin with `lock.`.
//!
//! | column     | means                                                                                     |
//! |------------|-------------------------------------------------------------------------------------------|
//! | `mode`     | `kill`; `stop`; `barge`: kill after a third party acted; `pass`: no kill, the victim goes on beside the third party; `twice`: kill, and kill the next one to do the operation, with a row's points counting each pair. `kill/7`: every 7th point only; `kill/call`: the one just after each system call only |
//! | `points`   | points of death that were tried: one for each instruction from the victim's stop before the operation to the one after it, and one for each sleep in between |
//! | `stuck`    | points after which a process did not go on, or one was left behind, within the limit: 5 s, for processes 20 s |
//! | `lost`     | points after which something committed was gone, or more was gone than the module's "When a process dies" admits |
//! | `torn`     | points after which guarded data was half changed, or held by two, without a report         |
//! | `timer`    | points after which a process went on only after more than 40 ms: by its timed look (or on a busy machine, for which there is `--jobs 1`) |
//! | `worst_ms` | the longest time until a process went on                                                  |
//!
//! # Processes
//! The operations of `process` start and end processes, and the promise is that nothing is left behind: whichever
//! process of a family is killed, the others come to their ends, and are reaped (`sweep/family.rs`). The victim is
//! the parent (`start`, `join`), the child (`life`: from its first instruction on; `exit`: from its function's
//! return on, with a daemon of its own still running) or the template, from its first instruction to its end. A
//! process that is not the sweep's own child stops itself before its operation, is adopted there, and is swept to
//! its end.
//!
//! Their points are counted from the last system call: the one just after each call is always tried, and from there
//! every n-th instruction (by default another n for each of them, so that a run takes a minute or so; `--every 1`
//! tries all). An instruction that repeats itself is one. Such a point is reached from call to call, and only from
//! the last one on in single steps. What a process does to others in these operations it does by system calls, so
//! points with no call between them should not differ: `--every call` takes that for granted, and tries one of
//! them. They have no `--barge`, since they share nothing that a third party could use: it is refused.
//!
//! What it does not reach: death inside a system call (but for sleeps), and the weak memory of other processors:
//! for that there are the kills at random moments, and the models.
//!
//! # A new operation
//! A file in `operations/`, or a few lines in one that is there: a type that implements `Scene` (`sweep/scene.rs`),
//! and its name in `operations()`. The least that a scene says is what the victim does (`operate`), what a third
//! party does (`barge`), and how to tell that all is whole (`check`). The rest has defaults: the sleepers, the
//! process that comes when the victim sleeps, what wakes sleepers that the victim does not have to wake. `value.rs`
//! is a short one.
//!
//! | folder        | what                                                                                 |
//! |---------------|---------------------------------------------------------------------------------------|
//! | `sweep/`      | `run.rs` all points of an operation, `point.rs` one of them, `victim.rs` the process that is stepped, `companion.rs` all others, `family.rs` the processes that an operation starts, `process.rs` fork |
//! | `operations/` | the scenes, one file for each type                                                    |
#![cfg_attr(not(all(target_os = "linux", target_arch = "x86_64")), allow(unused))]

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod operations;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod sweep;

use std::process::ExitCode;

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn main() -> ExitCode {
    sweep::main()
}

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
fn main() -> ExitCode {
    eprintln!("the sweep steps through instructions with ptrace, and knows only Linux on x86-64");
    ExitCode::from(2)
}
