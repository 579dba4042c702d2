//! Programs that cases run and that are built for them: examples of the crate under test, each in a form of its own.
//!
//! Cargo builds examples with the tests, but not with one test, and not with other flags. Building takes longer than a
//! case may, so it is done before the case (`prepared:` in [`cases!`](crate::cases)).

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder in which this test's own program was built: `target/debug`.
fn built() -> PathBuf {
    std::env::current_exe()
        .expect("a program has a path")
        .ancestors()
        .nth(2)
        .expect("target/debug/deps")
        .to_owned()
}

/// Where [`build`] leaves the program that it builds as `name`.
pub fn program(name: &str) -> PathBuf {
    built().join("programs").join(name)
}

/// Builds an example of this test's crate, and leaves `file` (of the folder of examples) as [`program`]`(name)`.
///
/// `flags` are rustc's, for the example alone: not for the crates that it uses, which stay as they are built.
///
/// # Panics
/// If it cannot be built.
pub fn build(name: &str, example: &str, file: &str, profile: &str, flags: &[&str]) {
    let target = built().parent().expect("target").to_owned();
    let folder = built().join("programs");
    fs::create_dir_all(&folder).expect("a folder for programs");
    // One at a time: each form of an example has the same file.
    let lock = File::create(folder.join("lock")).expect("a file for the lock");
    // A signal ends the wait for it.
    while let Err(error) = lock.lock() {
        assert_eq!(error.kind(), ErrorKind::Interrupted, "{error}");
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    // Cargo, and `cargo test`, run a test in its crate's folder.
    let mut command = Command::new(cargo);
    command.args(["rustc", "--quiet", "--example", example, "--profile", profile]);
    command.arg("--target-dir").arg(&target).arg("--").args(flags);
    let output = command.output().expect("cargo runs");
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    let profile = if profile == "dev" { "debug" } else { profile };
    // Put there in one step: another run of this test may execute the one that is there.
    let fresh = folder.join(format!("{name}.{}", std::process::id()));
    let source = target.join(profile).join("examples").join(file);
    copy(&source, &fresh);
    fs::rename(&fresh, folder.join(name)).expect("a name for what was built");
}

/// Copies a program; signals do not end it, as they do `fs::copy`.
///
/// # Panics
/// If it cannot be copied.
pub fn copy(from: &Path, to: &Path) {
    fs::write(to, fs::read(from).expect("a program")).expect("room for a copy");
    let permissions = fs::metadata(from).expect("a program").permissions();
    fs::set_permissions(to, permissions).expect("a copy may be executed");
}
