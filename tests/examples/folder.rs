//! A folder for what an example puts into its temporary directory. It goes with the case that made it,
//! however that ends by itself, by a panic too; what a case that was killed has left, the next one takes
//! away.
//!
//! A lock on the folder says that its case lives: process ids come again, and mean nothing in another
//! container.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

const START: &str = "mp-examples-";

pub(crate) struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    pub(crate) fn new() -> Folder {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        take_away_what_no_process_has();
        loop {
            // ORDERING: Relaxed: only a unique number is needed.
            let number = COUNT.fetch_add(1, Ordering::Relaxed);
            let path = std::env::temp_dir().join(format!("{START}{}-{number}", std::process::id()));
            fs::create_dir(&path).unwrap();
            // Before it was locked another process may have removed it.
            if let Some(lock) = locked(&path) {
                return Folder { path, _lock: lock };
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn is_empty(&self) -> bool {
        fs::read_dir(&self.path).unwrap().next().is_none()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // If this fails, a test has failed, or the next process removes it.
        let _ = fs::remove_dir_all(&self.path);
    }
}

fn locked(path: &Path) -> Option<File> {
    let folder = File::open(path).ok()?;
    folder.lock().ok()?;
    still_there(&folder, path).unwrap_or(false).then_some(folder)
}

fn still_there(folder: &File, path: &Path) -> io::Result<bool> {
    let (open, named) = (folder.metadata()?, fs::metadata(path)?);
    Ok((open.dev(), open.ino()) == (named.dev(), named.ino()))
}

fn take_away_what_no_process_has() {
    let ours =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(START));
    let entries = fs::read_dir(std::env::temp_dir()).unwrap().flatten();
    for path in entries.map(|entry| entry.path()).filter(ours) {
        let folder = File::open(&path).ok().filter(|folder| folder.try_lock().is_ok());
        if folder.is_some_and(|folder| still_there(&folder, &path).unwrap_or(false)) {
            let _ = fs::remove_dir_all(&path);
        }
    }
}
