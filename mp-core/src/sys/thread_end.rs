//! The very end of a thread: after all its locals are gone, and before the kernel walks its robust list.
//!
//! A local with a destructor runs too early: locals that are dropped after it may hold guards. The C library's own keys
//! come after Rust's locals where it separates the two. Where it does not, a key that sets itself again is called once
//! more, after all others.
//!
//! # Safety
//! The one invariant: a key's destructor is called with what was set for it, which is a number here and never
//! followed.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::ptr;
use std::sync::OnceLock;

static KEY: OnceLock<Option<libc::pthread_key_t>> = OnceLock::new();
static HANDLER: OnceLock<fn()> = OnceLock::new();

const FIRST: *mut c_void = ptr::without_provenance_mut(1);
const LAST: *mut c_void = ptr::without_provenance_mut(2);

/// Has `handler`, one and the same always, called at the end of the calling thread. `false`: it will not be, since
/// there are no keys left.
pub(super) fn watch(handler: fn()) -> bool {
    HANDLER.get_or_init(|| handler);
    let key = KEY.get_or_init(|| {
        let mut key = 0;
        // SAFETY: writes the key to this stack; the destructor lives as long as the program.
        let failed = unsafe { libc::pthread_key_create(&mut key, Some(ended)) } != 0;
        (!failed).then_some(key)
    });
    key.is_some_and(|key| set(key, FIRST))
}

fn set(key: libc::pthread_key_t, pass: *const c_void) -> bool {
    // SAFETY: a key that was made above, and a number.
    unsafe { libc::pthread_setspecific(key, pass) == 0 }
}

unsafe extern "C" fn ended(pass: *mut c_void) {
    let again = pass == FIRST && KEY.get().copied().flatten().is_some_and(|key| set(key, LAST));
    if !again {
        HANDLER.get().into_iter().for_each(|handler| handler());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::sync::atomic::{AtomicU32, Ordering};

    static DROPPED: AtomicU32 = AtomicU32::new(0);
    static SEEN: AtomicU32 = AtomicU32::new(0);

    struct Dropped;
    impl Drop for Dropped {
        fn drop(&mut self) {
            // ORDERING: SeqCst: a test.
            DROPPED.fetch_add(1, Ordering::SeqCst);
        }
    }

    thread_local! {
        static EARLIER: Cell<Option<Dropped>> = const { Cell::new(None) };
        static LATER: Cell<Option<Dropped>> = const { Cell::new(None) };
    }

    #[test]
    fn it_comes_after_the_threads_locals() {
        let key = |_: ()| {
            let mut key = 0;
            // SAFETY: as in `watch`.
            assert_eq!(unsafe { libc::pthread_key_create(&mut key, Some(note)) }, 0);
            key
        };
        unsafe extern "C" fn note(_: *mut c_void) {
            // ORDERING: SeqCst, twice: a test.
            SEEN.store(DROPPED.load(Ordering::SeqCst), Ordering::SeqCst);
        }
        let key = key(());
        std::thread::spawn(move || {
            EARLIER.set(Some(Dropped));
            assert!(set(key, FIRST));
            LATER.set(Some(Dropped));
        })
        .join()
        .unwrap();
        // ORDERING: SeqCst: a test. A join waits for the locals; the key is called before the thread is gone.
        while SEEN.load(Ordering::SeqCst) != 2 {
            std::thread::yield_now();
        }
    }
}
