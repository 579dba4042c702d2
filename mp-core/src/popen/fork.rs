//! Fork: the child continues at the call.
//!
//! Between `fork` and the child's first own line only this happens: the C library's handlers run, the library's
//! state is forgotten (`component.rs`), the child waits for its release, and its bootstrap runs. Locks of other
//! threads are no problem, since there are no other threads: beside threads the fork is refused, unless the
//! caller vouches for it ([`ForkIsSafe`]). The library's own locks are held over such a fork, so that no other
//! thread is inside one.
//!
//! ```text
//!  parent ──fork──► child HELD: reads its outcome socket
//!    │ opens the child's pidfd
//!    │── GO ──────► child RELEASED: calls the work
//! ```
//! A child that ran before its parent has the pidfd could end and be reaped by another part of the program (a
//! SIGCHLD handler, a reaper thread, the kernel if SIGCHLD is ignored). The start would then fail although the
//! work was done, and the number could belong to another process. With the release, an error of [`start`] means
//! that the work never began.
//!
//! # When a process dies
//! The parent, before the release: the socket or the lifeline ends, and the child exits without calling the
//! work. The child, before the release: [`StartError::Died`].
//!
//! # Safety
//! The one invariant: `fork` is called with one thread running, or by a caller that vouches for the others; and
//! with no guard of shared data alive in the calling thread, since the child would have its references without
//! its lock.
#![allow(unsafe_code)]

use super::job::ChildIdentity;
use super::{Reaper, StartError, Started, lifeline, raw_fork};
use crate::component::{self, Rank};
use crate::error::OsResult;
use crate::mem::{loans, mapping};
use crate::process::bootstrap::ChildBootstrap;
use crate::process::current;
use crate::sys::namespace;
use crate::sys::poll::{Interest, pidfd_open, poll};
use crate::sys::process::{Forked, fork, is_surely_single_threaded, threads_that_stay};
use crate::sys::socket::{self, Mode, packet_pair};
use crate::transfer::Message;
use crate::{finalize, sys};
use std::ffi::OsString;
use std::io::Write;
use std::marker::PhantomData;
use std::os::fd::{AsFd, OwnedFd};

/// The packet that releases a held child.
const GO: &[u8] = b"!";

pub(crate) fn start(
    identity: ChildIdentity,
    vouched: Option<ForkIsSafe>,
    work: impl FnOnce() -> Result<Message, String>,
) -> Result<Started, StartError> {
    let guards = loans();
    if guards > 0 {
        return Err(StartError::Borrowed { guards });
    }
    let alone = vouched.is_none();
    if alone && !is_surely_single_threaded() {
        let threads = threads_that_stay()?;
        if threads > 1 {
            return Err(StartError::Threads { threads });
        }
    }
    let objects = mapping::live();
    if objects > 0 && namespace::is_left_by_children() {
        return Err(StartError::PidNamespace { objects });
    }
    lifeline::prepare()?;
    let child = ChildBootstrap::of_fork(identity);
    let (outcome, theirs) = packet_pair()?;
    // Output that is buffered here would be printed by both processes.
    let _ = std::io::stdout().flush();
    // What other crates do about a fork (leave their parent's connections, say) they do beside other threads or not.
    let registered = alone.then(|| component::hold_up_to(Rank::Registered));
    let own_locks = (!alone).then(raw_fork::hold_own_locks);
    // SAFETY: one thread, as was just counted (it is this one, so no other can have been started since), or a
    // caller that vouches for the others.
    let forked = raw_fork::own(|| unsafe { fork() });
    drop((own_locks, registered));
    match forked? {
        Forked::Child => {
            let guard = NeverBack;
            drop(outcome);
            let lifeline = lifeline::after_fork();
            // So that other processes see the ends of the parent's resources.
            component::forget_all();
            current::after_fork();
            finalize::run_after_fork();
            std::mem::forget(guard);
            if !lifeline.as_ref().is_some_and(|lifeline| is_released(&theirs, lifeline)) {
                sys::process::exit_now(NOT_RELEASED);
            }
            child.run(lifeline, theirs, work)
        }
        Forked::Parent(pid) => {
            // Closed first, so that a descriptor is free for the pidfd.
            drop(theirs);
            match pidfd_open(pid) {
                Ok(pidfd) => release(Started { pid, pidfd, outcome, reaper: Reaper::Us }),
                Err(error) => {
                    // The child is held and was not reaped, so the number is still its own.
                    sys::process::end_child(pid);
                    Err(error.into())
                }
            }
        }
    }
}

/// The exit code of a child that was never released. No parent reads it.
const NOT_RELEASED: i32 = 1;

/// In the parent: lets the held child go on.
fn release(held: Started) -> Result<Started, StartError> {
    match socket::send(held.outcome.as_fd(), &[GO], &[], Mode::Now) {
        Ok(_) => Ok(held),
        // It was killed while it was held. Reaped here: no other code knows of it.
        Err(error) if socket::is_gone(&error) => {
            let _ = sys::process::reap(held.pidfd.as_fd());
            Err(StartError::Died)
        }
        Err(error) => {
            sys::process::end_child(held.pid);
            Err(error.into())
        }
    }
}

/// In the held child: waits for the release. `false`: the parent has ended, or given up.
fn is_released(theirs: &OwnedFd, lifeline: &OwnedFd) -> bool {
    // The lifeline too: a child that another thread forks meanwhile holds a copy of the parent's end of the socket,
    // so the socket alone would not end with the parent.
    let ends = [(theirs.as_fd(), Interest::Read), (lifeline.as_fd(), Interest::Hangup)];
    let mut parent_is_gone = false;
    loop {
        let mut word = [0; GO.len()];
        match socket::take(theirs.as_fd(), &mut word, Mode::Now) {
            Ok(bytes) => return bytes == GO.len(),
            Err(error) if socket::would_block(&error) && !parent_is_gone => {}
            Err(_) => return false,
        }
        // A release that was sent before the parent's end is read once more.
        parent_is_gone = poll(&ends, None).is_ok_and(|ready| ready.contains(&1));
    }
}

/// The promise that a fork is safe although other threads run: for [`ForkProcess::despite_threads`].
///
/// It holds in the thread that made it: no function that another process calls, or another thread, can have captured
/// it.
///
/// ```compile_fail,E0277
/// // SAFETY: it is not built.
/// let vouched = unsafe { mp_core::ForkIsSafe::vouch() };
/// mp_core::Process::new(move || drop(vouched), ());
/// ```
///
/// [`ForkProcess::despite_threads`]: crate::process::ForkProcess::despite_threads
#[derive(Debug, Clone, Copy)]
pub struct ForkIsSafe(PhantomData<*const ()>);

impl ForkIsSafe {
    /// Makes the promise.
    ///
    /// # Safety
    /// When the fork happens, no other thread holds a lock that the child will take. The child has copies of
    /// all locks, and no other thread that would release them: locks of the program, of libraries that it uses,
    /// and of the standard library (its output streams, its environment, its panic hook). The C library's
    /// allocator and streams, and this library's own locks, are safe.
    ///
    /// The child uses no reference from another thread's guard of data in shared memory (of a `Value`, `Array`,
    /// `Mutex` or `RwLock`). The fork is refused for guards of the calling thread; references that it got from
    /// other threads are not known.
    pub unsafe fn vouch() -> ForkIsSafe {
        ForkIsSafe(PhantomData)
    }
}

/// Ends a child that would unwind into its parent's frames.
struct NeverBack;

impl Drop for NeverBack {
    fn drop(&mut self) {
        sys::process::exit_now(70);
    }
}

/// Forks the template.
pub(super) fn fork_template() -> OsResult<Forked> {
    // SAFETY: the template starts no thread.
    raw_fork::own(|| unsafe { fork() })
}

/// Forks the process that becomes a service.
pub(super) fn fork_alone() -> OsResult<Forked> {
    // SAFETY: a program caught before `main`, in which no constructor of the program has run: there is one
    // thread.
    raw_fork::own(|| unsafe { fork() })
}

/// Gives a new child of the template its parent's environment.
pub(super) fn set_environment(wanted: &[(OsString, OsString)]) {
    // SAFETY: the template has one thread, and so has its fresh child.
    unsafe { sys::process::replace_environment(wanted) };
}
