//! Names, numbers and relations of processes, CPUs, and the default start method: conformance case P10 without what
//! travels (`tests/context.rs` of the facade has that), fault row 27.
#![allow(unsafe_code, reason = "plain forks, and the CPUs of a process")]

use mp_core::{
    Child, Process, StartError, StartMethod, cpu_count, current_process, force_start_method,
    get_start_method, parent_process, set_start_method, usable_cpu_count,
};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use std::fs;
use std::io::Read;

mp_testing::cases! {
    plain: [
        a_signal_reaches_no_stranger_with_the_same_number,
        the_default_method_is_set_once_unless_it_is_forced,
        the_environment_names_the_default_method,
        methods_nest_in_every_order,
    ],
    every_method: [
        process_lists_show_the_name,
        default_names_tell_whose_child_it_is,
        cpus_follow_the_affinity,
        cpus_follow_the_cgroup,
        the_method_is_the_default_in_the_child,
    ]
}

fn shown_name() -> String {
    fs::read_to_string("/proc/self/comm").unwrap().trim_end().to_owned()
}

fn process_lists_show_the_name() {
    let of = |name: &str| Process::new(shown_name, ()).name(name).start().unwrap().join().unwrap();
    assert_eq!(of("short"), "short");
    assert_eq!(of("of more than fifteen bytes"), "of more than fi");
    assert_eq!(Process::new(shown_name, ()).start().unwrap().join().unwrap(), "Process-3");
}

fn names_up() -> Vec<String> {
    let mine = current_process().name().to_owned();
    vec![parent_process().unwrap().name().to_owned(), mine]
}

fn names_of_children() -> Vec<Vec<String>> {
    let children: Vec<Child<Vec<String>>> =
        (0..2).map(|_| Process::new(names_up, ()).start().unwrap()).collect();
    children.iter().map(|child| child.join().unwrap()).collect()
}

fn default_names_tell_whose_child_it_is() {
    let first = Process::new(names_of_children, ()).start().unwrap().join().unwrap();
    assert_eq!(first, [["Process-1", "Process-1:1"], ["Process-1", "Process-1:2"]]);
    let second = Process::new(names_of_children, ()).start().unwrap().join().unwrap();
    assert_eq!(second, [["Process-2", "Process-2:1"], ["Process-2", "Process-2:2"]]);
}

fn cpus() -> (usize, usize) {
    (cpu_count(), usable_cpu_count())
}

fn cpus_follow_the_affinity() {
    let (online, usable) = cpus();
    assert!(1 <= usable && usable <= online);
    let mut one = CpuSet::new();
    let mine = sched_getaffinity(Pid::from_raw(0)).unwrap();
    one.set((0..CpuSet::count()).find(|cpu| mine.is_set(*cpu).unwrap()).unwrap()).unwrap();
    sched_setaffinity(Pid::from_raw(0), &one).unwrap();
    assert_eq!(cpus(), (online, 1));
    assert_eq!(Process::new(cpus, ()).start().unwrap().join().unwrap(), (online, 1));
}

/// A group with the time of one CPU; `None` if this process may not make one.
fn group_of_one_cpu() -> Option<std::path::PathBuf> {
    let name = format!("mp-core-{}", std::process::id());
    let (old, new) = (format!("/sys/fs/cgroup/cpu/{name}"), format!("/sys/fs/cgroup/{name}"));
    if fs::create_dir(&old).is_ok() {
        fs::write(format!("{old}/cpu.cfs_period_us"), "100000").ok()?;
        fs::write(format!("{old}/cpu.cfs_quota_us"), "100000").ok()?;
        return Some(old.into());
    }
    fs::create_dir(&new).ok()?;
    fs::write(format!("{new}/cpu.max"), "100000 100000").ok()?;
    Some(new.into())
}

fn cpus_follow_the_cgroup() {
    if usable_cpu_count() == 1 {
        mp_testing::not_here("one CPU alone cannot be halved");
    }
    let Some(group) = group_of_one_cpu() else {
        mp_testing::not_here("no control group for CPUs may be made here")
    };
    fs::write(group.join("cgroup.procs"), std::process::id().to_string()).unwrap();
    // Asked in a child: the standard library may have kept its answer here.
    let (online, usable) = Process::new(cpus, ()).method(StartMethod::Spawn).start().unwrap().join().unwrap();
    fs::write(group.parent().unwrap().join("cgroup.procs"), std::process::id().to_string()).unwrap();
    while fs::remove_dir(&group).is_err() {
        std::thread::yield_now();
    }
    assert_eq!((online, usable), (cpu_count(), 1));
}

fn default_method() -> StartMethod {
    get_start_method().unwrap()
}

/// P10
fn the_method_is_the_default_in_the_child() {
    let mine = get_start_method().unwrap();
    assert_eq!(Process::new(default_method, ()).start().unwrap().join().unwrap(), mine);
    for method in StartMethod::ALL {
        let child = Process::new(default_method, ()).method(method).start().unwrap();
        assert_eq!(child.join().unwrap(), method);
    }
}

fn the_default_method_is_set_once_unless_it_is_forced() {
    assert_eq!(get_start_method().unwrap(), StartMethod::ForkServer);
    set_start_method(StartMethod::Spawn).unwrap();
    let again = set_start_method(StartMethod::Fork).unwrap_err();
    assert_eq!(again.to_string(), "the start method was set already: use force_start_method to replace it");
    assert_eq!(get_start_method().unwrap(), StartMethod::Spawn);
    force_start_method(StartMethod::Fork);
    assert_eq!(get_start_method().unwrap(), StartMethod::Fork);
}

fn the_environment_names_the_default_method() {
    // SAFETY: one thread.
    unsafe { std::env::set_var("MP_START_METHOD", "spawn") };
    assert_eq!(get_start_method().unwrap(), StartMethod::Spawn);
    // SAFETY: one thread.
    unsafe { std::env::set_var("MP_START_METHOD", "thread") };
    let unknown = Process::new(|| (), ()).start().unwrap_err();
    assert!(matches!(&unknown, StartError::UnknownMethod(name) if name == "thread"));
    assert!(unknown.to_string().contains("fork, spawn or forkserver"), "{unknown}");
}

/// Each starts the next by the next method; the last one answers.
fn chain(methods: Vec<StartMethod>) -> String {
    match methods.split_first() {
        Some((method, rest)) => {
            let child = Process::new(chain, (rest.to_vec(),)).method(*method).start().unwrap();
            format!("{method} {}", child.join().unwrap())
        }
        None => current_process().name().to_owned(),
    }
}

fn methods_nest_in_every_order() {
    for first in StartMethod::ALL {
        for second in StartMethod::ALL {
            for third in StartMethod::ALL {
                let answer = chain(vec![first, second, third]);
                assert!(answer.starts_with(&format!("{first} {second} {third} Process-")), "{answer}");
                assert!(answer.ends_with(":1:1"), "{answer}");
            }
        }
    }
}

/// A process that is no child of the library's, under a number that was a child's; `None` if the system cannot be
/// told which number is next.
fn stranger(pid: u32) -> Option<std::process::Child> {
    for _ in 0..1000 {
        fs::write("/proc/sys/kernel/ns_last_pid", (pid - 1).to_string()).ok()?;
        let mut command = std::process::Command::new("/bin/cat");
        command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
        let mut process = command.spawn().unwrap();
        if process.id() == pid {
            return Some(process);
        }
        // Another process on this machine was quicker.
        drop(process.stdin.take());
        process.wait().unwrap();
    }
    None
}

/// Row 27
fn a_signal_reaches_no_stranger_with_the_same_number() {
    for method in StartMethod::ALL {
        let child = Process::new(|| (), ()).method(method).start().unwrap();
        child.join().unwrap();
        let Some(mut stranger) = stranger(child.pid()) else {
            mp_testing::not_here("the next process id may not be chosen here")
        };
        assert_eq!(stranger.id(), child.pid());
        child.kill().unwrap();
        child.terminate().unwrap();
        assert!(!child.is_alive());
        assert!(matches!(child.join(), Ok(())));
        // It was not hit: it ends by itself, when its input does.
        assert!(stranger.try_wait().unwrap().is_none());
        drop(stranger.stdin.take());
        stranger.stdout.take().unwrap().read_to_end(&mut Vec::new()).unwrap();
        assert!(stranger.wait().unwrap().success());
    }
}
