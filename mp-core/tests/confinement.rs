//! A process that confines itself, or is scheduled in another way, after its first start: a child by ForkServer is as
//! confined as its parent, or is refused. The template began before that, and is replaced.
//!
//! Each change is made in a process of its own, which starts a child before it and one after it. The table of what is
//! followed, and what cannot be seen, is in `docs/environments.md`.
#![allow(unsafe_code, reason = "system calls that confine the caller")]

use mp_core::popen::forkserver::template_pid;
use mp_core::sys::confinement::{Confinement, Watch};
use mp_core::{Process, StartError, StartMethod, replace_forkserver};
use mp_testing::{Fate, filter, in_child, not_here, parent_in_role, role};
use nix::sched::{CloneFlags, unshare};
use std::fs;
use std::process::Stdio;

mp_testing::cases! {
    plain: [
        a_child_is_as_confined_as_its_parent,
        a_child_is_scheduled_as_its_parent,
        a_filter_behind_a_filter_is_seen,
        a_parent_that_cannot_execute_itself_is_refused,
        a_parent_in_another_root_is_refused,
        a_template_is_kept_while_nothing_changes,
        a_template_can_be_replaced,
        a_child_in_a_new_pid_namespace_knows_its_parent,
    ]
}

/// What a process sees of its confinement.
fn seen() -> String {
    let confinement: Result<Confinement, _> = Watch::begin().and_then(|watch| Ok(watch.read(true)?.0));
    format!("{confinement:?}, may make a directory: {:?}", make_directory())
}

/// A number of an error, or none.
fn make_directory() -> Option<i32> {
    let path = format!("/dev/shm/mp-core-confinement-{}", std::process::id());
    let made = fs::create_dir(&path);
    let _ = fs::remove_dir(&path);
    made.err().and_then(|error| error.raw_os_error())
}

fn done(result: libc::c_long) {
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
}

type Change = fn();

fn leave(namespace: CloneFlags) {
    unshare(namespace).unwrap();
}

fn set(option: libc::c_int, value: u64) {
    // SAFETY: numbers only.
    done(unsafe { libc::prctl(option, value, 0, 0, 0) }.into());
}

const CONFINEMENTS: [(&str, Change); 9] = [
    ("net", || leave(CloneFlags::CLONE_NEWNET)),
    ("mnt", || leave(CloneFlags::CLONE_NEWNS)),
    ("uts", || leave(CloneFlags::CLONE_NEWUTS)),
    ("ipc", || leave(CloneFlags::CLONE_NEWIPC)),
    ("cgroup", || leave(CloneFlags::CLONE_NEWCGROUP)),
    ("user", || leave(CloneFlags::CLONE_NEWUSER)),
    ("bounding set", || set(libc::PR_CAPBSET_DROP, 21)),
    ("securebits", || set(libc::PR_SET_SECUREBITS, 1)),
    ("seccomp", || filter(libc::SYS_mkdir, &[], Fate::Fails(libc::EPERM))),
];

const SCHEDULINGS: [(&str, Change); 6] = [
    ("policy", batch),
    ("I/O priority", idle_input_and_output),
    ("slack", || set(libc::PR_SET_TIMERSLACK, 77_777)),
    ("huge pages", || set(libc::PR_SET_THP_DISABLE, 1)),
    ("personality", without_random_addresses),
    ("oom", || fs::write("/proc/self/oom_score_adj", "500").unwrap()),
];

fn batch() {
    let parameters = libc::sched_param { sched_priority: 0 };
    // SAFETY: reads the value from this stack.
    done(unsafe { libc::sched_setscheduler(0, libc::SCHED_BATCH, &parameters) }.into());
}

fn idle_input_and_output() {
    // SAFETY: numbers only.
    done(unsafe { libc::syscall(libc::SYS_ioprio_set, 1, 0, (2 << 13) | 7) });
}

fn without_random_addresses() {
    // SAFETY: numbers only.
    assert!(unsafe { libc::personality(0x0004_0000) } >= 0);
}

/// Makes each change in a process of its own.
fn each(changes: &[(&str, Change)]) {
    if let Some(role) = role() {
        let (_, change) = changes.iter().find(|(name, _)| *name == role).unwrap();
        in_child(|| ());
        let (before, template) = (seen(), template_pid());
        change();
        assert_ne!(seen(), before, "{role}: nothing has changed");
        assert_eq!(in_child(seen), seen(), "{role}");
        assert_ne!(template_pid(), template, "{role}");
        return;
    }
    if !nix::unistd::geteuid().is_root() {
        not_here("needs root, to confine itself");
    }
    for (name, _) in changes {
        let output = parent_in_role(name).stderr(Stdio::piped()).output().unwrap();
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

fn a_child_is_as_confined_as_its_parent() {
    each(&CONFINEMENTS);
}

fn a_child_is_scheduled_as_its_parent() {
    each(&SCHEDULINGS);
}

/// Another filter does not change what `PR_GET_SECCOMP` says.
fn a_filter_behind_a_filter_is_seen() {
    filter(libc::SYS_acct, &[], Fate::Fails(libc::EPERM));
    assert_eq!(in_child(make_directory), None);
    filter(libc::SYS_mkdir, &[], Fate::Fails(libc::EPERM));
    assert_eq!(make_directory(), Some(libc::EPERM));
    assert_eq!(in_child(make_directory), Some(libc::EPERM));
}

/// The right to read files that are executed, and no other.
fn landlock() {
    let read_file: u64 = 1 << 2;
    // SAFETY: a value of eight bytes, with its size.
    let rules =
        unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, &raw const read_file, 8_usize, 0_u32) };
    if rules < 0 {
        not_here("needs Landlock");
    }
    set(libc::PR_SET_NO_NEW_PRIVS, 1);
    // SAFETY: numbers only.
    done(unsafe { libc::syscall(libc::SYS_landlock_restrict_self, rules, 0_u32) });
}

/// Nothing else tells of Landlock: `no_new_privs` was set before.
fn a_parent_that_cannot_execute_itself_is_refused() {
    set(libc::PR_SET_NO_NEW_PRIVS, 1);
    in_child(|| ());
    landlock();
    for method in [StartMethod::ForkServer, StartMethod::Spawn] {
        let refused = Process::new(make_directory, ()).method(method).start().unwrap_err();
        assert!(matches!(refused, StartError::NoProgram { .. }), "{refused:?}");
        assert!(refused.to_string().contains("Use Fork"), "{refused}");
    }
    let child =
        Process::new(|| fs::read("/etc/passwd").is_ok(), ()).method(StartMethod::Fork).start().unwrap();
    assert!(!child.join().unwrap());
}

/// Nothing is there, not even `/proc`.
fn a_parent_in_another_root_is_refused() {
    if !nix::unistd::geteuid().is_root() {
        not_here("needs root, to confine itself");
    }
    in_child(|| ());
    let root = std::env::temp_dir().join(format!("mp-core-root-{}", std::process::id()));
    fs::create_dir(&root).unwrap();
    std::env::set_current_dir(&root).unwrap();
    fs::remove_dir(&root).unwrap();
    std::os::unix::fs::chroot(".").unwrap();
    for method in [StartMethod::ForkServer, StartMethod::Spawn] {
        let refused = Process::new(make_directory, ()).method(method).start().unwrap_err();
        assert!(matches!(refused, StartError::NoProgram { .. }), "{refused:?}");
    }
    // A fork counts this process's threads, of which there is another one.
    let (end, ended) = std::sync::mpsc::channel::<()>();
    let other = std::thread::spawn(move || ended.recv().unwrap_err());
    let refused = Process::fork(|| ()).start().unwrap_err();
    assert!(refused.to_string().contains("mount -t proc"), "{refused}");
    drop(end);
    other.join().unwrap();
}

fn a_template_is_kept_while_nothing_changes() {
    in_child(|| ());
    let template = template_pid();
    assert!(template.is_some());
    for _ in 0..20 {
        in_child(|| ());
        std::thread::spawn(|| in_child(|| ())).join().unwrap();
    }
    assert_eq!(template_pid(), template);
}

fn a_template_can_be_replaced() {
    in_child(|| ());
    let template = template_pid();
    replace_forkserver();
    in_child(|| ());
    assert!(template_pid().is_some() && template_pid() != template);
}

/// Its parent is outside, and has no number there.
fn a_child_in_a_new_pid_namespace_knows_its_parent() {
    if !nix::unistd::geteuid().is_root() {
        not_here("needs root, to confine itself");
    }
    in_child(|| ());
    leave(CloneFlags::CLONE_NEWPID);
    let child = Process::new(std::process::id, ()).method(StartMethod::Spawn).start().unwrap();
    assert_eq!(child.join().unwrap(), 1);
}
