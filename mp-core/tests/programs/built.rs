//! A program that `tests/builds.rs` builds and starts in forms of its own. It starts a child by each method, does what
//! it is told to do to itself, starts them again, and says what became of each.
#![allow(unsafe_code, reason = "a constructor, and a descriptor that an exec keeps")]

use mp_core::process::args_os;
use mp_core::{Process, StartMethod, replace_forkserver};
use std::ffi::OsString;
use std::fs::{self, File};
use std::os::fd::IntoRawFd;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::SystemTime;

/// What a test changes in a copy of the file, for another build.
const MARK: &str = "mp-test-build-0";

static CONSTRUCTED: AtomicU32 = AtomicU32::new(0);

extern "C" fn construct() {
    // ORDERING: Relaxed, here and below: one thread.
    CONSTRUCTED.fetch_add(1, Ordering::Relaxed);
}

#[used]
// SAFETY: called once, by the dynamic linker, the C library or the hook.
#[unsafe(link_section = ".init_array")]
static CONSTRUCTOR: extern "C" fn() = construct;

fn facts() -> (Vec<OsString>, u32, u128) {
    (args_os(), CONSTRUCTED.load(Ordering::Relaxed), mp_core::sys::image::build())
}

/// A file that this program has open, and hands on to programs that it executes, but not to children.
const HELD: &str = "/dev/zero";

fn held() -> usize {
    let open = fs::read_dir("/proc/self/fd").unwrap();
    open.filter(|entry| {
        fs::read_link(entry.as_ref().unwrap().path()).is_ok_and(|path| path == Path::new(HELD))
    })
    .count()
}

fn hold() {
    let file = File::open(HELD).unwrap();
    // SAFETY: a number that is open.
    assert_eq!(unsafe { libc::fcntl(file.into_raw_fd(), libc::F_SETFD, 0) }, 0);
    assert_eq!(held(), 1);
}

fn start_all() {
    let here = facts();
    for method in StartMethod::ALL {
        match Process::new(|| (facts(), held()), ()).method(method).start().map(|child| child.join()) {
            Ok(Ok((_, held))) if held != usize::from(method == StartMethod::Fork) => {
                println!("{method}: has {held} of its parent's descriptors");
            }
            Ok(Ok((there, _))) if there == here => println!("{method}: as here"),
            Ok(Ok((there, _))) => println!("{method}: {there:?} and not {here:?}"),
            Ok(Err(error)) => println!("{method}: ended: {error}"),
            Err(error) => println!("{method}: refused: {error}"),
        }
    }
}

fn main() {
    println!("{} {:032x}", std::hint::black_box(MARK), mp_core::sys::image::build());
    hold();
    start_all();
    let file = std::env::var("MP_TEST_FILE").unwrap_or_default();
    match std::env::var("MP_TEST_BETWEEN").unwrap_or_default().as_str() {
        "touch" => File::options()
            .write(false)
            .read(true)
            .open(&file)
            .unwrap()
            .set_modified(SystemTime::UNIX_EPOCH)
            .unwrap(),
        "leave" => std::env::set_current_dir("/").unwrap(),
        "remove" => fs::remove_file(&file).unwrap(),
        _ => return,
    }
    replace_forkserver();
    start_all();
}
