//! The sweep itself; what is swept is in `operations`.

mod arguments;
mod companion;
mod place;
mod point;
mod process;
mod run;
pub(crate) mod scene;
mod victim;

use arguments::{Arguments, Wanted};
use run::Row;
use scene::{Mode, Operation};
use std::process::ExitCode;

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
    let Wanted { operations, unknown } = arguments.wanted(&known);
    if let Some(name) = unknown {
        eprintln!("no operation is called {name}; --list names them");
        return ExitCode::from(2);
    }
    if arguments.list {
        operations.iter().for_each(|operation| println!("{}", operation.name));
        return ExitCode::SUCCESS;
    }
    println!("{}", line(arguments.tsv, Row::HEADER.map(str::to_owned)));
    let mut bad = 0;
    for mode in &arguments.modes {
        for operation in &operations {
            bad += sweep(operation, *mode, &arguments);
        }
    }
    if bad == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Prints the operation's row; gives how many of its points were bad.
fn sweep(operation: &Operation, mode: Mode, arguments: &Arguments) -> u64 {
    let row = run::all_points(operation, mode, arguments.every, arguments.jobs);
    let name = mode.name();
    let every = if arguments.every == 1 { String::new() } else { format!("/{}", arguments.every) };
    println!("{}", line(arguments.tsv, row.columns(operation.name, &format!("{name}{every}"))));
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
