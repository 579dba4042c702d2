//! What the start-up hook trusts. A privileged program (set-uid, set-gid, file capabilities) trusts nothing in its
//! environment; any other only its own parent, by the socket that this has made.
//!
//! | the boot variable names                       | what runs | case                                                  |
//! |-----------------------------------------------|-----------|-------------------------------------------------------|
//! | a socket of its parent's, in a set-uid program | `main`   | `a_privileged_program_runs_no_function_of_its_callers` |
//! | nothing, a file, a stream, a pipe             | `main`    | `a_variable_that_names_no_boot_socket_is_ignored`     |
//! | a socket of another process than its parent   | `main`    | `a_socket_of_a_grandparent_is_ignored`                |
//! | a socket of its parent, another user          | `main`    | `a_socket_of_another_user_is_ignored`                 |
//! | a socket of its parent's, which has ended     | nothing   | `a_child_whose_parent_has_ended_runs_nothing`         |
//! | a socket, and the system does not say whose   | nothing   | `a_child_that_cannot_know_its_parent_runs_nothing`    |
//!
//! What such programs can start: `a_privileged_program_starts_by_fork`, `rights_given_up_are_not_had_back`,
//! `a_real_user_other_than_the_effective_one_is_refused`.
#![allow(unsafe_code, reason = "a call that is redirected, and calls that change the user")]

use mp_core::sys::fd::pipe;
use mp_core::sys::process::exit_now;
use mp_core::sys::socket::{packet_pair, stream_pair};
use mp_core::{JoinError, Process, StartError, StartMethod};
use mp_testing::{Fate, Folder, add_role, filter, not_here, parent_in_role, role};
use std::ffi::{CString, OsStr};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

mp_testing::cases! {
    plain: [
        a_privileged_program_runs_no_function_of_its_callers,
        a_privileged_program_starts_by_fork,
        rights_given_up_are_not_had_back,
        a_real_user_other_than_the_effective_one_is_refused,
        a_variable_that_names_no_boot_socket_is_ignored,
        a_socket_of_a_grandparent_is_ignored,
        a_socket_of_another_user_is_ignored,
        a_child_whose_parent_has_ended_runs_nothing,
        a_child_that_cannot_know_its_parent_runs_nothing,
    ]
}

/// What a caller redirects the library's re-execution to.
static REDIRECTED: OnceLock<CString> = OnceLock::new();

/// In the place of the C library's, as a preloaded library of the caller's would have it.
///
/// # Safety
/// As for the C library's.
// SAFETY: of the same type as the function that has this name.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn posix_spawn(
    pid: *mut libc::pid_t,
    path: *const libc::c_char,
    actions: *const libc::posix_spawn_file_actions_t,
    attributes: *const libc::posix_spawnattr_t,
    arguments: *const *mut libc::c_char,
    environment: *const *mut libc::c_char,
) -> libc::c_int {
    type Real = unsafe extern "C" fn(
        *mut libc::pid_t,
        *const libc::c_char,
        *const libc::posix_spawn_file_actions_t,
        *const libc::posix_spawnattr_t,
        *const *mut libc::c_char,
        *const *mut libc::c_char,
    ) -> libc::c_int;
    // SAFETY: looks a name up, which the C library has.
    let real = unsafe { libc::dlsym(libc::RTLD_NEXT, c"posix_spawn".as_ptr()) };
    // SAFETY: the function of that name is of this type.
    let real = unsafe { std::mem::transmute::<*mut libc::c_void, Real>(real) };
    let path = REDIRECTED.get().map_or(path, |other| other.as_ptr());
    // SAFETY: the caller's own arguments.
    unsafe { real(pid, path, actions, attributes, arguments, environment) }
}

fn needs_root() {
    if !nix::unistd::geteuid().is_root() {
        not_here("needs root, to make a privileged program");
    }
}

/// The number of an unused user.
fn nobody() -> u32 {
    1_000_000 + std::process::id()
}

/// A copy of this program that gives rights, in a folder of its own.
struct Copied {
    folder: Folder,
    file: PathBuf,
}

impl Copied {
    fn new(make_privileged: impl FnOnce(&Path)) -> Copied {
        let folder = Folder::new("privileged");
        fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let file = folder.path().join("program");
        mp_testing::copy_program("/proc/self/exe".as_ref(), &file);
        fs::set_permissions(&file, PermissionsExt::from_mode(0o755)).unwrap();
        make_privileged(&file);
        Copied { folder, file }
    }

    /// This case again, from the copy, in a role.
    fn in_role(&self, name: &str) -> Command {
        let mut command = Command::new(&self.file);
        add_role(&mut command, name).stdin(Stdio::null()).current_dir("/");
        command
    }
}

fn set_uid(file: &Path) {
    fs::set_permissions(file, PermissionsExt::from_mode(0o4755)).unwrap();
}

fn set_gid(file: &Path) {
    fs::set_permissions(file, PermissionsExt::from_mode(0o2755)).unwrap();
}

/// `cap_net_raw+ep`, as `setcap` writes it.
fn with_capability(file: &Path) {
    const VERSION_2_EFFECTIVE: u32 = 0x0200_0001;
    const NET_RAW: u32 = 1 << 13;
    let words = [VERSION_2_EFFECTIVE, NET_RAW, 0, 0, 0];
    let value: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let path = CString::new(file.as_os_str().as_bytes()).unwrap();
    let name = c"security.capability".as_ptr();
    // SAFETY: two strings that end in a zero, and a value with its length.
    let done = unsafe { libc::setxattr(path.as_ptr(), name, value.as_ptr().cast(), value.len(), 0) };
    assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
}

type Make = fn(&Path);
const WAYS: [(&str, Make); 3] = [("user", set_uid), ("group", set_gid), ("capabilities", with_capability)];

fn ids() -> [u32; 4] {
    [nix::unistd::getuid(), nix::unistd::geteuid()]
        .map(|user| user.as_raw())
        .into_iter()
        .chain([nix::unistd::getgid(), nix::unistd::getegid()].map(|group| group.as_raw()))
        .collect::<Vec<_>>()
        .try_into()
        .unwrap()
}

/// Main of the privileged program: it refuses its caller.
const MAIN: i32 = 3;

fn is_privileged() -> bool {
    mp_core::sys::privilege::is_privileged()
}

/// The caller runs a copy that it may read, and has its child be the privileged program.
fn a_privileged_program_runs_no_function_of_its_callers() {
    if let Some(target) = role() {
        if is_privileged() {
            assert_eq!(std::env::var_os("MP_RS_BOOT"), None);
            exit_now(MAIN);
        }
        REDIRECTED.set(CString::new(target).unwrap()).unwrap();
        // It may have ended before it could be told anything.
        let Ok(child) = Process::new(ids, ()).method(StartMethod::Spawn).start() else { return };
        let said = child.join();
        assert!(matches!(said, Err(JoinError::Exited(MAIN))), "the caller's function ran there: {said:?}");
        return;
    }
    needs_root();
    for (what, make) in WAYS {
        let privileged = Copied::new(make);
        // A readable copy of the same program, without its rights.
        let plain = privileged.folder.path().join("plain");
        mp_testing::copy_program(&privileged.file, &plain);
        fs::set_permissions(&plain, PermissionsExt::from_mode(0o755)).unwrap();
        let mut command = Command::new(&plain);
        add_role(&mut command, privileged.file.to_str().unwrap());
        let output = command.current_dir("/").uid(nobody()).gid(nobody()).output().unwrap();
        assert!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

fn answer() -> u32 {
    42
}

fn a_privileged_program_starts_by_fork() {
    if role().is_some() {
        assert!(is_privileged());
        assert_eq!(std::env::var_os("MP_START_METHOD"), None);
        assert_eq!(mp_core::get_start_method().unwrap(), StartMethod::ForkServer);
        for method in [StartMethod::ForkServer, StartMethod::Spawn] {
            let refused = Process::new(answer, ()).method(method).start().unwrap_err();
            assert!(matches!(refused, StartError::Privileged), "{refused}");
            assert!(refused.to_string().contains("use Fork"), "{refused}");
        }
        let child = Process::new(answer, ()).method(StartMethod::Fork).start().unwrap();
        assert_eq!(child.join().unwrap(), 42);
        return;
    }
    needs_root();
    for (what, make) in WAYS {
        let privileged = Copied::new(make);
        let mut command = privileged.in_role("privileged");
        command.env("MP_START_METHOD", "no such method").env("MP_RS_BOOT", "9");
        let output = command.uid(nobody()).gid(nobody()).output().unwrap();
        assert!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

fn refused_but_for_fork() {
    for method in [StartMethod::ForkServer, StartMethod::Spawn] {
        let refused = Process::new(answer, ()).method(method).start().unwrap_err();
        assert!(matches!(refused, StartError::Privileged), "{refused}");
    }
    let child = Process::new(answer, ()).method(StartMethod::Fork).start().unwrap();
    assert_eq!(child.join().unwrap(), 42);
}

/// Root runs a set-uid program, which gives up its rights: executed anew, it would have them again.
fn rights_given_up_are_not_had_back() {
    if role().is_some() {
        assert!(!is_privileged());
        let child = Process::new(answer, ()).method(StartMethod::Spawn).start().unwrap();
        assert_eq!(child.join().unwrap(), 42);
        let user = nix::unistd::Uid::from_raw(nobody());
        nix::unistd::setresuid(user, user, user).unwrap();
        refused_but_for_fork();
        return;
    }
    needs_root();
    let privileged = Copied::new(set_uid);
    let output = privileged.in_role("gives up").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn a_real_user_other_than_the_effective_one_is_refused() {
    if role().is_some() {
        nix::unistd::seteuid(nix::unistd::Uid::from_raw(nobody())).unwrap();
        refused_but_for_fork();
        nix::unistd::seteuid(nix::unistd::Uid::from_raw(0)).unwrap();
        let child = Process::new(answer, ()).method(StartMethod::Spawn).start().unwrap();
        assert_eq!(child.join().unwrap(), 42);
        return;
    }
    needs_root();
    let plain = Copied::new(|_| ());
    let output = plain.in_role("acts as another").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Of a program that a variable was left for: what `main` says.
const SAID: &str = "main runs\n";

/// In the role: says so, and that nothing is left of the variable.
fn main_runs() {
    assert_eq!(std::env::var_os("MP_RS_BOOT"), None);
    print!("{SAID}");
}

/// Has a descriptor go through exec.
fn keep_open(fd: &OwnedFd) -> String {
    // SAFETY: integers only.
    assert_eq!(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFD, 0) }, 0);
    fd.as_raw_fd().to_string()
}

fn said_by(command: &mut Command, value: impl AsRef<OsStr>) -> String {
    let output = command.env("MP_RS_BOOT", value).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn a_variable_that_names_no_boot_socket_is_ignored() {
    if role().is_some() {
        return main_runs();
    }
    let (file, streams, pipe) =
        (File::open("/dev/null").unwrap().into(), stream_pair().unwrap(), pipe().unwrap());
    let open = [&file, &streams.0, &pipe.0].map(keep_open);
    let text = ["900", "nonsense", "-1", "1", "", "3-bare", "99999999999"].map(str::to_owned);
    for value in text.iter().chain(&open) {
        assert_eq!(said_by(&mut parent_in_role("is no child"), value), SAID, "{value}");
    }
}

/// A shell in between: the socket's maker is not the parent of the program.
fn a_socket_of_a_grandparent_is_ignored() {
    if role().is_some() {
        return main_runs();
    }
    let (_ours, theirs) = packet_pair().unwrap();
    let number = keep_open(&theirs);
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", "\"$@\"; exit $?", "sh"]).arg(std::env::current_exe().unwrap());
    add_role(&mut shell, "has a stranger's socket");
    assert_eq!(said_by(&mut shell, number), SAID);
}

fn a_socket_of_another_user_is_ignored() {
    if role().is_some() {
        return main_runs();
    }
    needs_root();
    let (_ours, theirs) = packet_pair().unwrap();
    let number = keep_open(&theirs);
    let program = Copied::new(|_| ());
    assert_eq!(said_by(program.in_role("is another user").uid(nobody()).gid(nobody()), number), SAID);
}

/// Else a parent that is killed at that moment leaves its program running once more, as an orphan.
fn a_child_whose_parent_has_ended_runs_nothing() {
    match role().as_deref() {
        Some("child") => main_runs(),
        Some(_) => {
            let (_ours, theirs) = packet_pair().unwrap();
            let number = keep_open(&theirs);
            let mut shell = Command::new("/bin/sh");
            // It becomes the program when its parent has ended, and says how that ended.
            shell.args(["-c", "read word; (\"$@\"; echo exit $?)", "sh"]);
            add_role(shell.arg(std::env::current_exe().unwrap()), "child");
            #[allow(clippy::zombie_processes, reason = "it is to outlive this process")]
            let started = shell.env("MP_RS_BOOT", number).spawn();
            exit_now(i32::from(started.is_err()));
        }
        None => {
            let mut parent = parent_in_role("parent").spawn().unwrap();
            // Waiting closes it.
            let mut input = parent.stdin.take().unwrap();
            assert!(parent.wait().unwrap().success());
            input.write_all(b"go\n").unwrap();
            let mut said = String::new();
            parent.stdout.take().unwrap().read_to_string(&mut said).unwrap();
            assert_eq!(said, "exit 1\n");
        }
    }
}

/// Else it would start the program again, and so would that one, without end.
fn a_child_that_cannot_know_its_parent_runs_nothing() {
    if role().is_some() {
        return main_runs();
    }
    let (_ours, theirs) = packet_pair().unwrap();
    let number = keep_open(&theirs);
    let calls = [libc::SYS_fcntl, libc::SYS_getsockopt, libc::SYS_getppid, libc::SYS_geteuid];
    for (call, errno) in calls.iter().flat_map(|call| [(*call, libc::EPERM), (*call, libc::ENOSYS)]) {
        let mut confined = parent_in_role("is confined");
        let confine = move || {
            filter(call, &[], Fate::Fails(errno));
            Ok(())
        };
        // SAFETY: two system calls on what lies on the stack or was allocated by one thread.
        unsafe { confined.pre_exec(confine) };
        let output = confined.env("MP_RS_BOOT", &number).stderr(Stdio::piped()).output().unwrap();
        assert_eq!((output.status.code(), &*output.stdout), (Some(70), &b""[..]), "call {call}: {output:?}");
        let says = String::from_utf8(output.stderr).unwrap();
        assert!(says.contains("its boot descriptor cannot be examined"), "call {call}: {says}");
    }
}
