//! The thread that reads what workers write, and gives it to the program's callback.
//!
//! ```text
//!   ask = what flush wants ─► take what each pipe holds ─► said = ask ─► shut down? ─► sleep until there is more
//! ```
//!
//! What a task has written before it ended is in the pipe when its end is known. So a look that begins after that takes
//! it: `flush` waits for the end of such a look, and the last look begins when all workers have ended.

use super::page::SharedPage;
use super::records::Logged;
use super::split::{Nonce, Split};
use super::{Ends, OnOutput, OutputSpec, TaskNumber, TaskOutput, TaskOutputKind, TaskRecord};
use crate::error::NewPoolError;
use crate::line::Line;
use crate::supervisor::Shared;
use crate::thread::WakeEvent;
use mp_core::Level;
use mp_core::process::caught;
use mp_core::sys::fd::{pipe, pipe_size, set_nonblocking};
use mp_core::sys::poll::{Interest, poll};
use mp_core::sys::process::random_bytes;
use mp_core::sys::silence::Silence;
use mp_core::sys::socket::{Mode, would_block};
use mp_core::transfer::{Handle, ParcelError};
use mp_core::word::Deadline;
use std::fmt;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;
use std::time::Duration;

/// As much as a pipe holds, unless a task makes it hold more.
const PIPE: usize = 64 << 10;

/// What the pool and the thread share.
pub(crate) struct Output {
    spec: OutputSpec,
    /// Calls that have begun.
    calls: AtomicU64,
    inner: Mutex<Inner>,
    /// A look has ended.
    looked: Condvar,
    waker: WakeEvent,
}

#[derive(Debug, Default)]
struct Inner {
    /// Readable when the thread is to look; the thread takes it.
    wakes: Option<File>,
    new: Vec<Source>,
    asked: u64,
    said: u64,
    thread: Option<ThreadId>,
    has_ended: bool,
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output").field("spec", &self.spec).finish_non_exhaustive()
    }
}

/// One of the ways that a worker writes, and which worker it is.
#[derive(Debug)]
struct Source {
    worker: usize,
    stream: Stream,
}

/// One of the ways that a worker writes.
#[derive(Debug)]
enum Stream {
    Pipe { pipe: File, split: Split, page: SharedPage, is_stdout: bool },
    Records(Line),
}

/// What a look has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    /// All that there was.
    All,
    /// Text of which it is not known yet whose it is: it is to look again at once.
    Unsure,
    /// The end.
    End,
}

impl Output {
    /// `None`: the program does not want it.
    pub(crate) fn new(spec: OutputSpec) -> Result<Option<Output>, NewPoolError> {
        if spec.callback.is_none() {
            return Ok(None);
        }
        let (waker, wakes) = WakeEvent::new()?;
        let inner = Mutex::new(Inner { wakes: Some(wakes), ..Inner::default() });
        Ok(Some(Output { spec, calls: AtomicU64::new(0), inner, looked: Condvar::new(), waker }))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of a call that begins.
    pub(crate) fn next_call(&self) -> u64 {
        // ORDERING: Relaxed: a number by itself.
        self.calls.fetch_add(1, Ordering::Relaxed)
    }

    /// The ends of a worker that is about to be started. From here on the thread reads what it writes: it may have done
    /// a task before its start has returned.
    pub(crate) fn open(&self, worker: u32) -> Result<Ends, NewPoolError> {
        let mut nonce: Nonce = [0; 16];
        // Text has no zeros, most often: it is not taken for the beginning of a mark.
        random_bytes(&mut nonce[1..])?;
        let (mut streams, level, page) = (Vec::new(), self.spec.level, SharedPage::create()?);
        let [(out, to_out), (err, to_err)] = [pipe()?, pipe()?];
        // Without it each task has a mark.
        let silence = Silence::of([out.as_fd(), err.as_fd()]).ok();
        let silence = silence.map(|silence| Handle::new(silence.into_fd()));
        for (read, is_stdout) in [(out, true), (err, false)] {
            set_nonblocking(read.as_fd(), true)?;
            let (pipe, split, page) = (read.into(), Split::new(nonce), page.again()?);
            streams.push(Stream::Pipe { pipe, split, page, is_stdout });
        }
        let pipes = [Handle::new(to_out), Handle::new(to_err)];
        let mut records = None;
        if level > mp_core::LevelFilter::Off {
            let (ours, theirs) = Line::pair()?;
            streams.push(Stream::Records(ours));
            records = Some(theirs);
        }
        let of = |stream| Source { worker: worker as usize, stream };
        self.inner().new.extend(streams.into_iter().map(of));
        self.wake();
        Ok(Ends { pipes, silence, page, nonce, records, level: level as u8 })
    }

    /// Has the thread look.
    pub(crate) fn wake(&self) {
        self.waker.wake();
    }

    /// Whether the calling thread is the one that reads: it is in the callback.
    pub(crate) fn is_here(&self) -> bool {
        self.inner().thread == Some(std::thread::current().id())
    }

    /// Waits until the callback has had all that is in the pipes at this moment.
    pub(super) fn flush(&self) {
        if self.is_here() {
            return;
        }
        let mut inner = self.inner();
        inner.asked += 1;
        let asked = inner.asked;
        self.wake();
        while inner.said < asked && !inner.has_ended {
            inner = self.looked.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Shared {
    /// The thread's life.
    pub(crate) fn read_output(&self) {
        let Some(output) = &self.output else { return };
        let Some(callback) = output.spec.callback.clone() else { return };
        let wakes = {
            let mut inner = output.inner();
            inner.thread = Some(std::thread::current().id());
            inner.wakes.take()
        };
        let Some(mut wakes) = wakes else { return };
        let (mut sources, mut buffer) = (Vec::new(), vec![0; PIPE]);
        loop {
            // In front of the look, all three.
            let is_last = self.is_shut_down();
            let asked = {
                let mut inner = output.inner();
                sources.append(&mut inner.new);
                inner.asked
            };
            let mut is_unsure = false;
            sources.retain_mut(|source| {
                let found = source.look(&mut buffer, &callback);
                is_unsure |= found == Found::Unsure;
                found != Found::End
            });
            let mut inner = output.inner();
            inner.said = asked;
            inner.has_ended = is_last;
            output.looked.notify_all();
            drop(inner);
            if is_last {
                return;
            }
            let readable = sources.iter().map(|source| (source.as_fd(), Interest::Read));
            let waiting: Vec<_> = std::iter::once((wakes.as_fd(), Interest::Read)).chain(readable).collect();
            // If it cannot wait, it looks again and again, and loses nothing.
            let _ = poll(&waiting, if is_unsure { Deadline::after(Duration::ZERO) } else { None });
            let _ = wakes.read(&mut [0; 64]);
        }
    }
}

impl Source {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.stream {
            Stream::Pipe { pipe, .. } => pipe.as_fd(),
            Stream::Records(line) => line.as_fd(),
        }
    }

    /// Gives the callback what there is, but no more than there can be at one moment: a worker may go on writing.
    fn look(&mut self, buffer: &mut [u8], callback: &OnOutput) -> Found {
        let worker = self.worker;
        let give = |pid: u32, task: Option<TaskNumber>, kind: TaskOutputKind| {
            let output = TaskOutput { worker, pid, task, kind };
            // The panic hook has told of a panic.
            let _ = caught(|| callback(output));
        };
        match &mut self.stream {
            Stream::Pipe { pipe, split, page, is_stdout } => {
                let mut pieces = Vec::new();
                page.begin_look();
                let (found, is_text) = read_pipe((pipe, split, page), buffer, &mut pieces);
                page.end_look(is_text);
                // The worker may wait for the end of the look.
                for (pid, task, text) in pieces {
                    let kind =
                        if *is_stdout { TaskOutputKind::Stdout(text) } else { TaskOutputKind::Stderr(text) };
                    give(pid, task, kind);
                }
                found
            }
            Stream::Records(line) => read_records(line, give),
        }
    }
}

/// A piece of text, the process id of its worker, and its task.
type Piece = (u32, Option<TaskNumber>, Vec<u8>);

/// Whether it has read anything but marks, beside what it has found.
fn read_pipe(
    (pipe, split, page): (&mut File, &mut Split, &SharedPage),
    buffer: &mut [u8],
    pieces: &mut Vec<Piece>,
) -> (Found, bool) {
    /// So often is it asked which task text without a mark is of. A worker goes on with others meanwhile.
    const MOST: u32 = 8;
    let mut is_text = split.has_text(true);
    for _ in 0..MOST {
        // Before it reads, and after: an earlier task's mark stands behind its text, no further than a pipe holds.
        let (before, task) = page.at_work();
        let (whole, ended) = fill(pipe, split, buffer, pieces);
        is_text |= split.has_text(whole) || !pieces.is_empty();
        let is_sure = ended || page.at_work().0 == before;
        if is_sure {
            let mut push = |pid, task, text: &[u8]| pieces.push((pid, task, text.to_vec()));
            split.give(if ended { page.at_work().1 } else { task }, whole, &mut push);
        }
        if ended || is_sure || !split.has_text(whole) {
            return (if ended { Found::End } else { Found::All }, is_text);
        }
    }
    (Found::Unsure, is_text)
}

/// Reads what there is, or at least as much as the pipe holds. Gives whether the pipe was empty then, and whether it
/// has ended.
fn fill(pipe: &mut File, split: &mut Split, buffer: &mut [u8], pieces: &mut Vec<Piece>) -> (bool, bool) {
    // A read gives what several writes have left, up to the buffer's end: two of them empty a full pipe, unless a task
    // has made it larger.
    let (mut most, mut taken) = (None, 0);
    for reads in 0.. {
        if reads > 1 && taken >= *most.get_or_insert_with(|| pipe_size(pipe.as_fd()).unwrap_or(0)) {
            break;
        }
        match pipe.read(buffer) {
            Ok(0) => return (true, true),
            Ok(length) => {
                taken += length;
                split.read(&buffer[..length], |pid, task, text| pieces.push((pid, task, text.to_vec())));
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return (true, error.kind() != ErrorKind::WouldBlock),
        }
    }
    (false, false)
}

fn read_records(line: &Line, give: impl Fn(u32, Option<TaskNumber>, TaskOutputKind)) -> Found {
    /// More than a socket holds.
    const MOST: usize = 1 << 14;
    for _ in 0..MOST {
        let Logged { pid, task, level, target, message } = match line.receive::<Logged>(Mode::Now) {
            Ok((logged, _)) => logged,
            Err(ParcelError::Closed) => return Found::End,
            Err(ParcelError::Os(error)) if would_block(&error) => return Found::All,
            // One that cannot be received is lost, and no other.
            Err(_) => continue,
        };
        let level = Level::iter().nth(usize::from(level.saturating_sub(1))).unwrap_or(Level::Error);
        give(pid, task, TaskOutputKind::Record(TaskRecord { level, target, message }));
    }
    Found::All
}
