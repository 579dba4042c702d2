//! Programs that are linked, treated or started in a form of their own.
//!
//! | form                                                  | what holds                                             |
//! |-------------------------------------------------------|--------------------------------------------------------|
//! | started through the dynamic loader                    | children are started likewise, with the loader's options |
//! | the same, its file not there any more                 | ForkServer and Spawn refused, Fork works               |
//! | without a build id                                    | the build is known by its content                      |
//! | static, at a fixed address (no dynamic section)       | as any program                                         |
//! | the same, without section headers                     | ForkServer and Spawn refused, Fork works               |
//! | static-pie                                            | as any program                                         |
//! | stripped                                              | as any program                                         |

use mp_testing::{Folder, not_here, program};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Once;

mp_testing::cases! {
    prepared: [
        children_of_a_program_that_the_loader_started after build,
        the_loaders_options_are_kept after build,
        without_its_file_a_program_that_the_loader_started_is_refused after build,
        a_build_without_an_id_is_known_by_its_content after build,
        a_static_program_at_a_fixed_address after build,
        without_section_headers_a_static_program_is_refused after build,
        a_static_program_at_any_address after build,
        stripped_programs after build,
    ]
}

const PLAIN: &str = "builds.plain";
const WITHOUT_ID: &str = "builds.without-id";
const FIXED: &str = "builds.static";
const STATIC_PIE: &str = "builds.static-pie";
const STATIC: &[&str] = &["-Ctarget-feature=+crt-static"];

/// Called before each case, and needed once.
fn build() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        mp_testing::build(PLAIN, "built", "built", "dev", &[]);
        mp_testing::build(WITHOUT_ID, "built", "built", "dev", &["-Clink-arg=-Wl,--build-id=none"]);
        mp_testing::build(STATIC_PIE, "built", "built", "dev", STATIC);
        mp_testing::build(FIXED, "built", "built", "dev", &[STATIC, &["-Crelocation-model=static"]].concat());
    });
}

fn folder() -> Folder {
    Folder::new("mp-core-builds")
}

fn copy_in(folder: &Folder, name: &str) -> PathBuf {
    let copy = folder.path().join("program");
    mp_testing::copy_program(&program(name), &copy);
    copy
}

fn said(command: &mut Command) -> Vec<String> {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    text.lines().map(str::to_owned).collect()
}

const ALL_WELL: [&str; 3] = ["forkserver: as here", "spawn: as here", "fork: as here"];

/// Each of two rounds, if there are two, was as it should be.
fn all_well(lines: &[String]) {
    let rounds = &lines[1..];
    assert!(matches!(rounds.len(), 3 | 6), "{lines:?}");
    rounds.chunks(3).for_each(|round| assert_eq!(round, ALL_WELL));
}

/// The loader that a program names (PT_INTERP): its path stands in the file as it is.
fn loader() -> PathBuf {
    let file = fs::read(program(PLAIN)).unwrap();
    let start = file.windows(4).position(|bytes| bytes == b"/lib").expect("it names a loader");
    let end = file[start..].iter().position(|byte| *byte == 0).unwrap();
    let path = PathBuf::from(std::str::from_utf8(&file[start..start + end]).unwrap());
    assert!(path.exists(), "{path:?}");
    path
}

/// Arguments that are programs, files and options: none is to be taken for another thing.
const ARGUMENTS: [&str; 5] = ["/bin/false", "/etc/passwd", "--list", "", "-x"];

fn children_of_a_program_that_the_loader_started() {
    let folder = folder();
    copy_in(&folder, PLAIN);
    for path in [PathBuf::from("./program"), folder.path().join("program")] {
        let mut command = Command::new(loader());
        command.arg(&path).args(ARGUMENTS).current_dir(folder.path());
        all_well(&said(&mut command));
    }
    // From another directory, where the path that was given leads nowhere: only its own name differs there.
    let mut command = Command::new(loader());
    command.arg("./program").current_dir(folder.path()).env("MP_TEST_BETWEEN", "leave");
    let lines = said(&mut command);
    all_well(&lines[..4]);
    for line in &lines[4..6] {
        assert!(line.contains(&format!("([\"{}\"]", folder.path().join("program").display())), "{line}");
    }
    assert_eq!(lines[6], ALL_WELL[2]);
}

fn the_loaders_options_are_kept() {
    let folder = folder();
    copy_in(&folder, PLAIN);
    let mut command = Command::new(loader());
    command.args(["--library-path", ".", "--argv0", "another name", "./program"]).args(ARGUMENTS);
    all_well(&said(command.current_dir(folder.path())));
}

fn without_its_file_a_program_that_the_loader_started_is_refused() {
    let folder = folder();
    let copy = copy_in(&folder, PLAIN);
    let mut command = Command::new(loader());
    let lines = said(command.arg(&copy).env("MP_TEST_BETWEEN", "remove").env("MP_TEST_FILE", &copy));
    all_well(&lines[..4]);
    refused_but_for_fork(&lines[4..], "an argument of the dynamic loader");
}

fn refused_but_for_fork(round: &[String], why: &str) {
    for line in &round[..2] {
        assert!(line.contains("refused: ") && line.contains(why), "{line}");
    }
    assert_eq!(round[2..], [ALL_WELL[2]]);
}

/// The line that tells of a program's build.
fn build_of(lines: &[String]) -> &str {
    lines[0].split_once(' ').unwrap().1
}

/// Puts other bytes in the place of the first that are like these.
fn replace(file: &Path, bytes: &[u8], by: &[u8]) {
    let mut content = fs::read(file).unwrap();
    let at = content.windows(bytes.len()).position(|part| part == bytes).unwrap();
    content[at..at + by.len()].copy_from_slice(by);
    fs::write(file, content).unwrap();
}

fn a_build_without_an_id_is_known_by_its_content() {
    let folder = folder();
    let copy = copy_in(&folder, WITHOUT_ID);
    let note = b"\x04\0\0\0\x14\0\0\0\x03\0\0\0GNU\0";
    assert!(!fs::read(&copy).unwrap().windows(note.len()).any(|bytes| bytes == note), "it has no build id");
    let before = fs::metadata(&copy).unwrap();
    let mut command = Command::new(&copy);
    let first = said(command.env("MP_TEST_BETWEEN", "touch").env("MP_TEST_FILE", &copy));
    all_well(&first);
    assert_ne!(fs::metadata(&copy).unwrap().mtime(), before.mtime(), "it was touched");
    // A copy is the same build, through the loader too, and one that says another word is another one.
    assert_eq!(build_of(&said(&mut Command::new(program(WITHOUT_ID)))), build_of(&first));
    assert_eq!(build_of(&said(Command::new(loader()).arg(&copy))), build_of(&first));
    replace(&copy, b"mp-test-build-0", b"mp-test-build-1");
    let other = said(&mut Command::new(&copy));
    assert!(other[0].starts_with("mp-test-build-1"));
    all_well(&other);
    assert_ne!(build_of(&other), build_of(&first));
}

fn a_static_program_at_a_fixed_address() {
    let file = fs::read(program(FIXED)).unwrap();
    const ET_EXEC: u8 = 2;
    assert_eq!(file[16], ET_EXEC, "it is at a fixed address");
    all_well(&said(Command::new(program(FIXED)).args(ARGUMENTS)));
}

fn without_section_headers_a_static_program_is_refused() {
    const SECTIONS_AT: usize = 40;
    let folder = folder();
    let copy = copy_in(&folder, FIXED);
    let mut content = fs::read(&copy).unwrap();
    content[SECTIONS_AT..SECTIONS_AT + 8].fill(0);
    fs::write(&copy, content).unwrap();
    refused_but_for_fork(&said(&mut Command::new(&copy))[1..], "section headers");
}

fn a_static_program_at_any_address() {
    all_well(&said(Command::new(program(STATIC_PIE)).args(ARGUMENTS)));
}

fn stripped_programs() {
    let folder = folder();
    for name in [PLAIN, WITHOUT_ID, FIXED, STATIC_PIE] {
        let copy = copy_in(&folder, name);
        let stripped = Command::new("strip").arg(&copy).status();
        let Ok(status) = stripped else { not_here("needs strip, of the binutils") };
        assert!(status.success());
        all_well(&said(&mut Command::new(&copy)));
    }
}
