//! The CPythons of this machine, as peers.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The oldest that is tried.
const OLDEST: (u32, u32) = (3, 8);

/// A CPython.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Python {
    /// Major and minor version.
    pub version: (u32, u32),
    /// The interpreter itself, not a script that chooses one.
    pub program: PathBuf,
}

impl Python {
    /// It with a program to run, which it finds nothing beside: no folder, no variable changes what it imports.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.args(["-I", "-c", program]);
        command
    }
}

/// One CPython of each version from 3.8 on, the oldest first: of all that are called `python3` or `python3.N` in the
/// search path, and of those that pyenv has. Where there is none, the case ends as an ignored one.
pub fn pythons() -> Vec<Python> {
    let mut found: Vec<Python> = programs().iter().filter_map(|program| examine(program)).collect();
    found.sort();
    found.dedup_by_key(|python| python.version);
    if found.is_empty() {
        crate::ignore("there is no CPython of version 3.8 or later here");
    }
    found
}

fn programs() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut programs: Vec<PathBuf> = std::env::split_paths(&path).flat_map(|folder| named(&folder)).collect();
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".pyenv"));
    let pyenv = std::env::var_os("PYENV_ROOT").map(PathBuf::from).or_else(home).unwrap_or_default();
    for version in std::fs::read_dir(pyenv.join("versions")).into_iter().flatten().flatten() {
        programs.push(version.path().join("bin/python3"));
    }
    // One program has several names; and a script that chooses one takes longer than the one that it chooses.
    let mut programs: Vec<PathBuf> = programs.iter().filter_map(|path| path.canonicalize().ok()).collect();
    programs.retain(|program| !is_script(program));
    programs.sort();
    programs.dedup();
    programs
}

fn is_script(program: &Path) -> bool {
    let mut beginning = [0; 2];
    let read = File::open(program).and_then(|mut file| file.read_exact(&mut beginning));
    read.is_err() || beginning == *b"#!"
}

/// The files in a folder that are called as a Python is.
fn named(folder: &Path) -> Vec<PathBuf> {
    let is_python = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.strip_prefix("python3").is_some_and(|minor| {
            minor.is_empty() || minor.strip_prefix('.').is_some_and(|n| n.parse::<u32>().is_ok())
        })
    };
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(is_python).collect()
}

/// What it says of itself, if it is a CPython that is new enough.
fn examine(program: &Path) -> Option<Python> {
    const ASK: &str = "import sys; v = sys.version_info; \
                       print(sys.implementation.name, v[0], v[1], sys.executable)";
    let output = Command::new(program).args(["-I", "-c", ASK]).stdin(Stdio::null()).output().ok()?;
    let said = String::from_utf8(output.stdout).ok()?;
    let mut words = said.trim_end().splitn(4, ' ');
    let is_cpython = words.next()? == "cpython";
    let version = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let program = PathBuf::from(words.next()?);
    (is_cpython && version >= OLDEST).then_some(Python { version, program })
}
