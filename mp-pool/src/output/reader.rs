//! The thread that reads what workers write, and gives it to the program's callback.
//!
//! ```text
//!   ask = what flush wants ─► take what each pipe holds ─► said = ask ─► shut down? ─► sleep until there is more
//! ```
//!
//! What a task has written before it ended is in the pipe when its end is known. So a look that begins after that takes
//! it: `flush` waits for the end of such a look, and the last look begins when all workers have ended.

use super::records::Logged;
use super::split::{Nonce, Split};
use super::{Ends, OnOutput, OutputSpec, TaskNumber, TaskOutput, TaskOutputKind, TaskRecord};
use crate::error::NewPoolError;
use crate::line::Line;
use crate::supervisor::Shared;
use crate::thread::WakePipe;
use mp_core::Level;
use mp_core::OsError;
use mp_core::process::caught;
use mp_core::sys::fd::{pipe, pipe_size, set_nonblocking};
use mp_core::sys::poll::{Interest, poll};
use mp_core::sys::process::random_bytes;
use mp_core::sys::socket::{Mode, would_block};
use mp_core::transfer::{Handle, ParcelError};
use std::fmt;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;

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
    waker: WakePipe,
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
    Pipe { pipe: File, split: Split, is_stdout: bool },
    Records(Line),
}

impl Output {
    /// `None`: the program does not want it.
    pub(crate) fn new(spec: OutputSpec) -> Result<Option<Output>, NewPoolError> {
        if spec.callback.is_none() {
            return Ok(None);
        }
        let (waker, wakes) = WakePipe::new()?;
        set_nonblocking(wakes.as_fd(), true)?;
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
    pub(crate) fn open(&self, worker: u32) -> Result<Ends, OsError> {
        let mut nonce: Nonce = [0; 16];
        // Text has no zeros, most often: it is not taken for the beginning of a mark.
        random_bytes(&mut nonce[1..])?;
        let (mut streams, level) = (Vec::new(), self.spec.level);
        let mut open = |is_stdout| {
            let (read, write) = pipe()?;
            set_nonblocking(read.as_fd(), true)?;
            streams.push(Stream::Pipe { pipe: read.into(), split: Split::new(nonce), is_stdout });
            Ok::<_, OsError>(Handle::new(write))
        };
        let pipes = [open(true)?, open(false)?];
        let mut records = None;
        if level > mp_core::LevelFilter::Off {
            let (ours, theirs) = Line::pair()?;
            streams.push(Stream::Records(ours));
            records = Some(theirs);
        }
        let of = |stream| Source { worker: worker as usize, stream };
        self.inner().new.extend(streams.into_iter().map(of));
        self.wake();
        Ok(Ends { pipes, nonce, records, level: level as u8 })
    }

    /// Has the thread look.
    pub(crate) fn wake(&self) {
        self.waker.wake();
    }

    /// Waits until the callback has had all that is in the pipes at this moment.
    pub(super) fn flush(&self) {
        let mut inner = self.inner();
        if inner.thread == Some(std::thread::current().id()) {
            return;
        }
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
            sources.retain_mut(|source| source.look(&mut buffer, &callback));
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
            let _ = poll(&waiting, None);
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
    /// `false`: nothing more comes.
    fn look(&mut self, buffer: &mut [u8], callback: &OnOutput) -> bool {
        let worker = self.worker;
        let give = |pid: u32, task: Option<TaskNumber>, kind: TaskOutputKind| {
            let output = TaskOutput { worker, pid, task, kind };
            // The panic hook has told of a panic.
            let _ = caught(|| callback(output));
        };
        match &mut self.stream {
            Stream::Pipe { pipe, split, is_stdout } => {
                let each = |pid: u32, task: Option<TaskNumber>, text: &[u8]| {
                    let text = text.to_vec();
                    give(
                        pid,
                        task,
                        if *is_stdout { TaskOutputKind::Stdout(text) } else { TaskOutputKind::Stderr(text) },
                    );
                };
                read_pipe(pipe, split, buffer, each)
            }
            Stream::Records(line) => read_records(line, give),
        }
    }
}

fn read_pipe(
    pipe: &mut File,
    split: &mut Split,
    buffer: &mut [u8],
    mut each: impl FnMut(u32, Option<TaskNumber>, &[u8]),
) -> bool {
    // A read gives what several writes have left, up to the buffer's end: two of them empty a full pipe, unless a task
    // has made it larger.
    let (mut most, mut taken) = (None, 0);
    for reads in 0.. {
        if reads > 1 && taken >= *most.get_or_insert_with(|| pipe_size(pipe.as_fd()).unwrap_or(0)) {
            break;
        }
        match pipe.read(buffer) {
            Ok(0) => {
                split.empty(each);
                return false;
            }
            Ok(length) => {
                taken += length;
                split.read(&buffer[..length], &mut each);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => {
                split.empty(each);
                return error.kind() == ErrorKind::WouldBlock;
            }
        }
    }
    true
}

fn read_records(line: &Line, give: impl Fn(u32, Option<TaskNumber>, TaskOutputKind)) -> bool {
    /// More than a socket holds.
    const MOST: usize = 1 << 14;
    for _ in 0..MOST {
        let Logged { pid, task, level, target, message } = match line.receive::<Logged>(Mode::Now) {
            Ok((logged, _)) => logged,
            Err(ParcelError::Closed) => return false,
            Err(ParcelError::Os(error)) if would_block(&error) => return true,
            // One that cannot be received is lost, and no other.
            Err(_) => continue,
        };
        let level = Level::iter().nth(usize::from(level.saturating_sub(1))).unwrap_or(Level::Error);
        give(pid, task, TaskOutputKind::Record(TaskRecord { level, target, message }));
    }
    true
}
