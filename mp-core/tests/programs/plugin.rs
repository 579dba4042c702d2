//! A shared library with all of mp-core in it, for `tests/hook.rs` to load, and for `tests/constructors.rs` to load,
//! preload and have as an auditor.
#![allow(unsafe_code, reason = "functions with a C name, and a constructor")]

use mp_core::{CodecError, Process, StartError, StartMethod};
use std::fs::File;
use std::os::fd::IntoRawFd;
use std::sync::atomic::{AtomicI32, Ordering};

/// A log as tracers keep one, in the folder that this variable names: opened by a constructor, and never closed.
const KEEP: &str = "MP_TEST_PLUGIN_KEEP";
static LOG: AtomicI32 = AtomicI32::new(-1);

/// The address of a function of the program's, which the constructor calls.
const CALL: &str = "MP_TEST_PLUGIN_CALL";

extern "C" fn construct() {
    if let Some(folder) = std::env::var_os(KEEP) {
        let name = format!("{}.log", std::process::id());
        let log = File::create(std::path::Path::new(&folder).join(name)).unwrap();
        // ORDERING: Relaxed, here and below: one thread.
        LOG.store(log.into_raw_fd(), Ordering::Relaxed);
    }
    if let Some(address) = std::env::var(CALL).ok().and_then(|text| text.parse::<usize>().ok()) {
        // SAFETY: the program that loads this has put the address of such a function there.
        let call = unsafe { std::mem::transmute::<usize, extern "C" fn()>(address) };
        call();
    }
}

#[used]
// SAFETY: the dynamic linker calls every entry of this section once.
#[unsafe(link_section = ".init_array")]
static CONSTRUCTOR: extern "C" fn() = construct;

/// The number of the log's descriptor.
// SAFETY: nothing else has this name.
#[unsafe(no_mangle)]
pub extern "C" fn mp_test_plugin_log() -> i32 {
    // ORDERING: as above.
    LOG.load(Ordering::Relaxed)
}

/// Makes an auditor of it, which the dynamic linker asks for its version.
// SAFETY: nothing else has this name.
#[unsafe(no_mangle)]
pub extern "C" fn la_version(version: u32) -> u32 {
    version
}

fn answer() -> u32 {
    42
}

/// Starts a child by the method of that number, and says what became of it: the child's value; 1 if the function
/// was refused, 2 if the program was, 3 for anything else.
// SAFETY: nothing else has this name.
#[unsafe(no_mangle)]
pub extern "C" fn mp_test_plugin_start(method: u32) -> u32 {
    let method = StartMethod::ALL[method as usize];
    match Process::new(answer, ()).method(method).start() {
        Ok(child) => child.join().unwrap_or(3),
        Err(StartError::Arguments(CodecError::OutsideImage(_))) => 1,
        Err(StartError::NotTheProgram) => 2,
        Err(_) => 3,
    }
}
