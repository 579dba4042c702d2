//! Bar: a thread that shows how far some work is, until it is dropped.
//!
//! ```text
//!   sleep until so many tasks have ended, or a worker has died ──► show ──┐
//!     ▲───────────────────────────────────────────────────────────────────┘ dropped, or all work has ended ──► last
//! ```
//!
//! It sleeps until there is something to show: a step of the bar, or of the lines. So it costs a few wakes, however
//! many tasks there are, and it is between no task and its result.

use super::handle::{Progress, Shared};
use super::lines::Lines;
use super::tally::Tally;
#[cfg(feature = "indicatif")]
use super::terminal::Terminal;
use crate::thread;
use mp_core::OsError;
use mp_core::sys::owning_process::OwningProcess;
use std::fmt;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// Where a [`Bar`] shows the tally.
pub(super) trait Surface: Send {
    /// Shows it. Gives how many tasks are to have ended before it is shown again.
    fn show(&mut self, tally: &Tally) -> u64;
    /// Shows it for the last time.
    fn end(&mut self, tally: &Tally);
}

/// Shows a [`Progress`] until it is dropped: how many tasks have ended of how many, how fast, how much longer it will
/// take, what has failed, and which workers have died.
///
/// ```no_run
/// use mp_pool::progress::{Bar, Progress};
///
/// # fn square(x: u64) -> u64 {
/// #     x * x
/// # }
/// let pool = mp_pool::Pool::new(4)?;
/// let progress = Progress::named("squares");
/// let bar = Bar::new(&progress)?;
/// pool.report_to(&progress).map(square, 0..1_000_000)?;
/// drop(bar); // squares: 1000000/1000000 in 0.4 s, 2500000/s
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Dropped, whether in the course of a `return`, of a `?` or of a panic, it shows the last state and ends: a bar is
/// full if and only if every task has ended, and the last line begins with `stopped at` if not. Both say how many have
/// failed. Other output of the program goes between its lines.
///
/// It has a thread of its own, so [`Fork`](mp_core::StartMethod::Fork) is refused while it lives, and
/// [`fork_from`](crate::PoolBuilder::fork_from) comes first.
///
/// Python has no counterpart; compare `tqdm`.
#[doc(alias = "tqdm")]
#[must_use = "it is shown until it is dropped"]
pub struct Bar {
    shared: Arc<Shared>,
    dropped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    /// The process that has the thread: not a forked copy of it.
    owner: OwningProcess,
}

impl Bar {
    /// Shows it on standard error: with the feature `indicatif`, as a bar if that is a terminal; else as plain lines,
    /// one for each tenth of the tasks, or for 1, 2, 5, 10, 20 … tasks while their number is not known.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn new(progress: &Progress) -> Result<Bar, OsError> {
        #[cfg(feature = "indicatif")]
        if std::io::IsTerminal::is_terminal(&std::io::stderr()) {
            return Bar::on(progress, Terminal::new(&progress.shared().name));
        }
        Bar::lines(progress, std::io::stderr())
    }

    /// Shows it as plain lines, written to `out` one by one. What cannot be written is not shown.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn lines(progress: &Progress, out: impl Write + Send + 'static) -> Result<Bar, OsError> {
        let shared = progress.shared();
        Bar::on(progress, Lines::new(Arc::clone(&shared.name), shared.began, out))
    }

    /// Shows it on a bar of the program's own, which may be one of a `MultiProgress`, and has the style and the ticks
    /// that the program gave it. Its length, position and message are set; in the end it is finished, or abandoned if
    /// not every task has finished.
    ///
    /// # Errors
    /// The thread cannot be started.
    #[cfg(feature = "indicatif")]
    pub fn with_bar(progress: &Progress, bar: indicatif::ProgressBar) -> Result<Bar, OsError> {
        Bar::on(progress, Terminal::of(bar))
    }

    fn on(progress: &Progress, mut surface: impl Surface + 'static) -> Result<Bar, OsError> {
        let (shared, dropped) = (Arc::clone(progress.shared()), Arc::new(AtomicBool::new(false)));
        let life = {
            let (shared, dropped) = (Arc::clone(&shared), Arc::clone(&dropped));
            move || show_until(&shared, &dropped, &mut surface)
        };
        let thread = thread::spawn("mp-progress", life);
        let thread = thread.map_err(|source| OsError { call: "pthread_create", source })?;
        Ok(Bar { shared, dropped, thread: Some(thread), owner: OwningProcess::current() })
    }
}

fn show_until(shared: &Shared, dropped: &AtomicBool, surface: &mut impl Surface) {
    let mut state = shared.state();
    let mut next = 0;
    loop {
        let tally = state.tally();
        // ORDERING: Relaxed: under the lock.
        if dropped.load(Ordering::Relaxed) || state.is_over() {
            drop(state);
            return surface.end(&tally);
        }
        drop(state);
        next = if tally.ended() >= next { surface.show(&tally) } else { next };
        state = shared.state();
        // What has happened meanwhile woke no thread.
        // ORDERING: as above.
        if state.tally() == tally && !dropped.load(Ordering::Relaxed) && !state.is_over() {
            state = shared.sleep(state, next, None);
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if !self.owner.is_current() {
            // A copy has no such thread.
            return std::mem::forget(self.thread.take());
        }
        let mut state = self.shared.state();
        // ORDERING: Relaxed: under the lock.
        self.dropped.store(true, Ordering::Relaxed);
        self.shared.wake(&mut state, true);
        drop(state);
        // A panic in it was told by the panic hook.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

impl fmt::Debug for Bar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bar").field("name", &self.shared.name).finish_non_exhaustive()
    }
}
