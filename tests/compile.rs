//! What the compiler says of a program that cannot work, and at which line of it: the programs are in `tests/compile`.
//!
//! A program's first lines, behind `//~`, are texts of ours that stand in one error together; that error, or a note of
//! it, points at the line that ends in `// HERE`. What else the compiler says may change with its version.
//!
//! They are compiled against the library that cargo has built for this test, by the compiler alone: as by `cargo check`
//! (no code is made), and, for what is known only then, as by `cargo build`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

/// How far the compiler goes.
#[derive(Clone, Copy, Debug)]
enum As {
    Check,
    Build,
}

/// What the compiler says of a program; `None` if it has no error.
fn errors(program: &str, far: As, library: &Path) -> Option<String> {
    let emit = match far {
        As::Check => "metadata",
        As::Build => "obj",
    };
    let mut command = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    command
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["--edition=2024", "--color=never", "--diagnostic-width=1000", "--cap-lints=allow"])
        .arg(format!("--emit={emit}"))
        .args(["--out-dir", env!("CARGO_TARGET_TMPDIR")])
        .arg("-Ldependency=".to_owned() + deps().to_str().unwrap())
        .arg(format!("--extern=mp={}", library.display()))
        .arg(format!("tests/compile/{program}.rs"));
    let done = command.output().unwrap();
    (!done.status.success()).then(|| String::from_utf8(done.stderr).unwrap())
}

/// Where cargo has put this test, and the libraries that it was built with.
fn deps() -> PathBuf {
    std::env::current_exe().unwrap().parent().unwrap().to_owned()
}

/// The files of a library, the one that was built last before the others.
fn built(name: &str) -> Vec<PathBuf> {
    let prefix = format!("lib{name}-");
    let is_one = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap_or_default();
        name.starts_with(&prefix) && name.ends_with(".rlib")
    };
    let entries = std::fs::read_dir(deps()).unwrap();
    let mut all: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).filter(is_one).collect();
    all.sort_by_key(|path| std::cmp::Reverse(std::fs::metadata(path).and_then(|file| file.modified()).ok()));
    all
}

/// The library, as cargo has built it with these features or with others: the newest with which the program that is
/// right compiles.
static LIBRARY: LazyLock<PathBuf> = LazyLock::new(|| {
    let mut said = None;
    let works = |library: &PathBuf| {
        let errors = errors("works", As::Build, library);
        said = said.take().or_else(|| errors.clone());
        errors.is_none()
    };
    let found = built("mp").into_iter().take(4).find(works);
    found.unwrap_or_else(|| panic!("works.rs: {}", said.unwrap_or_default()))
});

/// One error has all the texts of the program's first lines, and points at its line.
fn refused(program: &str, far: As) {
    let path = format!("tests/compile/{program}.rs");
    let source = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(&path)).unwrap();
    let texts: Vec<&str> = source.lines().map_while(|line| line.strip_prefix("//~ ")).collect();
    let here = source.lines().position(|line| line.ends_with("// HERE")).expect("a line is marked") + 1;
    assert!(!texts.is_empty());
    let said = errors(program, far, &LIBRARY).expect("it does not compile");
    let place = format!("--> {path}:{here}:");
    let is_it = |error: &str| texts.iter().chain([&place.as_str()]).all(|text| error.contains(text));
    assert!(said.split("\nerror").any(is_it), "not found together: {texts:#?}, {place}, in\n{said}");
}

#[test]
fn what_cannot_cross_is_refused_at_its_line() {
    for program in [
        "borrowed_argument",
        "borrowed_last_argument",
        "captured_string",
        "captured_token",
        "captured_token_of_one",
        "function_pointer",
        "function_pointer_of_a_process",
        "never_returns",
        "nine_arguments",
        "notify_without_guard",
        "result_of_a_library",
        "result_without_serde",
        "shared_bool",
    ] {
        refused(program, As::Check);
    }
}

#[test]
fn a_capture_is_refused_at_its_line_when_it_is_built() {
    refused("captured_number", As::Build);
    refused("captured_number_of_a_pool", As::Build);
}

/// If this fails, the compiler has learnt it, and the programs belong above: see
/// `docs/decisions/2026-11-29-captures.md`.
#[test]
fn a_capture_of_plain_data_is_known_when_it_is_built_and_not_before() {
    assert_eq!(errors("captured_number", As::Check, &LIBRARY), None);
}
