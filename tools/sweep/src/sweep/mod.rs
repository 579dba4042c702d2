//! The sweep itself; what is swept is in `operations`.

mod arguments;
mod companion;
pub(crate) mod family;
mod place;
mod point;
pub(crate) mod process;
mod run;
pub(crate) mod scene;
mod victim;

use arguments::Arguments;
use run::Row;
use scene::{Every, Mode, Operation};
use std::process::ExitCode;

/// In [`Mode::Twice`], unless the command line says otherwise, only every so many-th point of both deaths is tried.
const TWICE: u64 = 13;

/// Does what the command line asks for.
pub(crate) fn main() -> ExitCode {
    let arguments = match Arguments::parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(wrong) => {
            eprintln!("{wrong}\n{}", arguments::USAGE);
            return ExitCode::from(2);
        }
    };
    let known = crate::operations::all();
    let wanted = match arguments.wanted(&known) {
        Ok(wanted) => wanted,
        Err(refused) => {
            eprintln!("{refused}");
            return ExitCode::from(2);
        }
    };
    if arguments.list {
        let mut names: Vec<&str> = wanted.iter().map(|(_, operation)| operation.name).collect();
        names.dedup();
        names.iter().for_each(|name| println!("{name}"));
        return ExitCode::SUCCESS;
    }
    if cfg!(debug_assertions) {
        eprintln!(
            "a debug build has some ten times the instructions, and all points take a hundred times as long:"
        );
        eprintln!("build with --release, or try fewer points (--every)");
    }
    process::forget_environment();
    println!("{}", line(arguments.tsv, Row::HEADER.map(str::to_owned)));
    let bad: u64 = wanted.iter().map(|(mode, operation)| sweep(operation, *mode, &arguments)).sum();
    if bad == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Prints the operation's row; gives how many of its points were bad.
fn sweep(operation: &Operation, mode: Mode, arguments: &Arguments) -> u64 {
    let every = arguments.every.unwrap_or(match (mode, operation.every) {
        // Each point is multiplied by those of the second death.
        (Mode::Twice, Every::Point(every)) => Every::Point(every * TWICE),
        (_, every) => every,
    });
    let row = run::all_points(operation, mode, every, arguments.jobs);
    println!("{}", line(arguments.tsv, row.columns(operation.name, &format!("{}{every}", mode.name()))));
    row.bad()
}

fn line(tsv: bool, columns: [String; 8]) -> String {
    if tsv {
        return columns.join("\t");
    }
    let [operation, mode, rest @ ..] = columns;
    let rest: Vec<String> = rest.iter().map(|column| format!("{column:>8}")).collect();
    format!("{operation:<27} {mode:<8} {}", rest.join(" "))
}
