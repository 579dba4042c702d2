//! The public surface: `docs/surface` lists it, a file for each published crate, and these tests compare.
//! `just surface` writes the files anew.
//!
//! What is public is what rustdoc shows, with all features. So an item that is `#[doc(hidden)]` is no part of it, and
//! one that a macro makes is. Read are the pages that rustdoc writes: `all.html`, which names each item, and the page
//! of each.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;
use std::{env, fs};

/// The published crates, by the names of their libraries.
const CRATES: [&str; 9] =
    ["mp", "mp_core", "mp_derive", "mp_manager", "mp_pipe", "mp_pool", "mp_queue", "mp_shm", "mp_sync"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Documents the published crates, and returns the folder of the pages.
///
/// The folder is that of every `cargo doc`, which may have written pages with other features there meanwhile. Cargo
/// does not see that, so it is made to write the pages again unless they are those that this function left.
fn documented() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let (pages, note) = (target.join("doc"), target.join("doc/surface.left"));
    let state = || format!("{:?}", CRATES.map(|name| modified(&pages.join(name).join("all.html"))));
    if fs::read_to_string(&note).ok() != Some(state()) {
        for name in CRATES {
            let _ = fs::remove_file(pages.join(name).join("index.html"));
        }
    }
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(root()).args(["doc", "--quiet", "--no-deps", "--all-features", "--target-dir"]);
    command.arg(target);
    for name in CRATES {
        let package = if name == "mp" { "mp-rs".to_owned() } else { name.replace('_', "-") };
        command.args(["-p", &package]);
    }
    let done = command.env("RUSTDOCFLAGS", "-D warnings").output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    fs::write(note, state()).unwrap();
    pages
}

fn modified(file: &Path) -> Option<SystemTime> {
    fs::metadata(file).and_then(|data| data.modified()).ok()
}

/// What stands between two texts, from the first one on, and what follows.
fn between<'a>(text: &'a str, from: &str, to: &str) -> Option<(&'a str, &'a str)> {
    text.split_once(from)?.1.split_once(to)
}

/// The text of a piece of a page.
fn text(html: &str) -> String {
    let (mut text, mut rest) = (String::new(), html);
    while let Some((before, tag)) = rest.split_once('<') {
        text.push_str(before);
        let (tag, after) = tag.split_once('>').unwrap();
        // An attribute of a declaration is a block of its own, and so are the bounds of a function.
        text.push_str(if tag == "/div" || tag.contains("\"where") { "\n" } else { "" });
        // The head of what is folded ("Show 12 variants").
        rest = if tag.starts_with("summary") { after.split_once("</summary>").unwrap().1 } else { after };
    }
    text.push_str(rest);
    [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&nbsp;", " "), ("&amp;", "&")]
        .iter()
        .fold(text, |text, (name, character)| text.replace(name, character))
}

fn on_one_line(html: &str) -> String {
    let line = text(html).split_whitespace().filter(|word| *word != "ⓘ").collect::<Vec<_>>().join(" ");
    line.replace("( ", "(").replace(", )", ")")
}

/// Whether the page's heading links to the source of this crate. It links to another crate's if that was documented
/// before, which is chance.
fn is_of(name: &str, page: &str) -> bool {
    let heading = between(page, "<span class=\"sub-heading\">", "</span></div>");
    heading.is_some_and(|(heading, _)| heading.contains(&format!("src/{name}/")))
}

/// The lines of one item: its declaration, its methods, the traits that it implements.
fn lines_of(page: &str, kind: &str) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some((declaration, _)) = between(page, "<pre class=\"rust item-decl\">", "</pre>") {
        lines.extend(text(declaration).lines().map(|line| line.trim_end().to_owned()));
    }
    // A trait's page repeats its methods, and names implementors that other crates have, too.
    if matches!(kind, "trait" | "type" | "fn" | "constant" | "derive" | "macro") {
        return lines;
    }
    let own = page.split("id=\"blanket-implementations").next().unwrap();
    for section in own.split("<section id=\"").skip(1) {
        let Some((class, rest)) = between(section, "class=\"", "\"") else { continue };
        match class {
            "impl" => {
                let head = on_one_line(between(rest, "<h3 class=\"code-header\">", "</h3>").unwrap().0);
                let automatic =
                    ["Freeze", "RefUnwindSafe", "StructuralPartialEq", "Unpin", "UnsafeUnpin", "UnwindSafe"];
                let of = head.split_once(" for ").map_or("", |(of, _)| of);
                if !automatic.iter().any(|name| of.ends_with(name)) {
                    lines.push(head);
                }
            }
            "method" | "associatedconstant" | "associatedtype" => {
                let head = between(rest, "<h4 class=\"code-header\">", "</h4>").unwrap().0;
                lines.push(format!("    {}", on_one_line(head)));
            }
            _ => {}
        }
    }
    lines.retain(|line| !line.is_empty());
    lines
}

/// The surface of a crate: a line for each item, and below it, indented, what it consists of. What a crate re-exports
/// of another one is listed there.
fn surface(doc: &Path, name: &str) -> String {
    let all = fs::read_to_string(doc.join(name).join("all.html")).unwrap();
    let mut items = BTreeSet::new();
    let links = all.split("<li><a href=\"").skip(1).map(|item| item.split_once('"').unwrap());
    // The others lead to a heading of the same page.
    for (page, rest) in links.filter(|(page, _)| page.ends_with(".html")) {
        let path = between(rest, ">", "<").unwrap().0;
        let kind = page.rsplit('/').next().unwrap().split('.').next().unwrap();
        items.insert((path.to_owned(), kind.to_owned(), page.to_owned()));
    }
    let mut surface = String::new();
    for (path, kind, page) in items {
        let page = fs::read_to_string(doc.join(name).join(page)).unwrap();
        if !is_of(name, &page) {
            writeln!(surface, "{kind} {path}: of another crate").unwrap();
            continue;
        }
        writeln!(surface, "{kind} {path}").unwrap();
        for line in lines_of(&page, &kind) {
            writeln!(surface, "    {line}").unwrap();
        }
    }
    surface
}

/// Each line with the item that it belongs to, in a list that can be compared.
fn flat(surface: &str) -> BTreeSet<String> {
    let mut item = "";
    let lines = surface.lines().map(|line| {
        let part = line.strip_prefix("    ");
        item = if part.is_none() { line } else { item };
        part.map_or(line.to_owned(), |part| format!("{item}: {}", part.trim()))
    });
    lines.collect()
}

/// What is public and not listed (`+`), and what is listed and not public (`-`).
fn differences(name: &str, found: &str, listed: &str) -> String {
    let (found, listed) = (flat(found), flat(listed));
    let added = found.difference(&listed).map(|line| format!("+ {name}: {line}\n"));
    added.chain(listed.difference(&found).map(|line| format!("- {name}: {line}\n"))).collect()
}

#[test]
fn the_public_surface_is_the_listed_one() {
    let doc = documented();
    let mut all = String::new();
    for name in CRATES {
        let found = surface(&doc, name);
        assert!(
            found.contains(" fn ") || found.contains("derive "),
            "rustdoc's pages of {name} are not understood: has the compiler changed?"
        );
        let file = root().join("docs/surface").join(name).with_extension("txt");
        if env::var_os("MP_SURFACE").is_some_and(|wish| wish == "write") {
            fs::write(&file, &found).unwrap();
        }
        all += &differences(name, &found, &fs::read_to_string(&file).unwrap_or_default());
    }
    assert!(
        all.is_empty(),
        "the public surface is not the listed one; if that is wanted, write it anew (`just surface`) and say so in \
         CHANGELOG.md:\n{all}"
    );
}

#[test]
fn a_change_of_the_surface_is_seen() {
    let listed = "struct A\n    impl A\n        pub fn x(&self)\nstruct B\n    impl Clone for B\n";
    assert_eq!(differences("c", listed, listed), "");
    let moved = "struct B\n    impl Clone for B\nstruct A\n    impl A\n        pub fn x(&self)\n";
    assert_eq!(differences("c", moved, listed), "");
    let changed = listed.replace("x(&self)", "x(self)").replace("struct B", "enum B");
    assert_eq!(
        differences("c", &changed, listed),
        "+ c: enum B\n+ c: enum B: impl Clone for B\n+ c: struct A: pub fn x(self)\n\
         - c: struct A: pub fn x(&self)\n- c: struct B\n- c: struct B: impl Clone for B\n"
    );
}
