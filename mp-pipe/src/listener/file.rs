//! The file of a listening socket: which process makes it, which one removes it, and when.
//!
//! ```text
//!  nothing there ──────────────────────────────► bound
//!  a file there: a stale socket, bound by none ► removed, then bound
//!                anything else ────────────────► in use
//!  bound ── listener dropped, or process ends ─► removed, if it is still the same file
//! ```
//!
//! A file outlives a killed listener, and does not show it. The kernel knows whether any socket is bound to it, also
//! one that does not listen yet, in any process of any namespace (`is_bound`). Between the check of a stale file and
//! its removal another process may act. So processes of one user that replace a file in a directory do it one after the
//! other, under an abstract address as a lock, which the kernel frees after a death. To bind where no file is, and to
//! remove one's own file, needs no lock: a bind is one step, and a bound file is never stale.
//!
//! A generated address is a socket in a directory of its own, which only its user can enter. Directories that killed
//! processes left are removed when the next one is made: see [`sweep`].

use crate::address::LONGEST;
use mp_core::finalize;
use mp_core::sys::address::{Listening, Place, is_bound, this_user};
use mp_core::sys::identity::Identity;
use mp_core::sys::owning_process::OncePerProcess;
use mp_core::sys::process::random_bytes;
use mp_core::sys::socket::listen_abstract;
use mp_core::word::Deadline;
use mp_core::{OsError, error::OsResult};
use parking_lot::Mutex;
use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// What the directories of made-up addresses begin with.
const PREFIX: &str = "mp-listener-";
/// The socket in such a directory.
const NAME: &str = "socket";
/// Bytes of an address that was made up, behind the temporary directory.
const MADE_UP: usize = 1 + PREFIX.len() + 12 + 1 + NAME.len();
/// How long one that replaces a file, or a locked directory of this user's, is waited for.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often another name is made up.
const TRIES: u32 = 100;

/// A socket file that this process has made.
#[derive(Debug)]
pub(super) struct SocketFile {
    /// Absolute, so that it means the same after a change of directory.
    path: PathBuf,
    /// Device and inode. The number cannot be used again while the socket lives.
    file: (u64, u64),
    /// A directory that was made for it alone.
    directory: Option<PathBuf>,
    /// A forked copy takes nothing away.
    owner: Mutex<Option<Identity>>,
}

/// What this process has made, for its orderly end.
static MADE: Mutex<Vec<Arc<SocketFile>>> = Mutex::new(Vec::new());

/// Binds and listens at a path.
pub(super) fn listen_at(path: &Path, backlog: i32) -> OsResult<(Listening, Arc<SocketFile>)> {
    let whole = std::path::absolute(path).map_err(|source| OsError { call: "getcwd", source })?;
    let listening = match Listening::at(Place::Path(path), backlog) {
        Err(error) if error.source.kind() == ErrorKind::AddrInUse && is_stale(&whole) => {
            replace(path, &whole, backlog)?
        }
        other => other?,
    };
    let file = SocketFile::made(whole, None)?;
    Ok((listening, file))
}

/// Removes a stale file and binds, alone among those of this user that do.
fn replace(path: &Path, whole: &Path, backlog: i32) -> OsResult<Listening> {
    let _alone = whole.parent().and_then(alone_in);
    // Another one may have replaced it while this one waited.
    if is_stale(whole) {
        match fs::remove_file(whole) {
            Err(source) if source.kind() != ErrorKind::NotFound => {
                return Err(OsError { call: "unlink", source });
            }
            _ => {}
        }
    }
    Listening::at(Place::Path(path), backlog)
}

/// Keeps others of this user from replacing a file in a directory, while it is held; `None` if it cannot be had in
/// time. Not a lock of the directory itself: any user that can read the directory may hold it.
fn alone_in(directory: &Path) -> Option<OwnedFd> {
    let (device, inode) = identity(directory).ok()?;
    let name = format!("mp-replace-{}-{device:x}-{inode:x}", this_user());
    let until = Deadline::after(PATIENCE);
    let mut pause = Duration::from_micros(100);
    loop {
        match listen_abstract(&name) {
            Ok(held) => return Some(held),
            Err(_) if until.is_some_and(|until| !until.passed()) => {
                std::thread::sleep(pause);
                pause = (pause * 2).min(Duration::from_millis(10));
            }
            Err(_) => return None,
        }
    }
}

/// Binds and listens in a new directory, mode 0700; gives the address, too.
pub(super) fn listen_anywhere(backlog: i32) -> OsResult<(Listening, Arc<SocketFile>, PathBuf)> {
    let temporary = std::env::temp_dir();
    let short = temporary.is_absolute() && temporary.as_os_str().len() + MADE_UP <= LONGEST;
    let temporary = if short { temporary } else { PathBuf::from("/tmp") };
    sweep(&temporary);
    let mut tries = 1;
    loop {
        match listen_in_new(&temporary, backlog) {
            // Swept away in its first moment, or the name was taken.
            Err(error)
                if matches!(error.source.kind(), ErrorKind::NotFound | ErrorKind::AlreadyExists)
                    && tries < TRIES =>
            {
                tries += 1;
            }
            other => return other,
        }
    }
}

fn listen_in_new(temporary: &Path, backlog: i32) -> OsResult<(Listening, Arc<SocketFile>, PathBuf)> {
    let mut random = [0; 6];
    random_bytes(&mut random)?;
    let digits: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let directory = temporary.join(format!("{PREFIX}{digits}"));
    let made = DirBuilder::new().mode(0o700).create(&directory);
    made.map_err(|source| OsError { call: "mkdir", source })?;
    let path = directory.join(NAME);
    // From here on no process sweeps it; if one has, the bind fails.
    let _lock = lock(&directory, Deadline::after(PATIENCE));
    let listening = Listening::at(Place::Path(&path), backlog)
        .and_then(|listening| Ok((listening, SocketFile::made(path.clone(), Some(directory.clone()))?)));
    match listening {
        Ok((listening, file)) => Ok((listening, file, path)),
        Err(error) => {
            let _ = fs::remove_file(&path);
            let _ = fs::remove_dir(&directory);
            Err(error)
        }
    }
}

impl SocketFile {
    fn made(path: PathBuf, directory: Option<PathBuf>) -> OsResult<Arc<SocketFile>> {
        let file = identity(&path).map_err(|source| OsError { call: "lstat", source })?;
        let owner = Mutex::new(Some(Identity::me()));
        let made = Arc::new(SocketFile { path, file, directory, owner });
        MADE.lock().push(Arc::clone(&made));
        end_with_this_process();
        Ok(made)
    }

    /// Takes the file away, if it is ours. The socket must still be open, or another file may have its number.
    pub(super) fn remove(self: &Arc<Self>) {
        self.end();
        MADE.lock().retain(|other| !Arc::ptr_eq(self, other));
    }

    fn end(&self) {
        // Without a free descriptor the start time of a process cannot be read. Then only the id is compared.
        if !self.owner.lock().take().is_some_and(Identity::is_me) {
            return;
        }
        // While the socket is bound, no other process of the library takes the file for a stale one.
        // A failure cannot be reported, and another process may have removed it first.
        if identity(&self.path).is_ok_and(|file| file == self.file) {
            let _ = fs::remove_file(&self.path);
        }
        if let Some(directory) = &self.directory {
            let _ = fs::remove_dir(directory);
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|file| (file.dev(), file.ino()))
}

/// A socket file to which no socket is bound. Not if that cannot be told.
fn is_stale(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket())
        && is_bound(path).is_ok_and(|bound| !bound)
}

/// The lock of a directory; `None` if it cannot be had in time. Then the caller goes on without it: it only separates
/// processes that replace or remove a file at the same moment.
fn lock(directory: &Path, until: Option<Deadline>) -> Option<File> {
    let file = File::open(directory).ok()?;
    let mut pause = Duration::from_micros(100);
    loop {
        match file.try_lock() {
            Ok(()) => return Some(file),
            Err(fs::TryLockError::WouldBlock) if until.is_some_and(|until| !until.passed()) => {
                std::thread::sleep(pause);
                pause = (pause * 2).min(Duration::from_millis(10));
            }
            Err(_) => return None,
        }
    }
}

/// Removes what killed processes of this user have left: directories with this library's names, not locked by a process
/// that is about to bind in it, and with nothing in it but a stale socket.
fn sweep(temporary: &Path) {
    for entry in fs::read_dir(temporary).into_iter().flatten().flatten() {
        if !entry.file_name().to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        let directory = entry.path();
        let is_ours = fs::symlink_metadata(&directory).is_ok_and(|found| {
            found.is_dir() && found.uid() == this_user() && found.mode() & 0o7777 == 0o700
        });
        if !is_ours {
            continue;
        }
        let Some(_lock) = lock(&directory, None) else { continue };
        let path = directory.join(NAME);
        if is_stale(&path) {
            let _ = fs::remove_file(&path);
        }
        // Fails if anything else is in it.
        let _ = fs::remove_dir(&directory);
    }
}

/// Once in each process: a forked child inherits no exit handlers.
fn end_with_this_process() {
    static REGISTERED: OncePerProcess = OncePerProcess::new();
    if REGISTERED.is_first() {
        finalize::at_exit(|| {
            // What is made from here on needs a handler of its own.
            REGISTERED.again();
            let all = std::mem::take(&mut *MADE.lock());
            all.iter().for_each(|file| file.end());
        });
    }
}
