//! The same small program in environments that an operator makes. Everything works there, or says why it does not:
//! see `docs/environments.md`.
//!
//! ```text
//!  case ──executes itself again, in the environment, with the role──► works()
//! ```
//! Where the program itself can enter the environment, the role does.

use mp::{
    Client, Event, Listener, Lock, Manager, Pool, Process, Queue, SharedMemory, StartMethod, Value, pipe,
};
use mp_testing::{Fate, Folder, add_role, copy_program, filter, not_here, own_mounts, parent_in_role, role};
use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, CpuSet, sched_setaffinity, unshare};
use nix::sys::personality::{self, Persona};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use nix::unistd::{Pid, execv, geteuid};
use std::ffi::{CString, OsStr, OsString};
use std::fs::{self, File};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

mp_testing::cases! {
    plain: [
        signals_are_ignored_from_the_start,
        signals_are_blocked_from_the_start,
        standard_descriptors_are_closed_from_the_start,
        descriptors_are_above_1024,
        the_environment_is_odd,
        the_programs_name_is_odd,
        the_programs_file_is_replaced,
        arguments_have_no_name_of_the_program,
        addresses_are_not_random,
        stacks_have_no_limit,
        one_cpu_and_the_lowest_priority,
        a_user_namespace_maps_no_user,
        calls_of_newer_kernels_are_missing,
        limits_cannot_be_read,
        threads_and_executions_are_refused,
        no_process_can_be_referred_to,
        no_folder_for_named_memory,
        the_temporary_directory_is_missing,
    ]
}

fn add(queue: Queue<Vec<u8>>, lock: Lock, sum: Value<u64>, started: Event) -> u64 {
    started.set();
    let _held = lock.acquire().unwrap();
    sum.update(|sum| *sum += 1);
    queue.put(vec![7; 20_000]).unwrap();
    3
}

fn double(x: u64) -> u64 {
    2 * x
}

/// Objects that need no process and no folder.
fn objects_work() {
    let (queue, lock) = (Queue::<Vec<u8>>::new().unwrap(), Lock::new().unwrap());
    drop(lock.acquire().unwrap());
    queue.put(vec![1; 300_000]).unwrap();
    assert_eq!(queue.get().unwrap().len(), 300_000);
    let (ours, theirs) = pipe::<u64, u64>().unwrap();
    ours.send(&5).unwrap();
    assert_eq!(theirs.recv().unwrap(), 5);
}

fn processes_work(methods: &[StartMethod]) {
    let (queue, lock) = (Queue::new().unwrap(), Lock::new().unwrap());
    let (sum, started) = (Value::new(0_u64).unwrap(), Event::new().unwrap());
    for (before, method) in methods.iter().enumerate() {
        let arguments = (queue.clone(), lock.clone(), sum.clone(), started.clone());
        let child = Process::new(add, arguments).method(*method).start().unwrap();
        started.wait();
        assert_eq!(child.join().unwrap(), 3, "{method}");
        assert_eq!((queue.get().unwrap().len(), sum.get()), (20_000, 1 + before as u64), "{method}");
        let daemon = Process::new(double, (4,)).daemon().method(*method).start().unwrap();
        assert_eq!(daemon.join().unwrap(), 8, "{method}");
    }
}

fn helpers_work() {
    let pool = Pool::new(2).unwrap();
    assert_eq!(pool.map(double, 0..4).unwrap(), [0, 2, 4, 6]);
    drop(pool);
    let manager = Manager::start().unwrap();
    let dict = manager.dict::<u32, u32>().unwrap();
    dict.insert(1, 2).unwrap();
    assert_eq!(dict.get(&1).unwrap(), Some(2));
}

fn named_memory_works() {
    let block = SharedMemory::new(100_000).unwrap();
    block.write(99_000, b"hello").unwrap();
    let mut read = [0; 5];
    SharedMemory::open(block.name()).unwrap().read(99_000, &mut read).unwrap();
    assert_eq!(&read, b"hello");
}

fn listeners_work() {
    let listener = Listener::new().unwrap();
    let address = listener.address().clone();
    let client = std::thread::spawn(move || Client::builder(address).connect::<u64, u64>().unwrap().send(&4));
    assert_eq!(listener.accept::<u64, u64>().unwrap().recv().unwrap(), 4);
    client.join().unwrap().unwrap();
}

fn works() {
    objects_work();
    processes_work(&StartMethod::ALL);
    helpers_work();
    named_memory_works();
    listeners_work();
}

/// This case again, in the role; the shell is told what to do before it becomes the program.
fn by_shell(before: &str) -> Command {
    let mut shell = Command::new("/bin/sh");
    shell.arg("-c").arg(before).arg(std::env::current_exe().unwrap());
    add_role(&mut shell, "in the environment");
    shell
}

fn succeeds(mut program: Command) {
    // Nothing of it is read: what it says is the case's own output.
    let ended = program.stdin(Stdio::null()).stdout(Stdio::inherit()).status().unwrap();
    assert!(ended.success(), "{program:?} ended with {ended}");
}

fn needs_root() {
    if !geteuid().is_root() {
        not_here("needs root");
    }
}

/// Becomes this program again, in its role and with all that execution keeps. (`Command` would clear the mask.)
fn execute_again() -> ! {
    let program = std::env::current_exe().unwrap().into_os_string();
    let words = std::iter::once(program).chain(std::env::args_os().skip(1));
    let words: Vec<CString> = words.map(|word| CString::new(word.into_vec()).unwrap()).collect();
    let error = execv(&words[0], &words).unwrap_err();
    panic!("execv: {error}")
}

fn signals_are_ignored_from_the_start() {
    match role() {
        None => succeeds(by_shell(
            "trap '' CHLD PIPE HUP INT QUIT TERM ALRM USR1 USR2 URG IO; exec \"$0\" \"$@\"",
        )),
        Some(_) => works(),
    }
}

fn signals_are_blocked_from_the_start() {
    let mut blocked = SigSet::empty();
    sigprocmask(SigmaskHow::SIG_BLOCK, None, Some(&mut blocked)).unwrap();
    match role() {
        None => succeeds(parent_in_role("blocks them")),
        Some(_) if blocked == SigSet::empty() => {
            sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), None).unwrap();
            execute_again()
        }
        Some(_) => works(),
    }
}

fn standard_descriptors_are_closed_from_the_start() {
    match role() {
        None => succeeds(by_shell("exec \"$0\" \"$@\" 0<&- 1>&- 2>&-")),
        Some(_) => works(),
    }
}

fn descriptors_are_above_1024() {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    if hard < 4000 {
        not_here("needs a hard limit of 4,000 descriptors");
    }
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
    let _open: Vec<File> = (0..1200).map(|_| File::open("/dev/null").unwrap()).collect();
    works();
}

fn the_environment_is_odd() {
    if role().is_some() {
        assert!(std::env::var_os("PATH").is_none() && std::env::vars_os().count() == 13);
        return works();
    }
    let mut program = Command::new("/proc/self/exe");
    add_role(program.env_clear(), "in the environment");
    let not_text = |bytes: &[u8]| OsString::from_vec(bytes.to_vec());
    program.env(not_text(b"\xff"), not_text(b"\xfe\n")).env("EMPTY", "");
    // Long, together nearly as much as a program may be given.
    for number in 0..10 {
        program.env(format!("LONG{number}"), "x".repeat(100_000));
    }
    succeeds(program);
}

/// A copy of this program, in a folder that it goes with.
struct Copied {
    folder: Folder,
}

impl Copied {
    fn new() -> Copied {
        let folder = Folder::new("environments");
        copy_program("/proc/self/exe".as_ref(), &folder.path().join("copy"));
        Copied { folder }
    }

    fn rename(&self, from: &OsStr, to: &OsStr) -> PathBuf {
        let (from, to) = (self.folder.path().join(from), self.folder.path().join(to));
        fs::rename(from, &to).unwrap();
        to
    }

    fn again(path: &Path) -> Command {
        let mut program = Command::new(path);
        add_role(&mut program, "in the environment");
        program
    }
}

fn the_programs_name_is_odd() {
    if role().is_some() {
        return works();
    }
    let copied = Copied::new();
    let mut now = OsString::from("copy");
    // White space, no text, and what would end a field in /proc.
    for name in [&b"a b\nc"[..], b"\xff\xfe (deleted)", b") Z 1 (", b"-c"] {
        let name = OsString::from_vec(name.to_vec());
        succeeds(Copied::again(&copied.rename(&now, &name)));
        now = name;
    }
}

fn the_programs_file_is_replaced() {
    if role().is_some() {
        let path = std::env::current_exe().unwrap();
        fs::remove_file(&path).unwrap();
        processes_work(&StartMethod::ALL);
        // Another program, as an update leaves it.
        copy_program("/bin/false".as_ref(), &path);
        return works();
    }
    let copied = Copied::new();
    succeeds(Copied::again(&copied.folder.path().join("copy")));
}

fn arguments_have_no_name_of_the_program() {
    if role().is_some() {
        assert_eq!(std::env::args_os().next().unwrap(), "");
        return works();
    }
    let mut program = parent_in_role("in the environment");
    program.arg0("");
    succeeds(program);
}

fn addresses_are_not_random() {
    let persona = personality::get().unwrap();
    match role() {
        None => succeeds(parent_in_role("sets it")),
        Some(_) if !persona.contains(Persona::ADDR_NO_RANDOMIZE) => {
            personality::set(persona | Persona::ADDR_NO_RANDOMIZE).unwrap();
            execute_again()
        }
        Some(_) => works(),
    }
}

/// With such stacks the kernel lays out addresses from below.
fn stacks_have_no_limit() {
    match role() {
        None => succeeds(by_shell("ulimit -s unlimited && exec \"$0\" \"$@\"")),
        Some(_) => works(),
    }
}

fn one_cpu_and_the_lowest_priority() {
    if role().is_none() {
        return succeeds(by_shell("exec nice -n 19 \"$0\" \"$@\""));
    }
    let mut one = CpuSet::new();
    let allowed = nix::sched::sched_getaffinity(Pid::from_raw(0)).unwrap();
    let first = (0..CpuSet::count()).find(|cpu| allowed.is_set(*cpu).unwrap()).unwrap();
    one.set(first).unwrap();
    sched_setaffinity(Pid::from_raw(0), &one).unwrap();
    works();
}

fn a_user_namespace_maps_no_user() {
    if let Err(Errno::EPERM | Errno::ENOSPC | Errno::ENOSYS) = unshare(CloneFlags::CLONE_NEWUSER) {
        not_here("this system allows no user namespaces");
    }
    assert_ne!(geteuid().as_raw(), 0);
    works();
}

/// As on Linux 5.4, and in sandboxes that have their own kernel.
fn calls_of_newer_kernels_are_missing() {
    const NEWER: &[i64] = &[
        libc::SYS_clone3,
        libc::SYS_close_range,
        libc::SYS_futex_waitv,
        libc::SYS_pidfd_getfd,
        libc::SYS_epoll_pwait2,
        libc::SYS_membarrier,
        libc::SYS_kcmp,
        libc::SYS_landlock_create_ruleset,
    ];
    for call in NEWER {
        filter(*call, &[], Fate::Fails(libc::ENOSYS));
    }
    works();
}

fn limits_cannot_be_read() {
    filter(libc::SYS_prlimit64, &[], Fate::Fails(libc::EPERM));
    works();
}

/// Filters that answer EPERM for clone3: the C library then makes no threads and executes nothing, and Fork works.
fn threads_and_executions_are_refused() {
    filter(libc::SYS_clone3, &[], Fate::Fails(libc::EPERM));
    objects_work();
    processes_work(&[StartMethod::Fork]);
    named_memory_works();
    for method in [StartMethod::Spawn, StartMethod::ForkServer] {
        let refused = Process::new(double, (1,)).method(method).start().unwrap_err().to_string();
        assert!(refused.contains("clone3") && refused.contains("Fork"), "{refused}");
    }
    let refused = Pool::new(2).map(drop).unwrap_err().to_string();
    assert!(refused.contains("clone3"), "{refused}");
}

fn no_process_can_be_referred_to() {
    for errno in [libc::EPERM, libc::ENOSYS] {
        // The last filter counts.
        filter(libc::SYS_pidfd_open, &[], Fate::Fails(errno));
        objects_work();
        named_memory_works();
        for method in StartMethod::ALL {
            let refused = Process::new(double, (1,)).method(method).start().unwrap_err().to_string();
            assert!(refused.starts_with("pidfd_open: ") && refused.contains("Linux 5.4"), "{refused}");
        }
    }
}

fn no_folder_for_named_memory() {
    needs_root();
    own_mounts();
    mount(Some("none"), "/dev/shm", Some("tmpfs"), MsFlags::MS_RDONLY, None::<&str>).unwrap();
    let refused = SharedMemory::new(10).unwrap_err().to_string();
    assert!(refused.contains("needs /dev/shm"), "{refused}");
    objects_work();
    processes_work(&StartMethod::ALL);
    helpers_work();
    mount(Some("none"), "/dev", Some("tmpfs"), MsFlags::empty(), None::<&str>).unwrap();
    let refused = SharedMemory::new(10).unwrap_err().to_string();
    assert!(refused.contains("needs /dev/shm"), "{refused}");
    objects_work();
    processes_work(&StartMethod::ALL);
    helpers_work();
    listeners_work();
}

fn the_temporary_directory_is_missing() {
    if role().is_none() {
        let mut program = parent_in_role("in the environment");
        program.env("TMPDIR", "/nowhere");
        return succeeds(program);
    }
    let refused = Listener::new().map(drop).unwrap_err().to_string();
    assert!(refused.contains("set TMPDIR"), "{refused}");
    objects_work();
    processes_work(&StartMethod::ALL);
    helpers_work();
    named_memory_works();
}
