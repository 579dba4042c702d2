//! A lesson's source on the left, what it prints on the right.

use crate::documents::Document;
use crate::lesson::Lesson;
use crate::running::Run;
use crate::wanted::Wanted;
use std::process::{Command, Stdio};

/// Runs the lesson, and its twin with the document's fault if it has one. Whether they kept what they promise.
pub(crate) fn show(lesson: &Lesson, wanted: &Wanted) -> bool {
    let document = Document::of(lesson.name);
    println!("{}: answers {} of \"{}\", {}\n", lesson.name, lesson.answers, document.title, document.what);
    let (mut said, mut good) = (Vec::new(), true);
    let method = wanted.methods[wanted.methods.len() - 1];
    for as_in_course in [false, true] {
        if as_in_course && lesson.as_in_course.is_none() {
            continue;
        }
        let must_fail = wanted.failing.iter().any(|failing| failing.name == lesson.name);
        let outcome = Run { lesson, as_in_course, method, must_fail, limit: wanted.limit }.run();
        good &= outcome.passed;
        let how = if as_in_course { ", with the document's fault" } else { "" };
        said.push(format!("prints under {method}{how}:"));
        said.extend(outcome.stdout.lines().map(|line| format!("  {line}")));
        if !outcome.stderr.is_empty() {
            said.push("and on standard error:".to_owned());
            said.extend(outcome.stderr.lines().map(|line| format!("  {line}")));
        }
        let verdict = if outcome.passed { "as its header promises" } else { "NOT what its header promises" };
        said.push(format!("{}: {verdict}", outcome.end));
        said.push(String::new());
    }
    let source: Vec<String> = lesson.source.lines().map(str::to_owned).collect();
    side_by_side(&source, &said).iter().for_each(|line| println!("{line}"));
    good
}

/// Two columns; what is too long for the terminal goes on below.
fn side_by_side(left: &[String], right: &[String]) -> Vec<String> {
    let longest = |lines: &[String]| lines.iter().map(|line| line.chars().count()).max().unwrap_or_default();
    let width = terminal_width().unwrap_or(usize::MAX);
    let of_right = longest(right).min((width / 3).max(30));
    let of_left = longest(left).min(width.saturating_sub(of_right + 3).max(40));
    let (left, right) = (wrapped(left, of_left), wrapped(right, of_right));
    let line = |at: usize| {
        let of = |lines: &[String]| lines.get(at).cloned().unwrap_or_default();
        format!("{:<of_left$} | {}", of(&left), of(&right)).trim_end().to_owned()
    };
    (0..left.len().max(right.len())).map(line).collect()
}

fn wrapped(lines: &[String], width: usize) -> Vec<String> {
    let mut parts = Vec::new();
    for line in lines {
        let letters: Vec<char> = line.chars().collect();
        parts.extend(letters.chunks(width).map(|part| part.iter().collect()));
        if letters.is_empty() {
            parts.push(String::new());
        }
    }
    parts
}

/// The columns of the terminal that this is printed on; nothing if it is none.
fn terminal_width() -> Option<usize> {
    use std::io::IsTerminal;
    if !std::io::stdout().is_terminal() {
        return None;
    }
    let asked = Command::new("stty").arg("size").stdin(Stdio::inherit()).stderr(Stdio::null()).output();
    let size = asked.ok().and_then(|output| String::from_utf8(output.stdout).ok());
    let columns = |text: &str| text.trim().parse().ok().filter(|columns| *columns > 0);
    let asked = size.as_deref().and_then(|size| columns(size.split(' ').nth(1)?));
    asked.or_else(|| columns(&std::env::var("COLUMNS").ok()?)).or(Some(150))
}
