//! The whole course: every lesson as a program of its own, under every start method.
//!
//! Run:      cargo run --release --example course
//!           cargo run --release --example course -- ex06        (one lesson)
//!           cargo run --release --example course -- show ex06   (its source and what it prints, side by side)
//!           cargo run --release --example course -- --help
//!
//! A lesson passes if it ends with status 0 and prints what its header promises, line by line: the counts in the table
//! are of those lines. The exit status is 1 if one falls short.

// Each lesson stands alone, so two of them bring the same file of `support` along.
#![allow(clippy::duplicate_mod)]

#[path = "support/course/beside.rs"]
mod beside;
#[path = "support/documents.rs"]
mod documents;
#[macro_use]
#[path = "support/lesson.rs"]
mod lesson;
#[path = "support/course/report.rs"]
mod report;
#[path = "support/course/running.rs"]
mod running;
#[path = "support/course/wanted.rs"]
mod wanted;

use lesson::Lesson;
use std::process::ExitCode;
use wanted::{Task, USAGE, Wanted, what_there_is};

macro_rules! lessons {
    ($($name:ident),* $(,)?) => {
        $(mod $name;)*
        /// (name, its main, its source)
        const LESSONS: &[(&str, fn() -> mp::Result<()>, &str)] =
            &[$((stringify!($name), $name::main, include_str!(concat!(stringify!($name), ".rs")))),*];
    };
}

all_lessons!(lessons);

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, name, ..] = &words[..]
        && flag == running::BE
    {
        return be(name);
    }
    let all: Vec<Lesson> = LESSONS.iter().map(|(name, _, source)| Lesson::read(name, source)).collect();
    let wanted = match Wanted::parse(&words, &all) {
        Ok(wanted) => wanted,
        Err(wrong) => {
            eprintln!("{}", wrong.trim_end());
            return ExitCode::from(2);
        }
    };
    let good = match wanted.task {
        Task::Help => {
            println!("{USAGE}");
            true
        }
        Task::List => {
            print!("{}", what_there_is(&all));
            true
        }
        Task::Show => wanted.lessons.iter().filter(|lesson| !beside::show(lesson, &wanted)).count() == 0,
        Task::Run => {
            let score = report::run(&wanted);
            // To have run nothing is no success.
            score.passed == score.runs && score.runs > 0
        }
    };
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// In the lesson's own process.
fn be(name: &str) -> ExitCode {
    let lesson = LESSONS.iter().find(|(other, ..)| *other == name);
    match lesson.map(|(_, main, _)| main()) {
        Some(Ok(())) => ExitCode::SUCCESS,
        Some(Err(error)) => {
            eprintln!("{name}: {error}");
            ExitCode::FAILURE
        }
        None => ExitCode::FAILURE,
    }
}
