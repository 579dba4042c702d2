//! Kills at random moments, of processes that make, open and let go of named blocks: of a parent, a child, the keeper,
//! or of all at once. Prints how many it tried.
//!
//! Whichever process is killed, no name is left as soon as the last one has ended, the keeper's own included; if the
//! keeper was among the killed, as soon as a process opens a block next. No death unlinks a living owner's name.
//!
//! `MP_KILLS=2000` sets the number; the default fits the gate.

use mp_core::sys::process::{Ended, become_subreaper};
use mp_core::sys::signal::SIGKILL;
use mp_core::{Process, StartMethod};
use mp_shm::{SharedMemory, SharedMemoryError};
use mp_testing::{
    all_gone, descendants, end_of, keepers, kill_if_it_lives, no_new_shared_memory, parent_in_role,
    process_name, random, role, shared_memory_names, wait_a_random_moment, wait_until_gone,
};
use std::process::{Child as Program, Stdio};
use std::time::{Duration, Instant};

mp_testing::cases! { plain: [whichever_process_is_killed_no_name_is_left] }

fn whichever_process_is_killed_no_name_is_left() {
    if role().is_some() {
        return family();
    }
    become_subreaper().unwrap();
    nix::unistd::setpgid(nix::unistd::Pid::from_raw(0), nix::unistd::Pid::from_raw(0)).unwrap();
    let before = shared_memory_names();
    let kills = mp_testing::kills(60);
    let span = span_of_a_family();
    let mut counts = [0; 5];
    let mut left = 0;
    for _ in 0..kills {
        let mut parent = start_family();
        wait_a_random_moment(span);
        let victim = choose(parent.id());
        let killed = victim.pids.iter().filter(|pid| kill_if_it_lives(**pid)).count();
        let status = end_of(&mut parent);
        all_gone();
        let kind = if killed == 0 { Kind::TooLate } else { victim.kind };
        counts[kind as usize] += 1;
        match kind {
            // It may have been about to end.
            Kind::Parent | Kind::All => {
                assert!(matches!(status, Ended::Signaled(SIGKILL) | Ended::Exited(0)))
            }
            Kind::Child | Kind::Keeper | Kind::TooLate => assert_eq!(status, Ended::Exited(0)),
        }
        if matches!(kind, Kind::Keeper | Kind::All) {
            left += u32::from(!ours().is_empty());
            let missing = SharedMemory::open("mp-shm-kills-none");
            assert!(matches!(missing, Err(SharedMemoryError::NotFound(_))), "{missing:?}");
            // A sweep of another program can be at it already.
            ours().iter().for_each(|name| wait_until_gone(name));
        }
        assert_eq!(ours(), [""; 0], "after the end of {kind:?}");
        // Those with made-up names, and the records.
        no_new_shared_memory(&before);
        assert!(keepers().is_empty());
    }
    let [parents, children, keepers, all, too_late] = counts;
    eprintln!(
        "{kills} kills: {parents} of parents, {children} of children, {keepers} of keepers, {all} of all at once, \
         {too_late} too late; a sweep found something {left} times; 0 names left, 0 keepers left"
    );
}

/// The names that are surely the family's.
fn ours() -> Vec<String> {
    shared_memory_names().into_iter().filter(|name| name.starts_with(&prefix())).collect()
}

/// What they begin with: the number of the case's own process group, which all of them are in.
fn prefix() -> String {
    format!("mp-shm-kills-{}-", nix::unistd::getpgrp())
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Parent,
    Child,
    Keeper,
    All,
    TooLate,
}

struct Victim {
    kind: Kind,
    pids: Vec<u32>,
}

fn start_family() -> Program {
    parent_in_role("family").stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap()
}

/// How long one takes that is left alone: the middle of three.
fn span_of_a_family() -> Duration {
    let mut spans = [(); 3].map(|()| {
        let began = Instant::now();
        assert_eq!(end_of(&mut start_family()), Ended::Exited(0));
        all_gone();
        began.elapsed()
    });
    spans.sort();
    spans[1]
}

fn choose(parent: u32) -> Victim {
    // Its template and spares are no owners.
    let is_child = |pid: &u32| process_name(*pid).starts_with("Process-");
    let children: Vec<u32> = descendants(parent).into_iter().map(|(pid, _)| pid).filter(is_child).collect();
    let keepers = keepers();
    match random(4) {
        0 => Victim { kind: Kind::Parent, pids: vec![parent] },
        1 => Victim { kind: Kind::Child, pids: children.into_iter().take(1).collect() },
        2 => Victim { kind: Kind::Keeper, pids: keepers },
        // In this order: the keeper is to have no time for the others.
        _ => Victim { kind: Kind::All, pids: keepers.into_iter().chain([parent]).chain(children).collect() },
    }
}

/// Makes blocks and lets go of them in every way that there is, for so many rounds, or until the parents' block, which
/// it opens too, says that it is enough.
fn churn(base: String, rounds: u64) {
    let mut held = Vec::new();
    for round in 0..rounds {
        let block = match round % 3 {
            0 => SharedMemory::new(100),
            _ => SharedMemory::create(&format!("{}{}-{round}", prefix(), std::process::id()), 5000),
        }
        .unwrap();
        let mut enough = [0];
        match SharedMemory::open(&base) {
            Ok(opened) => opened.read(0, &mut enough).unwrap(),
            // It goes with its owner, whose end may be near.
            Err(error) => assert!(mp_core::parent_process().is_some(), "{error}"),
        }
        match random(5) {
            0 => drop(block),
            1 => block.unlink().unwrap(),
            2 => block.close(),
            3 => drop(SharedMemory::open(block.name()).unwrap()),
            _ => held.push(block),
        }
        if held.len() > 5 {
            held.remove(random(6) as usize);
        }
        if enough == [1] {
            return;
        }
    }
}

/// The processes of the test: three owners of blocks.
fn family() {
    let base = SharedMemory::new(1).unwrap();
    let child = |method| {
        Process::new(churn, (base.name().to_owned(), u64::MAX)).method(method).daemon().start().unwrap()
    };
    let children = [child(StartMethod::ForkServer), child(StartMethod::Fork)];
    churn(base.name().to_owned(), 40);
    base.write(0, &[1]).unwrap();
    for child in children {
        if let Err(error) = child.join() {
            assert_eq!(error.to_string(), mp_core::JoinError::Killed(9).to_string());
        }
    }
    SharedMemory::open(base.name()).expect("the end of another process does not unlink it");
}
