//! Whatever message a client sends, the manager's server goes on.

use mp_manager::fuzzing::Dispatcher;
use std::sync::{LazyLock, Mutex};

static SERVER: LazyLock<Mutex<Dispatcher>> = LazyLock::new(|| Mutex::new(Dispatcher::start()));

/// The input is the bytes of a serial and a request, in which a number below 16 is one of the server's own objects.
pub(crate) fn check(input: &[u8]) {
    SERVER.lock().expect("another input has failed").check(input);
}
