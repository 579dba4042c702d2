//! Starting a process: one interface, three start methods (Python: `popen_fork`, `popen_spawn_posix`,
//! `popen_forkserver`).
//!
//! | method       | the child is                          | what is sent                       | cost grows with |
//! |--------------|---------------------------------------|------------------------------------|-----------------|
//! | `ForkServer` | a fork of a clean template process    | code by offset, values by transfer | nothing         |
//! | `Spawn`      | this program, executed again          | the same                           | nothing         |
//! | `Fork`       | a fork of the caller                  | nothing: the memory is copied      | caller's memory |
//!
//! ```text
//!  parent                             template                       child
//!    │  Job + arguments + descriptors    │                             │
//!    ├──────────────────────────────────►│──────────── fork ──────────►│
//!    │◄──── pid, its pidfd ──────────────┤                             │
//!    │◄──────────────── Returned | Panicked | Failed ──────────────────┤ (then it exits)
//!    │◄──────────────── exit status, from the kernel ──────────────────┘
//!    │◄──── Ended(status) ───────────────┤ before Linux 6.15, where the template reaps and reports
//! ```
//! With `Spawn` and `Fork` the parent forks and reaps by itself; the lines between parent and child are the
//! same.
//!
//! A service is a process that serves a whole family and is not a child of the process that starts it.
//!
//! A child holds one end of its *outcome* socket, and reads the parent's *lifeline*: a pipe that is never
//! written to, and whose end means that the parent has ended.
//!
//! To add a start method: a variant of [`StartMethod`] in `method.rs`, a file beside `spawn.rs` with its
//! `start`, and an arm in `Process::start` of `process/builder.rs`.

pub(crate) mod boot;
mod copy;
pub(crate) mod fork;
#[doc(hidden)]
pub mod forkserver;
pub(crate) mod job;
pub(crate) mod lifeline;
mod method;
pub(crate) mod orphans;
mod process_state;
pub(crate) mod raw_fork;
#[doc(hidden)]
pub mod service;
pub(crate) mod spawn;
mod template;

#[doc(hidden)]
pub use copy::CopyTemplate;
pub use fork::ForkIsSafe;
pub use forkserver::{replace_forkserver, set_forkserver_preload};
pub use method::{
    StartMethod, force_start_method, get_all_start_methods, get_helper_method, get_start_method,
    set_start_method,
};

use crate::error::{CodecError, OsError};
use crate::sys::execute;
use crate::sys::process::Ended;
use crate::transfer::ParcelError;
use std::os::fd::OwnedFd;

/// A started process, as its parent holds it.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) pid: u32,
    /// Its pidfd: readable when the process has ended.
    pub(crate) pidfd: OwnedFd,
    /// The parent's end of the outcome socket.
    pub(crate) outcome: OwnedFd,
    /// The process that reaps it.
    pub(crate) reaper: Reaper,
}

/// The process that reaps a child, and so learns how it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reaper {
    /// This process.
    Us,
    /// The template. From Linux 6.15 on the kernel keeps the exit status for every holder of the pidfd; before, the
    /// template reports it on the outcome socket.
    Template,
}

/// The error of starting a process. No process runs, and nothing is left open.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// `Fork` would copy locks that other threads hold, and no thread of the child would release them.
    #[error(
        "fork refused: {threads} threads run in this process, and a child would inherit their locks as held for \
         ever: use ForkServer or Spawn, or fork before starting threads"
    )]
    Threads {
        /// Threads running in this process, the caller's included.
        threads: usize,
    },
    /// A guard of data in shared memory (of a `Value`, `Array`, `Mutex` or `RwLock`) is alive: a child that is a
    /// copy of this process would have its references, and not its lock.
    #[error(
        "fork refused: {guards} guards of data in shared memory are held by this thread, or were leaked by one that \
         has ended, and a child would have their references without their locks: drop the guards before the fork, or \
         use ForkServer or Spawn"
    )]
    Borrowed {
        /// Guards that the calling thread holds or has leaked, and those that threads leaked which have ended.
        guards: usize,
    },
    /// The child of `Fork` would be in another pid namespace than the shared objects that it inherits.
    #[error(
        "fork refused: after unshare(CLONE_NEWPID) or setns the child would be in another pid namespace than the \
         {objects} shared objects that it inherits, and their ids would mean other processes: fork before that call, \
         or drop the objects first and make new ones in the child"
    )]
    PidNamespace {
        /// Shared objects that this process has mapped.
        objects: usize,
    },
    /// The variable is set by which a child is told that it is one: children of this process would find two of it.
    #[error(
        "MP_RS_BOOT is set in this process's environment, so a child would run main again: remove the variable, which the \
         library sets for its children alone"
    )]
    HookMissing,
    /// This process was itself started as a child, or as the template, and is not one yet: a constructor of the program
    /// or of a library (`.init_array`, the crate `ctor`, a C++ global object) starts a process, or the function given
    /// to [`set_forkserver_preload`]. Each child runs the constructors once more, so each would start another one. In
    /// the program itself a constructor may start processes.
    #[error(
        "a process was started while this process, itself a child or a template, was still starting: constructors (and \
         a preload function) run in each child again, so this would never end; start processes from main"
    )]
    StillStarting,
    /// This library is part of a shared library that another program has loaded: executed anew, that program would
    /// run its `main`. `Fork` works.
    #[error(
        "mp-core was loaded as part of a shared library, so it cannot execute this program as a child: use Fork, or \
         link mp-core into the program itself"
    )]
    NotTheProgram,
    /// This program is linked statically, at a fixed address, and the section headers of its file were removed, or
    /// cannot be read: what it calls before `main` is not known, so a child could not call it. `Fork` works.
    #[error(
        "this program is linked statically at a fixed address, and its file's section headers are gone or cannot be \
         read, so a child could not find its constructors: keep the headers (plain strip does), link it as a static-pie \
         program, or use Fork"
    )]
    NoSectionHeaders,
    /// This program was started through the dynamic loader, and cannot be started in the same way once more: its own
    /// file is not where it was, or the loader's command line is not known. `Fork` works.
    #[error(
        "this program was started as an argument of the dynamic loader, and its own file is not where it was then (or \
         that command line cannot be read): start the program itself, leave its file in place, or use Fork"
    )]
    StartedByLoader,
    /// This program has rights that its caller has not (set-uid, set-gid, file capabilities), or would get some
    /// when it is executed anew. Its environment is not to be trusted then, and a new one would not know its
    /// parent. `Fork` works.
    #[error(
        "this program is privileged (set-uid, set-gid, file capabilities, or a real user or group other than the \
         effective one), so it is not executed again as a child: use Fork"
    )]
    Privileged,
    /// This process is ending: its exit has ended its children, and a thread that goes on meanwhile starts one more.
    /// The thread that exits may start processes: in its exit handlers.
    #[error(
        "this process is ending and has ended its children: start processes before that; from then on only the thread \
         that exits may, in its exit handlers"
    )]
    Ending,
    /// This program's own file cannot be executed from here, or `/proc`, by which it is found, cannot be read:
    /// there is none, or this process has confined itself (`chroot`, Landlock, a filter on system calls). `Fork`
    /// works.
    #[error(
        "this program cannot be executed again as a child ({source}): /proc is missing, or this process may no longer \
         execute its own file. Use Fork, or start children before the process confines itself"
    )]
    NoProgram {
        /// What the system says.
        #[source]
        source: OsError,
    },
    /// A name, or `MP_START_METHOD` in the environment, that is no start method's.
    #[error("no start method is called {0:?}: give fork, spawn or forkserver, also in MP_START_METHOD")]
    UnknownMethod(String),
    /// The function cannot be called in another process, or its arguments cannot be serialised.
    #[error("the function or the arguments of the process: {0}")]
    Arguments(#[from] CodecError),
    /// The child, or the template that was to fork it, was killed before it began its work.
    #[error("the process was killed while it started, before it began its work: start it again")]
    Died,
    /// The program, executed anew as a child or as the template, exited before it could be told what to do.
    #[error(
        "this program, executed again as a child, exited with code {code} before the child began its work: see what \
         it wrote to its standard error, and which constructor, of the program or of a library, calls exit"
    )]
    EndedEarly {
        /// The code that it exited with.
        code: i32,
    },
    /// The work could not be handed over.
    #[error(transparent)]
    Parcel(ParcelError),
    /// The function given to [`set_forkserver_preload`] panicked, or could not be called.
    #[error("the preload function failed in the template: {reason}")]
    Preload {
        /// What the panic said, and where.
        reason: String,
    },
    /// A preload function, or a constructor of this program, started threads in the template, which must have one.
    #[error(
        "{threads} threads run in the template, so it cannot fork safely: start no thread in the preload function or in \
         a constructor, or use Spawn"
    )]
    TemplateThreads {
        /// Threads running in the template.
        threads: usize,
    },
    /// The copy of this process that was to fork the child, with what it had captured, was killed.
    #[error(
        "the process that holds the captured data was killed, and the data is lost with it: capture it again, in a new \
         pool"
    )]
    CopyEnded,
    /// This process has given up rights or confined itself since it was copied; a child of the copy would not be
    /// confined.
    #[error(
        "this process has given up rights, or confined itself, since it was copied, and children of the copy would have \
         them still: do so first, and capture the data afterwards"
    )]
    CopyOutOfDate,
    /// The system refused: too many open files, too many processes, no memory.
    #[error(transparent)]
    Os(#[from] OsError),
}

impl StartError {
    /// The error of a file that cannot be read or executed to start this program again.
    fn of_execution(source: OsError) -> StartError {
        if execute::is_out_of_reach(&source) { StartError::NoProgram { source } } else { source.into() }
    }

    /// The error of a program that was executed again and ended before it received its work.
    fn ended_early(ended: Option<Ended>) -> StartError {
        match ended {
            Some(Ended::Exited(code)) => StartError::EndedEarly { code },
            Some(Ended::Signaled(_)) | None => StartError::Died,
        }
    }
}

impl From<ParcelError> for StartError {
    fn from(error: ParcelError) -> StartError {
        match error {
            ParcelError::Os(error) => StartError::Os(error),
            other => StartError::Parcel(other),
        }
    }
}
