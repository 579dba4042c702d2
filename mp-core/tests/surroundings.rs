//! What a child finds around it is what the parent has at `start`, not what it had when the template began: directory,
//! environment, standard descriptors. `standing.rs` tries what it is and may do.
//!
//! Each case starts a child first, and so the template; then it changes the parent; then it asks a second child.
//!
//! | what                                     | Fork | Spawn | ForkServer | case                                 |
//! |------------------------------------------|------|-------|------------|--------------------------------------|
//! | current directory, also a removed one    | yes  | yes   | yes        | `directory_is_*`, `…_was_removed_*`  |
//! | … that may not be read                   | yes  | yes   | yes        | `directory_that_cannot_be_read_*`    |
//! | … that may not be searched               | yes  | yes   | no (1)     | `directory_that_is_closed_to_us`     |
//! | environment                              | yes  | yes   | yes        | `variables_*`                        |
//! | umask                                    | yes  | yes   | yes        | `umask_is_the_parents`               |
//! | standard output and error, moved, closed | yes  | yes   | yes        | `standard_*`                         |
//! | standard input, if it is asked for       | yes  | yes   | yes        | `standard_input_*`                   |
//! | a variable that is there twice: the first | yes | yes   | yes        | `a_variable_that_is_there_twice_*`   |
//! | arguments of the program                 | yes  | yes   | yes        | `arguments_are_the_parents`          |
//! | name of the main thread: the process's   | yes  | yes   | yes        | `the_main_thread_has_its_processs_name` |
//! | random bytes: each child's own           | yes  | yes   | yes        | `random_bytes_are_each_childs_own`   |
//! | keys of `RandomState`: each child's own  | (2)  | yes   | yes        | `hash_keys_are_each_childs_own`      |
//!
//! 1. A descriptor does not help into a directory without the right to search it: the child stays where the template
//!    is.
//! 2. Fork copies memory. A thread's keys are made by its first `RandomState`; if the parent's thread had one, all
//!    its forked children go on with the same keys, and nothing can be promised.
#![allow(unsafe_code)]

use mp_core::sys::fd::{pipe, put_at_standard, standard};
use mp_core::sys::process::random_bytes;
use mp_core::{Process, StartMethod};
use mp_testing::{in_child, not_here, parent_in_role, role, start};
use nix::sys::stat::{Mode, umask};
use nix::unistd::close;
use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

mp_testing::cases! {
    every_method: [
        directory_is_the_parents,
        directory_that_was_removed_is_the_parents,
        directory_that_cannot_be_read_is_the_parents,
        directory_that_is_closed_to_us,
        variables_added_changed_and_removed,
        variables_that_are_not_text,
        umask_is_the_parents,
        a_variable_that_is_there_twice_is_the_first,
        standard_input_is_empty,
        standard_input_is_handed_on_if_asked,
        standard_output_is_the_parents,
        standard_error_is_the_parents,
        standard_descriptors_that_are_closed_stay_closed,
        arguments_are_the_parents,
        the_main_thread_has_its_processs_name,
        random_bytes_are_each_childs_own,
        hash_keys_are_each_childs_own,
    ]
}

/// The first child, and with it the template: whatever follows comes after its beginning.
fn begin() {
    in_child(|| ());
}

fn method() -> StartMethod {
    mp_core::get_start_method().unwrap()
}

fn directory() -> PathBuf {
    fs::read_link("/proc/self/cwd").unwrap()
}

/// A new directory that any user may use.
fn new_directory(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("mp-surroundings-{}-{name}", std::process::id()));
    fs::create_dir(&path).unwrap();
    path
}

fn directory_is_the_parents() {
    begin();
    std::env::set_current_dir("/proc").unwrap();
    assert_eq!(in_child(directory), Path::new("/proc"));
}

fn directory_that_was_removed_is_the_parents() {
    begin();
    let path = new_directory("removed");
    std::env::set_current_dir(&path).unwrap();
    fs::remove_dir(&path).unwrap();
    assert_eq!(in_child(directory), directory());
    assert!(directory().to_str().unwrap().ends_with(" (deleted)"));
}

/// In a process without the rights of root: sits in a directory with these rights, and says where its child is.
fn sits_in_a_directory(mode: u32) -> (PathBuf, PathBuf) {
    if let Some(path) = role() {
        begin();
        std::env::set_current_dir(&path).unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        assert!(fs::read_dir(".").is_err(), "the rights of root are still here");
        println!("{}", in_child(directory).display());
        std::process::exit(0);
    }
    if !nix::unistd::geteuid().is_root() {
        not_here("needs root, to become another user");
    }
    let path = new_directory("closed");
    let nobody = 1_000_000 + std::process::id();
    std::os::unix::fs::chown(&path, Some(nobody), Some(nobody)).unwrap();
    let mut command = parent_in_role(path.to_str().unwrap());
    let output = command.uid(nobody).gid(nobody).current_dir("/").output().unwrap();
    fs::remove_dir(&path).unwrap();
    assert!(output.status.success());
    (path, String::from_utf8(output.stdout).unwrap().trim_end().into())
}

fn directory_that_cannot_be_read_is_the_parents() {
    let (parents, childs) = sits_in_a_directory(0o300);
    assert_eq!(childs, parents);
}

fn directory_that_is_closed_to_us() {
    let (parents, childs) = sits_in_a_directory(0o000);
    let templates = PathBuf::from("/");
    assert_eq!(childs, if method() == StartMethod::ForkServer { templates } else { parents });
}

fn set_variable(name: &str, value: Option<&OsStr>) {
    match value {
        // SAFETY: one thread, as in every case that starts processes.
        Some(value) => unsafe { std::env::set_var(name, value) },
        // SAFETY: as above.
        None => unsafe { std::env::remove_var(name) },
    }
}

fn variables() -> Vec<(OsString, OsString)> {
    let mut all: Vec<_> = std::env::vars_os().collect();
    all.sort();
    all
}

fn variables_added_changed_and_removed() {
    set_variable("MP_TEST_CHANGED", Some("before".as_ref()));
    set_variable("MP_TEST_REMOVED", Some("before".as_ref()));
    begin();
    set_variable("MP_TEST_ADDED", Some("after".as_ref()));
    set_variable("MP_TEST_EMPTY", Some("".as_ref()));
    set_variable("MP_TEST_CHANGED", Some("after".as_ref()));
    set_variable("MP_TEST_REMOVED", None);
    let childs = in_child(variables);
    assert_eq!(childs, variables());
    let value =
        |name: &str| childs.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_os_str());
    assert_eq!(value("MP_TEST_ADDED"), Some("after".as_ref()));
    assert_eq!(value("MP_TEST_EMPTY"), Some("".as_ref()));
    assert_eq!(value("MP_TEST_CHANGED"), Some("after".as_ref()));
    assert_eq!(value("MP_TEST_REMOVED"), None);
}

fn variables_that_are_not_text() {
    let value = OsStr::from_bytes(b"\xFF=\xFE\n");
    begin();
    set_variable("MP_TEST_BYTES", Some(value));
    assert_eq!(in_child(|| std::env::var_os("MP_TEST_BYTES")).as_deref(), Some(value));
}

fn umask_is_the_parents() {
    begin();
    umask(Mode::from_bits_truncate(0o027));
    assert_eq!(in_child(|| umask(Mode::empty()).bits()), 0o027);
}

/// Does something while `fd` is at the standard number; what was there is back afterwards, so that a failure is seen.
fn redirected<R>(number: i32, fd: OwnedFd, work: impl FnOnce() -> R) -> R {
    let before = standard(number).unwrap().try_clone_to_owned().unwrap();
    put_at_standard(fd.as_fd(), number).unwrap();
    drop(fd);
    let result = work();
    put_at_standard(before.as_fd(), number).unwrap();
    result
}

/// A pipe with a line in it, whose writer is gone.
fn one_line() -> OwnedFd {
    let (read, write) = pipe().unwrap();
    File::from(write).write_all(b"a line\n").unwrap();
    read
}

fn all_of_stdin() -> String {
    std::io::read_to_string(std::io::stdin()).unwrap()
}

/// As in Python: else the first child takes what its parent, or another child, was to read.
fn standard_input_is_empty() {
    begin();
    let input = one_line();
    let childs = redirected(0, input.try_clone().unwrap(), || in_child(all_of_stdin));
    assert_eq!(
        (childs.as_str(), std::io::read_to_string(File::from(input)).unwrap().as_str()),
        ("", "a line\n")
    );
    // A program that the child starts inherits that, too.
    let target = || fs::read_link("/proc/self/fd/0").unwrap();
    assert_eq!(in_child(target), Path::new("/dev/null"));
    let read = || Command::new("cat").output().unwrap();
    assert_eq!(redirected(0, one_line(), || in_child(move || read().stdout)), b"");
}

fn standard_input_is_handed_on_if_asked() {
    begin();
    let ask = || Process::new(all_of_stdin, ()).inherit_stdin().start().unwrap().join().unwrap();
    assert_eq!(redirected(0, one_line(), ask), "a line\n");
    let ask = || Process::fork(all_of_stdin).inherit_stdin().start().unwrap().join().unwrap();
    assert_eq!(redirected(0, one_line(), ask), "a line\n");
}

unsafe extern "C" {
    static mut environ: *const *const std::ffi::c_char;
}

/// The environment of a program that was executed with one name twice.
fn a_variable_that_is_there_twice_is_the_first() {
    let value = || std::env::var("MP_TWICE").unwrap();
    begin();
    let twice = [c"MP_TWICE=first".as_ptr(), c"MP_OTHER=".as_ptr(), c"MP_TWICE=second".as_ptr()];
    // SAFETY: read where the C library keeps it; this process has one thread.
    let mut at = unsafe { environ };
    let mut all = twice.to_vec();
    // SAFETY: a list that ends in null.
    while let Some(entry) = unsafe { at.as_ref() }.copied().filter(|entry| !entry.is_null()) {
        all.push(entry);
        // SAFETY: not yet at its end.
        at = unsafe { at.add(1) };
    }
    all.push(std::ptr::null());
    // SAFETY: one thread, and the list is never freed.
    unsafe { environ = all.leak().as_ptr() };
    assert_eq!(value(), "first");
    assert_eq!(in_child(value), "first");
}

/// What a child writes into the parent's standard output or error output. Only the child holds that pipe, so
/// the end of the child is its end.
fn written_to(number: i32, say: impl Fn() + Copy + Send + 'static) -> String {
    begin();
    let (read, write) = pipe().unwrap();
    redirected(number, write, || in_child(say));
    std::io::read_to_string(File::from(read)).unwrap()
}

fn standard_output_is_the_parents() {
    assert_eq!(written_to(1, || println!("said")), "said\n");
}

fn standard_error_is_the_parents() {
    assert_eq!(written_to(2, || eprintln!("said")), "said\n");
}

fn standard_open() -> [bool; 3] {
    [0, 1, 2].map(|number| standard(number).is_some())
}

/// Nothing of the library's takes their place either, here or there.
fn standard_descriptors_that_are_closed_stay_closed() {
    for template_first in [true, false] {
        for closed in [&[0][..], &[1], &[2], &[0, 1, 2]] {
            let role_name = format!("{template_first} {closed:?}");
            match role() {
                None => assert!(parent_in_role(&role_name).status().unwrap().success(), "{role_name}"),
                Some(role) if role == role_name => with_closed(template_first, closed),
                Some(_) => {}
            }
        }
    }
}

fn with_closed(template_first: bool, closed: &[i32]) {
    let before = [0, 1, 2].map(|number| standard(number).unwrap().try_clone_to_owned().unwrap());
    if template_first {
        begin();
    }
    closed.iter().for_each(|&number| close(number).unwrap());
    let expected = [0, 1, 2].map(|number| !closed.contains(&number));
    // A child's standard input is its own.
    let of_child = [true, expected[1], expected[2]];
    let first = start(standard_open);
    let here = standard_open();
    let second = start(standard_open);
    let childs = [first.join(), second.join()];
    (0..).zip(&before).for_each(|(number, fd)| put_at_standard(fd.as_fd(), number).unwrap());
    assert_eq!(here, expected);
    assert_eq!(childs.map(Result::unwrap), [of_child; 2]);
}

fn arguments() -> Vec<OsString> {
    std::env::args_os().collect()
}

fn arguments_are_the_parents() {
    assert!(arguments().len() > 1);
    assert_eq!(in_child(arguments), arguments());
}

/// The system's name for it; std's is `main` only where std itself has called `main`, or in a copy of that.
fn the_main_thread_has_its_processs_name() {
    let names = || {
        let system = fs::read_to_string("/proc/thread-self/comm").unwrap();
        (system.trim_end().to_owned(), std::thread::current().name().map(ToOwned::to_owned))
    };
    let child = Process::new(names, ()).name("reader-of-names-7").start().unwrap();
    let of_std = (method() == StartMethod::Fork).then(|| "main".to_owned());
    assert_eq!(child.join().unwrap(), ("reader-of-names".to_owned(), of_std));
}

const CHILDREN: usize = 8;

fn random_bytes_are_each_childs_own() {
    let bytes = || {
        let mut bytes = [0; 16];
        random_bytes(&mut bytes).unwrap();
        bytes
    };
    let all: HashSet<[u8; 16]> = (0..CHILDREN).map(|_| in_child(bytes)).chain([bytes()]).collect();
    assert_eq!(all.len(), CHILDREN + 1);
}

/// Under Fork only for a parent that has made no keys itself: see (2) above.
fn hash_keys_are_each_childs_own() {
    if method() != StartMethod::Fork {
        let _ = RandomState::new();
    }
    let hash = || RandomState::new().hash_one("constant");
    let childs: Vec<u64> = (0..CHILDREN).map(|_| in_child(hash)).collect();
    let different: HashSet<u64> = childs.iter().copied().chain([hash()]).collect();
    assert_eq!(different.len(), CHILDREN + 1, "{childs:?}");
}
