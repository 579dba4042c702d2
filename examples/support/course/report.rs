//! The results, as a table for people or as JSON for programs, and a bar while they come.

use crate::documents::Document;
use crate::running::{Outcome, Run};
use crate::wanted::Wanted;
use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};

/// How many runs there were, and how many of them passed.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Score {
    pub(crate) passed: usize,
    pub(crate) runs: usize,
}

/// Runs all that is wanted, and prints what comes of it.
pub(crate) fn run(wanted: &Wanted) -> Score {
    let rows = wanted.lessons.iter().flat_map(|lesson| {
        let twin = lesson.as_in_course.is_some().then_some((*lesson, true));
        std::iter::once((*lesson, false)).chain(twin)
    });
    let rows: Vec<_> = rows.collect();
    let all = rows.len() * wanted.methods.len();
    let (mut score, mut json, mut last) = (Score::default(), Vec::new(), None);
    for (lesson, as_in_course) in rows {
        let document = Document::of(lesson.name);
        if !wanted.json && last != Some(document) {
            heading(document, wanted);
        }
        last = Some(document);
        let mut cells = String::new();
        for method in &wanted.methods {
            let must_fail = wanted.failing.iter().any(|failing| failing.name == lesson.name);
            let run = Run { lesson, as_in_course, method: *method, must_fail, limit: wanted.limit };
            bar(&score, all, &run);
            let outcome = run.run();
            bar_is_gone();
            score.runs += 1;
            score.passed += usize::from(outcome.passed);
            if !outcome.passed && !must_fail {
                eprintln!(
                    "{} under {method}: {}\n{}{}",
                    lesson.name, outcome.end, outcome.stdout, outcome.stderr
                );
            }
            let _ = write!(cells, " {}", cell(&run, &outcome));
            json.push(object(&run, &outcome));
        }
        if !wanted.json {
            let name = if as_in_course { "  with the document's fault" } else { lesson.name };
            let shows = if as_in_course {
                "what its own program does".to_owned()
            } else {
                lesson.answers_and_shows()
            };
            println!("{name:<28}{cells}  {shows}");
        }
    }
    if wanted.json {
        let results = json.join(",\n");
        println!("{{\"passed\":{},\"runs\":{},\"results\":[\n{results}\n]}}", score.passed, score.runs);
    } else {
        println!("\n{} of {} runs pass", score.passed, score.runs);
    }
    score
}

fn heading(document: &Document, wanted: &Wanted) {
    println!("\n{}", painted("1", &format!("{}: \"{}\"", document.group, document.title)));
    println!("{}", document.what);
    let methods = wanted.methods.iter().map(|method| format!(" {:>11}", method.name()));
    println!("{:<28}{}", "", methods.collect::<String>());
}

fn cell(run: &Run, outcome: &Outcome) -> String {
    let (verdict, colour) = if outcome.passed { ("pass", "32") } else { ("FAIL", "31") };
    let text = format!("{}/{} {verdict}", outcome.kept, run.promise().count());
    painted(colour, &format!("{text:>11}"))
}

/// In colour, where a person looks at it and has not asked for none.
fn painted(colour: &str, text: &str) -> String {
    let plain = !takes_escapes(std::io::stdout().is_terminal()) || std::env::var_os("NO_COLOR").is_some();
    if plain { text.to_owned() } else { format!("\x1b[{colour}m{text}\x1b[0m") }
}

fn takes_escapes(is_terminal: bool) -> bool {
    is_terminal && std::env::var_os("TERM").is_none_or(|kind| kind != "dumb")
}

/// A line that is written over, on a terminal only.
fn bar(score: &Score, all: usize, run: &Run) {
    const WIDTH: usize = 24;
    if takes_escapes(std::io::stderr().is_terminal()) {
        let full = WIDTH * score.runs / all;
        let (full, empty) = ("#".repeat(full), ".".repeat(WIDTH - full));
        eprint!("\r\x1b[K[{full}{empty}] {}/{all} {} under {}", score.runs, run.lesson.name, run.method);
        let _ = std::io::stderr().flush();
    }
}

fn bar_is_gone() {
    if takes_escapes(std::io::stderr().is_terminal()) {
        eprint!("\r\x1b[K");
    }
}

fn object(run: &Run, outcome: &Outcome) -> String {
    let variant = if run.as_in_course { "as in course" } else { "plain" };
    let texts = [
        ("lesson", run.lesson.name),
        ("document", Document::of(run.lesson.name).group),
        ("answers", &run.lesson.answers),
        ("shows", &run.lesson.shows),
        ("variant", variant),
        ("method", run.method.name()),
        ("end", &outcome.end),
    ];
    let texts: String =
        texts.iter().map(|(name, text)| format!("{}:{},", quoted(name), quoted(text))).collect();
    let (promised, kept, passed) = (run.promise().count(), outcome.kept, outcome.passed);
    format!("{{{texts}\"promised\":{promised},\"kept\":{kept},\"passed\":{passed}}}")
}

/// A text as JSON has it.
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if u32::from(c) < 0x20 => _ = write!(quoted, "\\u{:04x}", u32::from(c)),
            c => quoted.push(c),
        }
    }
    quoted + "\""
}
