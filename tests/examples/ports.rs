//! The ports print what their Python counterparts print, under each start method, and leave nothing.

use crate::folder::Folder;
use crate::run_under;
use mp::StartMethod;
use mp::base::sys::process::become_subreaper;
use mp_testing::pythons;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/ports")
}

/// What the program prints in Python, by the newest one that is here.
fn in_python(name: &str) -> String {
    let python = pythons((3, 8)).pop().expect("else the case is ignored");
    let files = Folder::new();
    let mut command = Command::new(python.program);
    command.arg(folder().join(name).with_extension("py")).env("TMPDIR", files.path()).stdin(Stdio::null());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{name}.py: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn port(name: &str) {
    let expected = in_python(name);
    // Not before: what Python leaves behind (its resource tracker) is not ours.
    become_subreaper().unwrap();
    assert!(!expected.is_empty());
    for method in StartMethod::ALL {
        let output = run_under(method, "ports", &[name]);
        let complained = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name} under {method}: {}\n{complained}", output.status);
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{name} under {method}");
    }
}

macro_rules! ports {
    ($($case:ident: $name:literal),* $(,)?) => {
        const TRIED: &[&str] = &[$($name),*];
        $(pub(crate) fn $case() {
            port($name);
        })*
    };
}

ports! {
    port_active_pool: "active_pool",
    port_async_results: "async_results",
    port_custom_manager: "custom_manager",
    port_feed_tasks: "feed_tasks",
    port_hash_files: "hash_files",
    port_log_listener: "log_listener",
    port_mandelbrot: "mandelbrot",
    port_poison_pills: "poison_pills",
    port_pool_imap: "pool_imap",
    port_python_manager: "python_manager",
    port_shared_table: "shared_table",
    port_stages: "stages",
    port_supervisor: "supervisor",
    port_word_count: "word_count",
}

pub(crate) fn every_port_has_its_counterpart_and_its_case() {
    become_subreaper().unwrap();
    let output = run_under(StartMethod::Spawn, "ports", &[]);
    let known = String::from_utf8(output.stdout).unwrap();
    let known: BTreeSet<&str> = known.lines().collect();
    assert_eq!(known, TRIED.iter().copied().collect());
    for ending in ["rs", "py"] {
        let files = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
        let files = files.filter(|file| file.extension().is_some_and(|found| found == ending));
        let mut names: BTreeSet<String> =
            files.map(|file| file.file_stem().unwrap().to_string_lossy().into_owned()).collect();
        names.remove("main");
        assert!(names.iter().eq(&known), "{names:?}");
    }
    let output = run_under(StartMethod::Spawn, "ports", &["no such"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("poison_pills"));
}
