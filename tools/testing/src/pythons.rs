//! The CPythons of this machine, for tests that talk to one.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// A CPython that runs.
#[derive(Debug, Clone)]
pub struct Python {
    /// The program itself, behind any link or shim.
    pub program: PathBuf,
    /// Its version: (3, 12, 1).
    pub version: (u32, u32, u32),
}

/// Prints what [`Python`] holds, if it is a CPython.
const IDENTIFY: &str = "import platform, sys, os
if platform.python_implementation() == 'CPython':
    print(*sys.version_info[:3], os.path.realpath(sys.executable))";

/// Every CPython from `least` on, one of each version, oldest first: what `MP_PYTHON` names, each `python3` and
/// `python3.N` on the path, and each of pyenv's. A case that finds none is ignored, or fails with `MP_REQUIRE_PEERS`.
pub fn pythons(least: (u32, u32)) -> Vec<Python> {
    let mut found = BTreeMap::new();
    for program in candidates() {
        if let Some(python) = ask(&program).filter(|python| (python.version.0, python.version.1) >= least) {
            found.entry(python.version).or_insert(python);
        }
    }
    if found.is_empty() {
        crate::ignore(&format!("there is no CPython {}.{} or later here", least.0, least.1));
    }
    found.into_values().collect()
}

fn candidates() -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = env::var_os("MP_PYTHON").into_iter().map(PathBuf::from).collect();
    let path = env::var_os("PATH").unwrap_or_default();
    // pyenv's shims are slow scripts, most of which lead nowhere: what they stand for lies beside them.
    let (shims, folders): (Vec<_>, Vec<_>) =
        env::split_paths(&path).partition(|folder| folder.ends_with("shims"));
    all.extend(folders.into_iter().flat_map(programs_in));
    let root = env::var_os("PYENV_ROOT").map(PathBuf::from);
    let home = env::var_os("HOME").map(|home| PathBuf::from(home).join(".pyenv"));
    let beside = shims.iter().filter_map(|shims| shims.parent()).map(PathBuf::from);
    for root in root.into_iter().chain(home).chain(beside) {
        let versions = fs::read_dir(root.join("versions")).into_iter().flatten().flatten();
        all.extend(versions.flat_map(|version| programs_in(version.path().join("bin"))));
    }
    // A link and what it leads to need to be asked once.
    let mut seen = Vec::new();
    all.retain(|program| {
        let real = fs::canonicalize(program).unwrap_or_else(|_| program.clone());
        let name = (real, program.file_name().map(ToOwned::to_owned));
        let new = !seen.contains(&name);
        seen.push(name);
        new
    });
    all
}

/// `python3`, `python3.8` and the like.
fn programs_in(folder: PathBuf) -> impl Iterator<Item = PathBuf> {
    let is_python = |name: &str| {
        let minor = name.strip_prefix("python3");
        minor.is_some_and(|minor| {
            minor.is_empty()
                || minor.strip_prefix('.').is_some_and(|digits| {
                    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
                })
        })
    };
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter(move |entry| entry.file_name().to_str().is_some_and(is_python)).map(|entry| entry.path())
}

fn ask(program: &PathBuf) -> Option<Python> {
    let output = Command::new(program).args(["-c", IDENTIFY]).stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let mut words = text.trim_end().splitn(4, ' ');
    let mut number = || words.next()?.parse().ok();
    let version = (number()?, number()?, number()?);
    let program = PathBuf::from(words.next()?);
    Some(Python { program, version })
}

impl Python {
    /// A command that runs a script, with its input and output being pipes.
    pub fn script(&self, script: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped());
        command
    }
}
