//! The rules that no lint holds: where `unsafe` may stand, which crate may use which, how long a file is, what the
//! recipes name. (Lints are in `Cargo.toml` and `clippy.toml`.)

use mp_testing::sources_below;
use std::fs;
use std::path::PathBuf;

/// The only files in which `unsafe` may appear. A change that adds one changes this list too.
const UNSAFE: &[&str] = &[
    "mp-derive/src/expand.rs",
    "mp-core/src/mem/bytes.rs",
    // Plain references into memory that the kernel keeps from being changed.
    "mp-core/src/mem/frozen.rs",
    "mp-core/src/mem/mapping.rs",
    "mp-core/src/mem/shared_ref.rs",
    "mp-core/src/mem/plain.rs",
    "mp-core/src/mem/racy.rs",
    "mp-core/src/mem/window.rs",
    // Elements of a pool's buffers, read and filled where they lie.
    "mp-pool/src/buffer/slice.rs",
    "mp-core/src/popen/boot.rs",
    "mp-core/src/popen/fork.rs",
    "mp-core/src/sys/boot_peer.rs",
    "mp-core/src/sys/confinement.rs",
    "mp-core/src/sys/execute.rs",
    "mp-core/src/sys/fd.rs",
    "mp-core/src/sys/futex.rs",
    // Advice for whole pages of a long vector.
    "mp-core/src/sys/huge_pages.rs",
    "mp-core/src/sys/image.rs",
    "mp-core/src/sys/memory.rs",
    "mp-core/src/sys/poll.rs",
    "mp-core/src/sys/privilege.rs",
    "mp-core/src/sys/process.rs",
    "mp-core/src/sys/robust.rs",
    "mp-core/src/sys/robust/end.rs",
    "mp-core/src/sys/signal.rs",
    "mp-core/src/sys/socket.rs",
    "mp-core/src/sys/state.rs",
    // Bytes go into room that is not zeroed first.
    "mp-core/src/sys/stream.rs",
    // The C library's keys: a thread's locals with destructors are dropped before other locals, which may hold guards.
    "mp-core/src/sys/thread_end.rs",
    // A word in a page that the kernel clears in forked copies.
    "mp-core/src/sys/wiped.rs",
    // Short ASCII becomes text without a second check.
    "mp-core/src/transfer/codec/text.rs",
    "mp-core/src/transfer/entry.rs",
    "mp-core/src/transfer/func.rs",
    "mp-queue/src/ring/layout.rs",
    "mp-shm/src/shared_memory.rs",
    "tools/sweep/src/sweep/process.rs",
    "mp-sync/src/cell.rs",
    "mp-sync/src/row.rs",
];

/// Which crates of the family each crate may use, outside its tests: those on the floors below.
const FLOORS: &[(&str, &[&str])] = &[
    ("mp-derive", &[]),
    ("mp-core", &["mp-derive"]),
    ("mp-sync", &["mp-core"]),
    ("mp-pipe", &["mp-core"]),
    ("mp-shm", &["mp-core"]),
    ("mp-queue", &["mp-core", "mp-sync"]),
    ("mp-pool", &["mp-core", "mp-sync", "mp-queue"]),
    ("mp-manager", &["mp-derive", "mp-core", "mp-sync", "mp-pipe", "mp-shm", "mp-queue", "mp-pool"]),
    ("tools/sweep", &["mp-core", "mp-sync", "mp-pipe", "mp-queue", "mp-manager", "mp-pool"]),
];

/// Where the system is called by its own names: its floor, and the tool that traces processes instruction by
/// instruction, which no other code does.
const SYSTEM: &[&str] = &["mp-core/src/sys/", "tools/sweep/src/sweep/"];

/// A file longer than this is to be split by actor or state.
const LONGEST: usize = 449;

/// Columns of a comment's line.
const WIDEST: usize = 120;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// (path from the root, text) of every source file of the published crates, and of the sweep.
fn sources() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (name, _) in FLOORS {
        found.extend(sources_below(&root().join(name).join("src")));
    }
    found.extend(sources_below(&root().join("src")));
    let name = |path: &PathBuf| path.strip_prefix(root()).unwrap().display().to_string();
    found.iter().map(|path| (name(path), fs::read_to_string(path).unwrap())).collect()
}

/// Whether the file is a module that its parent declares for tests only.
fn is_tests_only(path: &str) -> bool {
    let path = root().join(path);
    let name = path.file_stem().unwrap().to_string_lossy();
    let declaration = format!("#[cfg(test)]\nmod {name};");
    ["mod.rs", "lib.rs"]
        .iter()
        .filter_map(|parent| fs::read_to_string(path.with_file_name(parent)).ok())
        .any(|parent| parent.contains(&declaration))
}

/// The lines of a file that are code.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.trim_start().starts_with("//"))
}

#[test]
fn unsafe_stands_in_the_listed_files_only() {
    for (path, text) in sources() {
        let has = code(&text).any(|line| {
            ["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern", "#[unsafe("]
                .iter()
                .any(|form| line.contains(form))
        });
        let declares = code(&text).any(|line| line.contains("unsafe trait"));
        let listed = UNSAFE.contains(&path.as_str());
        assert!(!has && !declares || listed, "{path} has unsafe code and is not listed");
        assert!(!listed || has, "{path} is listed and has no unsafe code");
        if listed {
            assert!(text.contains("//! # Safety"), "{path} does not state what its unsafe code protects");
        }
    }
}

#[test]
fn each_crate_has_the_lints_of_the_workspace() {
    for (name, _) in FLOORS {
        let manifest = fs::read_to_string(root().join(name).join("Cargo.toml")).unwrap();
        assert!(manifest.contains("[lints]\nworkspace = true"), "{name} has lints of its own");
    }
}

#[test]
fn the_examples_are_short_and_wait_for_no_clock() {
    let examples = sources_below(&root().join("examples"));
    let listed = fs::read_to_string(root().join("examples/README.md")).unwrap();
    for path in examples.iter().filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("ex")) {
        let text = fs::read_to_string(path).unwrap();
        let (lines, name) = (text.lines().count(), path.file_stem().unwrap().to_string_lossy());
        let path = path.display();
        assert!(lines <= 100, "{path} has {lines} lines");
        let has_reason = listed.contains(&format!("\n| {name} | "));
        assert_eq!(
            lines > 60,
            has_reason,
            "{path} has {lines} lines: examples/README.md lists those of more than 60"
        );
        // A process that sleeps for an hour is killed; any other sleep hides a race.
        assert!(
            code(&text).all(|line| !line.contains("sleep(") || line.contains("from_secs(3600)")),
            "{path}"
        );
        for line in ["//! Answers:  ", "//! Python:   ", "//! Run:      cargo run --example"] {
            assert!(text.contains(line), "{path} has no line {line:?}");
        }
        assert!(text.contains("fn main() -> mp::Result<()>"), "{path}");
    }
}

/// The names that a package's manifest lists under `[dependencies]`.
fn dependencies(folder: &str) -> Vec<String> {
    let manifest = fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap();
    let section = manifest.split("\n[dependencies]").nth(1).unwrap().split("\n[").next().unwrap();
    section.lines().filter_map(|line| line.split(['.', ' ', '=']).next()).map(str::to_owned).collect()
}

#[test]
fn crates_use_lower_floors_only() {
    for (name, allowed) in FLOORS {
        for other in dependencies(name).iter().filter(|other| other.starts_with("mp-")) {
            assert!(allowed.contains(&other.as_str()), "{name} uses {other}");
        }
    }
}

/// Users choose their own, if they want one. (Examples show how a connection goes with tokio.)
#[test]
fn no_crate_of_the_family_brings_a_runtime() {
    for name in FLOORS.iter().map(|(name, _)| *name).chain([""]) {
        let used = dependencies(name);
        for runtime in ["tokio", "mio", "async-io", "smol", "rayon"] {
            assert!(!used.iter().any(|other| other == runtime), "{name} brings {runtime}");
        }
    }
}

#[test]
fn only_the_system_floor_names_the_system() {
    for (path, text) in sources() {
        let names =
            code(&text).any(|line| line.contains("libc::") || line.replace("unix::", "").contains("nix::"));
        let may = SYSTEM.iter().any(|floor| path.starts_with(floor));
        assert!(!names || may, "{path} names libc or nix");
    }
}

#[test]
fn files_are_short_and_say_what_they_are() {
    for (path, text) in sources() {
        assert!(text.lines().count() <= LONGEST, "{path} has {} lines", text.lines().count());
        assert!(text.starts_with("//!"), "{path} does not say what it is");
    }
}

/// Whether a line is prose: a comment, but not a table, a figure or a program in one.
fn is_prose(line: &str) -> bool {
    let Some(comment) = line.trim_start().strip_prefix("//") else { return false };
    let text = comment.trim_start_matches(['/', '!']);
    !text.starts_with("   ") && !text.trim_start().starts_with('|')
}

#[test]
fn comments_are_not_wider_than_a_page() {
    let mut wide = Vec::new();
    for (path, text) in sources() {
        let mut in_program = false;
        for (number, line) in text.lines().enumerate() {
            if line.trim_start().starts_with("//") && line.contains("```") {
                in_program = !in_program;
            }
            if !in_program && is_prose(line) && line.chars().count() > WIDEST {
                wide.push(format!("{path}:{}", number + 1));
            }
        }
    }
    assert!(wide.is_empty(), "these have more than {WIDEST} columns: {wide:#?}");
}

#[test]
fn every_atomic_has_a_reason() {
    for (path, text) in sources().into_iter().filter(|(path, _)| !is_tests_only(path)) {
        let mut last_reason: Option<usize> = None;
        let lines: Vec<&str> = text.lines().collect();
        // Tests need none. (`mod tests;` ends nothing: code may follow.)
        let tests_from = lines.iter().position(|line| line.contains("mod tests {")).unwrap_or(lines.len());
        for (at, line) in lines[..tests_from].iter().enumerate() {
            if line.contains("// ORDERING:") {
                last_reason = Some(at);
            }
            let used = ["Ordering::Relaxed", "Ordering::Acquire", "Ordering::Release", "Ordering::SeqCst"];
            let uses = used.iter().any(|order| line.contains(order)) && !line.trim_start().starts_with("//");
            if uses {
                // One reason may stand for a function whose operations all have it.
                assert!(
                    last_reason.is_some_and(|reason| at - reason <= 40),
                    "{path}:{} has an ordering without a reason",
                    at + 1
                );
            }
        }
    }
}

#[test]
fn the_conformance_list_names_tests_that_exist() {
    let mut found = Vec::new();
    for folder in FLOORS.iter().map(|(name, _)| *name).chain([""]) {
        let tests = root().join(folder).join("tests");
        if tests.exists() {
            found.extend(sources_below(&tests));
        }
    }
    let tests: String = found.iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    let list = fs::read_to_string(root().join("docs/conformance.md")).unwrap();
    let mut named = 0;
    for row in list.lines().filter(|line| line.starts_with("| P")) {
        let test = row.split(" | ").last().unwrap();
        // Between the first and the second back quote, the third and the fourth, and so on.
        for name in test.split('`').skip(1).step_by(2) {
            let exists = match name {
                file if file.ends_with(".rs") => found.iter().any(|path| path.ends_with(file)),
                case if !case.contains("::") && case.starts_with(|c: char| c.is_ascii_lowercase()) => {
                    tests.contains(&format!("fn {case}("))
                        || root().join(format!("examples/{case}.rs")).exists()
                }
                // A type or a method, whose doc-test it is.
                _ => continue,
            };
            assert!(exists, "there is no {name}: {row}");
            named += 1;
        }
    }
    assert!(named > 50, "{named}");
}

/// The folder of each package of the workspace, by its name.
fn packages() -> Vec<(String, PathBuf)> {
    let workspace = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let members = workspace.split("members = [").nth(1).unwrap().split(']').next().unwrap();
    let folders = members.split('"').skip(1).step_by(2).map(|member| root().join(member));
    let named = |folder: PathBuf| {
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
        let package = manifest.split("[package]").nth(1).unwrap();
        let name = package.lines().find_map(|line| line.strip_prefix("name = ")).unwrap();
        (name.trim_matches('"').to_owned(), folder)
    };
    folders.chain([root()]).map(named).collect()
}

/// What is wrong with the recipes: `just` refuses a file with two of one name, and cargo a target that is not there.
fn wrong_recipes(text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut names: Vec<&str> = Vec::new();
    // A recipe's head is not indented, ends its list of parameters with a colon, and gives no variable a value.
    let heads = text.lines().filter(|line| !line.starts_with([' ', '#']) && !line.contains(":="));
    for head in heads.filter(|line| line.contains(':')) {
        let name = head.split([' ', ':']).next().unwrap_or_default().trim_start_matches('@');
        if names.contains(&name) {
            wrong.push(format!("two recipes are called {name}"));
        }
        names.push(name);
    }
    let packages = packages();
    for line in text.lines().filter(|line| line.starts_with(' ') && line.contains("cargo ")) {
        // What follows ` -- ` is for the program.
        let words: Vec<&str> = line.split_whitespace().take_while(|word| *word != "--").collect();
        let after = |flag: &str| words.windows(2).find(|pair| pair[0] == flag).map(|pair| pair[1]);
        let package = after("-p").map(|wanted| (wanted, packages.iter().find(|(name, _)| name == wanted)));
        let folder = match package {
            None => root(),
            Some((_, Some((_, folder)))) => folder.clone(),
            Some((wanted, None)) => {
                wrong.push(format!("there is no package {wanted}: {}", line.trim()));
                continue;
            }
        };
        for (flag, kind) in [("--test", "tests"), ("--example", "examples"), ("--bench", "benches")] {
            let Some(name) = after(flag) else { continue };
            let source = folder.join(kind).join(name).with_extension("rs");
            if !source.exists() {
                wrong.push(format!("there is no {}: {}", source.display(), line.trim()));
            }
        }
    }
    wrong
}

#[test]
fn recipes_have_names_of_their_own_and_name_what_exists() {
    let recipes = fs::read_to_string(root().join("justfile")).unwrap();
    assert_eq!(wrong_recipes(&recipes), [""; 0]);
    // And what is wrong would be seen.
    let doubled = format!("{recipes}\nmany more=\"5\":\n    true\n");
    assert_eq!(wrong_recipes(&doubled), ["two recipes are called many"]);
    for (line, seen) in [
        ("cargo test --test no_such", true),
        ("cargo test --test house_rules", false),
        ("X=1 cargo test -p mp-pipe --test house_rules", true),
        ("X=1 cargo test -p mp-pipe --test hostile -- --test no_such", false),
        ("cargo test --test listener -p mp-pipe", false),
        ("cargo run -p no-such-crate", true),
        ("cargo run --example no_such", true),
    ] {
        let wrong = wrong_recipes(&format!("recipe:\n    {line}\n"));
        assert_eq!(!wrong.is_empty(), seen, "{line}: {wrong:?}");
    }
}
