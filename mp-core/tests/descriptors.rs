//! P11: which descriptors a child has, and how many a parent spends on it.
//!
//! Nothing is inherited that was not given, but under Fork, which copies the parent; and there too the library's own
//! ends of other children stay behind. So every end that a process waits for comes, whatever other processes live.
//!
//! `MP_CHILDREN` sets how many live at once (1,000), `MP_IN_TURN` how many in turn (300); both for each start method.

use mp_core::popen::forkserver::template_pid;
use mp_core::sys::fd::pipe;
use mp_core::sys::poll::{Interest, wait_for};
use mp_core::transfer::Handle;
use mp_core::word::Deadline;
use mp_core::{Child, JoinError, Process, StartError, StartMethod, active_children};
use mp_testing::{
    at_every_limit, descendants, limited, not_here, open_descriptors, parent_in_role, process_name, role,
};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::time::{Duration, Instant};

mp_testing::cases! {
    every_method: [
        a_child_has_what_it_was_given,
        a_child_of_a_child_has_what_it_was_given,
        what_exec_would_keep_stays_behind,
        no_end_of_another_child_is_there,
        an_end_comes_while_siblings_live,
        many_live_at_once,
        many_live_in_turn,
        a_start_without_descriptors_leaves_nothing,
        a_join_without_descriptors_can_be_made_again,
        a_start_without_processes_leaves_nothing,
    ]
}

fn method() -> StartMethod {
    mp_core::get_start_method().unwrap()
}

/// (number, where its link points), of an open descriptor.
type Open = (u32, String);

/// This process's, but for the one it looks with.
fn mine() -> Vec<Open> {
    let looking = format!("/proc/{}/fd", std::process::id());
    open_descriptors(std::process::id()).into_iter().filter(|(_, target)| *target != looking).collect()
}

fn target(fd: impl AsFd) -> String {
    let path = format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd());
    fs::read_link(path).unwrap().to_str().unwrap().to_owned()
}

/// Children that wait, and the one pipe that tells them to end: each takes a byte. An end would not come, since
/// forked children hold copies of both ends.
struct Waiting {
    ready: (File, Handle),
    go: (Handle, File),
}

impl Waiting {
    fn new() -> Waiting {
        let ((seen, ready), (go, tell)) = (pipe().unwrap(), pipe().unwrap());
        Waiting { ready: (seen.into(), Handle::new(ready)), go: (Handle::new(go), tell.into()) }
    }

    /// The arguments of [`wait`] and its like.
    fn for_child(&self) -> (Handle, Handle) {
        (self.ready.1.clone(), self.go.0.clone())
    }

    /// Starts `count` of them, and comes back when all run.
    fn start(&mut self, count: usize) -> Vec<Child<()>> {
        // Daemons, so that a case that fails leaves none behind.
        let start = |_| Process::new(wait, self.for_child()).daemon().start().unwrap();
        let children: Vec<_> = (0..count).map(start).collect();
        self.ready.0.read_exact(&mut vec![0; count]).unwrap();
        children
    }

    fn end(&mut self, children: Vec<Child<()>>) {
        self.go.1.write_all(&vec![0; children.len()]).unwrap();
        children.iter().for_each(|child| child.join().unwrap());
    }
}

fn wait(ready: Handle, go: Handle) {
    File::from(ready.into_fd().unwrap()).write_all(&[0]).unwrap();
    File::from(go.into_fd().unwrap()).read_exact(&mut [0]).unwrap();
}

fn nothing() {}

/// The first start opens the lifeline for good (and the template's two); gives the lifeline's target.
fn begin() -> String {
    let before = mine();
    Process::new(nothing, ()).start().unwrap().join().unwrap();
    active_children();
    let new = mine().into_iter().filter(|open| !before.contains(open));
    let mut pipes: Vec<String> = targets(new).filter(|target| target.starts_with("pipe:")).collect();
    pipes.dedup();
    assert_eq!(pipes.len(), 1, "{pipes:?}");
    pipes.remove(0)
}

fn targets(open: impl IntoIterator<Item = Open>) -> impl Iterator<Item = String> {
    open.into_iter().map(|(_, target)| target)
}

fn is_socket(target: &str) -> bool {
    target.starts_with("socket:")
}

/// A child's descriptors as it sees them itself.
fn list(_given: Vec<Handle>) -> Vec<String> {
    targets(mine()).collect()
}

/// Compares the whole list of a child's descriptors. If this process is a child itself, `above` is the lifeline of
/// its own parent.
fn compare(above: Option<String>) {
    let _zero = File::open("/dev/zero").unwrap();
    let (given, _kept) = pipe().unwrap();
    let given_target = target(&given);
    let before = mine();
    let lifeline = begin();
    let childs = Process::new(list, (vec![Handle::new(given)],)).start().unwrap().join().unwrap();
    let (sockets, mut others): (Vec<_>, Vec<_>) = childs.into_iter().partition(|target| is_socket(target));
    let mut expected: Vec<String> = if method() == StartMethod::Fork {
        // All that this program has opened, and nothing of what the library has opened here.
        targets(before).filter(|target| !is_socket(target) && Some(target) != above.as_ref()).collect()
    } else {
        let standard = ["/dev/null".to_owned(), target(std::io::stdout()), target(std::io::stderr())];
        standard.into_iter().chain([given_target]).collect()
    };
    // What is the library's: the parent's lifeline, and the socket for its outcome.
    expected.push(lifeline);
    expected.sort();
    others.sort();
    assert_eq!(others, expected);
    assert_eq!(sockets.len(), 1, "{sockets:?}");
    assert!(!targets(mine()).any(|target| target == sockets[0]), "it is its parent's");
}

fn a_child_has_what_it_was_given() {
    compare(None);
}

fn a_child_of_a_child_has_what_it_was_given() {
    let lifeline = begin();
    Process::new(compare, (Some(lifeline),)).start().unwrap().join().unwrap();
}

fn without_cloexec(path: &str) -> File {
    let file = File::open(path).unwrap();
    fcntl(&file, FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
    file
}

fn what_exec_would_keep_stays_behind() {
    let _early = without_cloexec("/dev/zero");
    begin();
    let _late = without_cloexec("/dev/full");
    let childs = Process::new(list, (vec![],)).start().unwrap().join().unwrap();
    for path in ["/dev/zero", "/dev/full"] {
        assert_eq!(
            childs.iter().any(|target| target == path),
            method() == StartMethod::Fork,
            "{path}: {childs:?}"
        );
    }
}

/// What the parent holds of its children, and of the template, is not in a child: no socket, and of pipes no end that
/// can be written to, whose reader would wait for it.
fn no_end_of_another_child_is_there() {
    // For example those that the caller of the tests has passed on.
    let mut known: Vec<String> = targets(mine()).collect();
    let mut waiting = Waiting::new();
    known.extend([target(&waiting.ready.1), target(&waiting.go.0)]);
    let mut others = waiting.start(2);
    for other in StartMethod::ALL {
        let (ready, go) = waiting.for_child();
        others.push(Process::new(wait, (ready, go)).daemon().method(other).start().unwrap());
    }
    waiting.ready.0.read_exact(&mut [0; 3]).unwrap();
    let ours: Vec<String> = targets(mine()).collect();
    let child = waiting.start(1).remove(0);
    let childs = open_descriptors(child.pid());
    let sockets: Vec<&Open> = childs.iter().filter(|(_, target)| is_socket(target)).collect();
    assert!(matches!(sockets[..], [(_, target)] if !ours.contains(target)), "{sockets:?}");
    let may_write = |number: u32| {
        let link = fs::symlink_metadata(format!("/proc/{}/fd/{number}", child.pid())).unwrap();
        link.permissions().mode() & 0o200 != 0
    };
    for (number, target) in
        childs.iter().filter(|(_, target)| target.starts_with("pipe:") && !known.contains(target))
    {
        assert!(!may_write(*number), "{number}: {target}");
    }
    others.push(child);
    waiting.end(others);
}

fn hold(_end: Handle, ready: Handle, go: Handle) {
    wait(ready, go);
}

fn an_end_comes_while_siblings_live() {
    let (mut siblings, mut holder) = (Waiting::new(), Waiting::new());
    // A forked sibling would have copies of a pipe that is there before it.
    let early = (method() != StartMethod::Fork).then(|| pipe().unwrap());
    let mut all = siblings.start(1);
    let (read, write) = early.unwrap_or_else(|| pipe().unwrap());
    let (ready, go) = holder.for_child();
    let child = Process::new(hold, (Handle::new(write), ready, go)).daemon().start().unwrap();
    holder.ready.0.read_exact(&mut [0]).unwrap();
    all.extend(siblings.start(2));
    let ended = || wait_for(read.as_fd(), Interest::Hangup, Deadline::after(Duration::ZERO)).unwrap();
    assert!(!ended());
    holder.end(vec![child]);
    assert!(ended());
    assert!(all.iter().all(Child::is_alive));
    siblings.end(all);
}

fn number(variable: &str, default: usize) -> usize {
    std::env::var(variable).map_or(default, |number| number.parse().unwrap())
}

/// Children, also of the template, that have ended and were not reaped.
fn zombies() -> usize {
    descendants(std::process::id()).iter().filter(|(_, state)| *state == 'Z').count()
}

/// What the template has open, if there is one, when no child lives: of sockets the one to its parent. One that reports
/// ends by itself, and so hears of them by a signal, has that of the next spare too, and closes a child's just after it
/// has reported its end.
fn templates() -> Vec<String> {
    let Some(template) = template_pid() else { return Vec::new() };
    loop {
        let (sockets, others): (Vec<_>, Vec<_>) =
            targets(open_descriptors(template)).partition(|target| is_socket(target));
        let reports = others.iter().any(|target| target.contains("signalfd"));
        // It has a child's pidfd only until that is sent.
        let forking = others.iter().any(|target| target.contains("pidfd"));
        if !forking && sockets.len() == 1 + usize::from(reports) {
            return others;
        }
        std::thread::yield_now();
    }
}

/// What this process has open. One socket is as good as another: that of the next spare changes with each start.
fn kinds() -> Vec<String> {
    let kind = |target: String| if is_socket(&target) { "socket".to_owned() } else { target };
    let mut kinds: Vec<String> = targets(mine()).map(kind).collect();
    kinds.sort();
    kinds
}

fn many_live_at_once() {
    // Interrupted a thousand times a second each, a thousand processes come to nothing else.
    let usual = if std::env::var_os("MP_INTERRUPTS").is_some() { 50 } else { 1000 };
    let count = number("MP_CHILDREN", usual);
    let most = getrlimit(Resource::RLIMIT_NOFILE).unwrap().1;
    // After the template's beginning: it must not be bound by what it began with.
    setrlimit(Resource::RLIMIT_NOFILE, 256, most).unwrap();
    begin();
    setrlimit(Resource::RLIMIT_NOFILE, most, most).unwrap();
    let mut waiting = Waiting::new();
    let (before, templates_before) = (kinds(), templates());
    let began = Instant::now();
    let mut children = waiting.start(10);
    let each = (mine().len() - before.len()) / 10;
    assert!(each <= 2, "{each} descriptors for each child");
    children.extend(waiting.start(count - 10));
    let started = began.elapsed();
    assert_eq!(mine().len(), before.len() + each * count);
    assert_eq!(active_children().len(), count);
    let began = Instant::now();
    waiting.end(children);
    eprintln!("{} at once: {count} started in {started:?}, ended in {:?}", method(), began.elapsed());
    assert!(active_children().is_empty());
    assert_eq!(kinds(), before);
    assert_eq!(zombies(), 0);
    assert_eq!(templates(), templates_before);
}

fn many_live_in_turn() {
    let count = number("MP_IN_TURN", 300);
    begin();
    let (before, templates_before) = (kinds(), templates());
    let began = Instant::now();
    for _ in 0..count {
        Process::new(nothing, ()).start().unwrap().join().unwrap();
    }
    eprintln!("{} in turn: {count} in {:?}", method(), began.elapsed());
    active_children();
    assert_eq!(kinds(), before);
    assert_eq!(zombies(), 0);
    assert_eq!(templates(), templates_before);
}

fn touch(effect: Handle) {
    File::from(effect.into_fd().unwrap()).write_all(b"!").unwrap();
}

/// A start under a limit either works, and the child's work is done, or is refused with this error, and then nothing
/// of the child's work is done, ever: all its copies of the pipe are closed. Gives whether it worked.
fn start_under(which: Resource, soft: u64, errno: i32) -> bool {
    let (mut seen, effect) = pipe().map(|(read, write)| (File::from(read), Handle::new(write))).unwrap();
    let process = Process::new(touch, (effect,));
    let result = limited(which, soft, || process.start());
    let worked = match &result {
        Ok(child) => {
            child.join().unwrap_or_else(|error| panic!("{which:?} {soft}: {error}"));
            true
        }
        Err(StartError::Os(error)) if error.errno() == Some(errno) => false,
        // With a limit of 3 there is no number to copy to, which the kernel calls an invalid argument.
        Err(StartError::Os(error)) if error.errno() == Some(libc::EINVAL) && soft == 3 => false,
        Err(other) => panic!("{which:?} {soft}: {other:?}"),
    };
    drop(result);
    let mut done = Vec::new();
    seen.read_to_end(&mut done).unwrap();
    assert_eq!(done.len(), usize::from(worked), "{which:?} {soft}");
    worked
}

/// Besides what `before` says there may be the library's for good: the lifeline's two, the template's pidfd and socket,
/// the four by which this process sees whether it is confined as it was, and the pre-forked child's socket, if one
/// could be requested.
fn nothing_is_left(before: &[Open]) {
    active_children();
    let template = template_pid();
    let expected = if template.is_some() { vec![8, 9] } else { vec![0, 2] };
    let now = mine();
    assert!(expected.contains(&(now.len() - before.len())), "{now:?}");
    // A fresh template, and a fresh spare, are still called after what they come from.
    let is_templates = |pid: &u32| {
        Some(*pid) == template || ["mp-template", "mp-spare"].contains(&process_name(*pid).as_str())
    };
    // A pre-forked child that could not be taken reads the end of its socket, and goes by itself.
    loop {
        let left = descendants(std::process::id());
        if left.iter().all(|(pid, _)| is_templates(pid)) && left.len() <= 2 {
            return;
        }
        std::thread::yield_now();
    }
}

/// Fault row 8.
fn a_start_without_descriptors_leaves_nothing() {
    at_every_limit(|soft| {
        let before = mine();
        // Without a template, and with one.
        for _ in 0..2 {
            let worked = start_under(Resource::RLIMIT_NOFILE, soft, libc::EMFILE);
            print!("{}", if worked { "worked " } else { "refused " });
            nothing_is_left(&before);
            Process::new(nothing, ()).start().unwrap().join().unwrap();
            nothing_is_left(&before);
        }
    });
}

/// In a process of a user that has no other: root is not bound by this limit, and others' processes count.
fn a_start_without_processes_leaves_nothing() {
    if role().is_some() {
        let before = mine();
        for _ in 0..2 {
            let mut waiting = Waiting::new();
            templates();
            let here = 1 + descendants(std::process::id()).len() as u64;
            // The pre-forked child that a template has made before needs no new process.
            let ahead = usize::from(template_pid().is_some());
            let children = limited(Resource::RLIMIT_NPROC, here, || waiting.start(ahead));
            assert!(!start_under(Resource::RLIMIT_NPROC, here, libc::EAGAIN), "it is not bound");
            waiting.end(children);
            drop(waiting);
            nothing_is_left(&before);
            assert!(start_under(Resource::RLIMIT_NPROC, here + 10, libc::EAGAIN));
            nothing_is_left(&before);
        }
        return;
    }
    if !nix::unistd::geteuid().is_root() {
        not_here("needs root, to become another user");
    }
    let user = 1_000_000 + std::process::id();
    let mut parent = parent_in_role("is bound by the limit");
    assert!(parent.uid(user).gid(user).status().unwrap().success());
}

fn many_handles(count: usize) -> Vec<Handle> {
    let (read, _) = pipe().unwrap();
    (0..count).map(|_| Handle::new(read.try_clone().unwrap())).collect()
}

/// What came with descriptors waits until there are some.
fn a_join_without_descriptors_can_be_made_again() {
    let short = Process::new(|| 7, ()).start().unwrap();
    let long = Process::new(|| vec![5_u8; 1 << 20], ()).start().unwrap();
    let handles = [1, 300].map(|count| Process::new(many_handles, (count,)).start().unwrap());
    for sentinel in [short.sentinel(), long.sentinel(), handles[0].sentinel(), handles[1].sentinel()] {
        assert!(wait_for(sentinel, Interest::Read, None).unwrap());
    }
    let is_refusal =
        |error: JoinError| matches!(error, JoinError::Os(error) if error.errno() == Some(libc::EMFILE));
    // Standard descriptors have the numbers below, so there is none.
    limited(Resource::RLIMIT_NOFILE, 3, || {
        assert_eq!(short.join().unwrap(), 7);
        assert!(long.join().is_err_and(is_refusal));
        assert!(handles.iter().all(|child| child.join().is_err_and(is_refusal)));
        assert!(!long.is_alive() && long.exitcode() == Some(0));
    });
    // Room for those of the first packet, and not for all.
    let free = File::open("/dev/null").unwrap().as_raw_fd() as u64;
    limited(Resource::RLIMIT_NOFILE, free + 260, || {
        assert!(handles[1].join().is_err_and(is_refusal));
    });
    assert_eq!(long.join().unwrap(), vec![5; 1 << 20]);
    let counts = handles.map(|child| child.join().unwrap().len());
    assert_eq!(counts, [1, 300]);
}
