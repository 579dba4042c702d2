//! Programs that people know from Python's documentation and tutorials, each beside its Python counterpart, in our own
//! words: `NAME.rs` and `NAME.py` print the same, to which a test holds them.
//!
//! Run:      cargo run --example ports -- poison_pills     (one of them)
//!           cargo run --example ports                     (their names)

use std::process::ExitCode;

macro_rules! ports {
    ($($name:ident),* $(,)?) => {
        $(mod $name;)*
        type Port = (&'static str, fn() -> mp::Result<()>);
        const PORTS: &[Port] = &[$((stringify!($name), $name::main)),*];
    };
}

ports!(
    active_pool,
    async_results,
    custom_manager,
    feed_tasks,
    hash_files,
    log_listener,
    mandelbrot,
    poison_pills,
    pool_imap,
    python_manager,
    shared_table,
    stages,
    supervisor,
    word_count,
);

fn main() -> ExitCode {
    let wanted = std::env::args().nth(1);
    match (PORTS.iter().find(|(name, _)| wanted.as_deref() == Some(*name)), &wanted) {
        (Some((_, main)), _) => match main() {
            Ok(()) => return ExitCode::SUCCESS,
            Err(error) => eprintln!("{error}"),
        },
        (None, Some(unknown)) => {
            let names: Vec<&str> = PORTS.iter().map(|(name, _)| *name).collect();
            eprintln!("there is no {unknown:?}; there are: {}", names.join(", "));
        }
        (None, None) => {
            PORTS.iter().for_each(|(name, _)| println!("{name}"));
            return ExitCode::SUCCESS;
        }
    }
    ExitCode::FAILURE
}
