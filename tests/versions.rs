//! Two versions of mp-core in one program: cargo refuses them before anything is built.

use mp_testing::Folder;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The line of a crate's manifest that begins with `key`.
fn line_of(manifest: &str, key: &str) -> Option<String> {
    let text = fs::read_to_string(root().join(manifest)).unwrap();
    text.lines().find(|line| line.starts_with(key)).map(str::to_owned)
}

fn package(folder: &Path, name: &str, rest: &str) {
    fs::create_dir_all(folder.join("src")).unwrap();
    fs::write(folder.join("src/lib.rs"), "").unwrap();
    fs::write(folder.join("build.rs"), "fn main() {}").unwrap();
    let manifest = format!("[package]\nname = \"{name}\"\nversion = \"0.0.1\"\nedition = \"2024\"\n{rest}\n");
    fs::write(folder.join("Cargo.toml"), manifest).unwrap();
}

/// What cargo says of a program that uses this mp-core and another one.
fn resolved(folder: &Path, links: &str) -> Output {
    package(&folder.join("other"), "mp-core", links);
    let here = root().join("mp-core").display().to_string();
    let dependencies = format!(
        "[workspace]\n[dependencies]\nmp-core = {{ path = {here:?} }}\nother = {{ package = \"mp-core\", path = \"other\" }}"
    );
    package(folder, "program", &dependencies);
    fs::copy(root().join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["metadata", "--offline", "--format-version", "1"]).current_dir(folder).output().unwrap()
}

#[test]
fn cargo_refuses_two_versions_of_the_crate() {
    let folder = Folder::new("versions");
    let without = resolved(folder.path(), "");
    assert!(
        without.status.success(),
        "else this tries nothing: {}",
        String::from_utf8_lossy(&without.stderr)
    );
    let links = line_of("mp-core/Cargo.toml", "links = ").expect("the manifest has the key");
    let refused = resolved(folder.path(), &links);
    let why = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && why.contains("links"), "{why}");
}
