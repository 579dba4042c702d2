//! Constructors that start processes, and what the constructors of libraries leave open.
//!
//! | what starts a process                                   | in the program | in its template and children        |
//! |---------------------------------------------------------|----------------|-------------------------------------|
//! | a constructor, before or after the hook                 | works          | refused: each would start another   |
//! | a preload function                                      |                | refused                             |
//! | a constructor of a library that is loaded after `main` began | works     | works                               |
//!
//! A constructor that did start one in each child would never come to an end, so each of those below counts how deep it
//! is.
#![allow(unsafe_code, reason = "constructors, and libraries loaded by hand")]

use mp_core::popen::set_forkserver_preload;
use mp_core::{Process, StartError, StartMethod, get_start_method};
use mp_testing::{Folder, parent_in_role, program, role};
use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Mutex;

mp_testing::cases! {
    plain: [
        a_preload_starts_no_process,
    ],
    prepared: [
        a_library_that_is_loaded_later_starts_processes after build,
        descriptors_of_a_preloaded_library_stay_open after build,
        descriptors_of_an_auditor_stay_open after build,
    ],
    every_method: [
        a_constructor_starts_processes_in_the_program_alone,
        one_that_is_called_before_the_hook_does_too,
        what_a_constructor_executes_has_no_boot_socket,
    ]
}

const PLUGIN: &str = "constructors.plugin";

fn build() {
    mp_testing::build(PLUGIN, "plugin", "libplugin.so", "dev", &[]);
}

fn answer() -> u32 {
    42
}

/// What became of each start: the child's value, or the error.
type Ends = Vec<Result<u32, String>>;

static AFTER: Mutex<Ends> = Mutex::new(Vec::new());
static BEFORE: Mutex<Ends> = Mutex::new(Vec::new());
static EXECUTED: Mutex<String> = Mutex::new(String::new());

/// With one of these in its environment a program's constructor starts processes by the method of that name.
const START_AFTER: &str = "MP_TEST_START_AFTER";
const START_BEFORE: &str = "MP_TEST_START_BEFORE";
/// How many constructors have started one another.
const DEPTH: &str = "MP_TEST_DEPTH";
/// With this a constructor executes a program that lists its descriptors.
const EXECUTE: &str = "MP_TEST_EXECUTE";

fn start_by(variable: &str) -> Ends {
    let Some(method) = std::env::var(variable).ok().and_then(|name| name.parse().ok()) else { return vec![] };
    let depth: u32 = std::env::var(DEPTH).map_or(0, |text| text.parse().unwrap());
    if depth > 2 {
        std::process::exit(99);
    }
    // SAFETY: one thread.
    unsafe { std::env::set_var(DEPTH, (depth + 1).to_string()) };
    let by_name = ended(Process::new(answer, ()).method(method).start());
    let by_copy = ended(Process::fork(answer).start());
    // SAFETY: as above.
    unsafe { std::env::set_var(DEPTH, depth.to_string()) };
    vec![by_name, by_copy]
}

fn ended(started: Result<mp_core::Child<u32>, StartError>) -> Result<u32, String> {
    started.map_err(|error| error.to_string())?.join().map_err(|error| error.to_string())
}

extern "C" fn construct() {
    *AFTER.lock().unwrap() = start_by(START_AFTER);
    if std::env::var_os(EXECUTE).is_some() {
        let listed = Command::new("/bin/ls").args(["-l", "/proc/self/fd"]).output().unwrap().stdout;
        *EXECUTED.lock().unwrap() = String::from_utf8(listed).unwrap();
    }
}

extern "C" fn construct_early() {
    *BEFORE.lock().unwrap() = start_by(START_BEFORE);
}

#[used]
// SAFETY: the dynamic linker, or the hook in its stead, calls every entry of this section once.
#[unsafe(link_section = ".init_array")]
static CONSTRUCTOR: extern "C" fn() = construct;

#[used]
// SAFETY: as above; a number lower than the hook's.
#[unsafe(link_section = ".init_array.00050")]
static EARLY: extern "C" fn() = construct_early;

fn after() -> Ends {
    AFTER.lock().unwrap().clone()
}

fn before() -> Ends {
    BEFORE.lock().unwrap().clone()
}

fn succeeds(mut command: Command) {
    let output = command.stdin(Stdio::null()).stderr(Stdio::piped()).output().unwrap();
    assert!(output.status.success(), "{:?}: {}", output.status, String::from_utf8_lossy(&output.stderr));
}

/// In a role: a program whose constructor has started processes. Else: has that be run.
fn starts_in_the_program_alone(variable: &str, found: impl Fn() -> Ends + Copy + Send + 'static) {
    if role().is_none() {
        let mut command = parent_in_role("has a constructor");
        command.env(variable, get_start_method().unwrap().name());
        return succeeds(command);
    }
    let here = found();
    assert_eq!(here, [Ok(42), Ok(42)]);
    for method in StartMethod::ALL {
        let there = Process::new(found, ()).method(method).start().unwrap().join().unwrap();
        if method == StartMethod::Fork {
            assert_eq!(there, here, "a copy");
            continue;
        }
        assert_eq!(there.len(), 2, "{method}: {there:?}");
        for end in there {
            let why = end.unwrap_err();
            assert!(why.contains("start processes from main"), "{method}: {why}");
        }
    }
}

fn a_constructor_starts_processes_in_the_program_alone() {
    starts_in_the_program_alone(START_AFTER, after);
}

fn one_that_is_called_before_the_hook_does_too() {
    starts_in_the_program_alone(START_BEFORE, before);
}

fn start_in_preload() {
    let all = StartMethod::ALL.map(|method| ended(Process::new(answer, ()).method(method).start()));
    *AFTER.lock().unwrap() = all.to_vec();
}

fn a_preload_starts_no_process() {
    set_forkserver_preload(start_in_preload).unwrap();
    let there = Process::new(after, ()).start().unwrap().join().unwrap();
    assert_eq!(there.len(), 3);
    for end in there {
        let why = end.unwrap_err();
        assert!(why.contains("preload") && why.contains("start processes from main"), "{why}");
    }
    // It is none any more in the child that starts one.
    assert_eq!(Process::new(start_a_child, ()).start().unwrap().join().unwrap(), 42);
}

fn start_a_child() -> u32 {
    Process::new(answer, ()).start().unwrap().join().unwrap()
}

extern "C" fn called_by_the_library() {
    *AFTER.lock().unwrap() =
        StartMethod::ALL.map(|method| ended(Process::new(answer, ()).method(method).start())).to_vec();
}

fn load_the_library() -> Ends {
    // SAFETY: one thread.
    unsafe {
        std::env::set_var("MP_TEST_PLUGIN_CALL", (called_by_the_library as *const () as usize).to_string())
    };
    let path = CString::new(program(PLUGIN).as_os_str().as_bytes()).unwrap();
    // SAFETY: a library of our own, whose constructor calls the function above.
    assert!(!unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW) }.is_null());
    // SAFETY: as above.
    unsafe { std::env::remove_var("MP_TEST_PLUGIN_CALL") };
    after()
}

fn a_library_that_is_loaded_later_starts_processes() {
    for method in StartMethod::ALL {
        let child = Process::new(load_the_library, ()).method(method).start().unwrap();
        assert_eq!(child.join().unwrap(), [Ok(42), Ok(42), Ok(42)], "in a child by {method}");
    }
    assert_eq!(load_the_library(), [Ok(42), Ok(42), Ok(42)]);
}

fn executed() -> String {
    EXECUTED.lock().unwrap().clone()
}

fn what_a_constructor_executes_has_no_boot_socket() {
    if role().is_none() {
        let mut command = parent_in_role("executes");
        command.env(EXECUTE, "");
        return succeeds(command);
    }
    let listed = Process::new(executed, ()).start().unwrap().join().unwrap();
    assert!(listed.contains("/proc/"), "{listed}");
    assert!(!listed.contains("socket:"), "{listed}");
}

/// This case in a role, with the library in it that keeps a log.
fn with_the_library(variable: &str) {
    let folder = Folder::new("mp-core-constructors");
    let mut command = parent_in_role(folder.path().to_str().unwrap());
    command.env(variable, program(PLUGIN)).env("MP_TEST_PLUGIN_KEEP", folder.path());
    succeeds(command);
    assert!(fs::read_dir(folder.path()).unwrap().count() > 0, "it kept a log");
}

/// The files that this process has open below a folder.
fn open_below(folder: String) -> Vec<PathBuf> {
    let open = fs::read_dir("/proc/self/fd").unwrap();
    let paths = open.filter_map(|entry| fs::read_link(entry.unwrap().path()).ok());
    paths.filter(|path| path.starts_with(&folder)).collect()
}

/// What the library's own function says the log's number is; `None` where the program does not see the library.
fn logs_number() -> Option<i32> {
    // SAFETY: looks a name up.
    let log = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"mp_test_plugin_log".as_ptr()) };
    // SAFETY: the function of that name is of this type.
    (!log.is_null())
        .then(|| unsafe { std::mem::transmute::<*mut libc::c_void, extern "C" fn() -> i32>(log) }())
}

fn log_of_a_child(folder: String) -> Option<PathBuf> {
    let number = logs_number()?;
    fs::read_link(format!("/proc/self/fd/{number}")).ok().filter(|path| path.starts_with(folder))
}

fn descriptors_of_a_preloaded_library_stay_open() {
    let Some(folder) = role() else { return with_the_library("LD_PRELOAD") };
    for method in StartMethod::ALL {
        // The one that this very process, or the one that it was forked from, has opened, under its number.
        let child = Process::new(log_of_a_child, (folder.clone(),)).method(method).start().unwrap();
        assert!(child.join().unwrap().is_some(), "{method}");
        has_one_log(method, &folder);
    }
}

fn descriptors_of_an_auditor_stay_open() {
    let Some(folder) = role() else { return with_the_library("LD_AUDIT") };
    assert_eq!(open_below(folder.clone()).len(), 1, "the auditor of this program");
    StartMethod::ALL.into_iter().for_each(|method| has_one_log(method, &folder));
}

fn has_one_log(method: StartMethod, folder: &str) {
    let child = Process::new(open_below, (folder.to_owned(),)).method(method).start().unwrap();
    let open = child.join().unwrap();
    assert_eq!(open.len(), 1, "{method}: its own, and not its parent's: {open:?}");
}
