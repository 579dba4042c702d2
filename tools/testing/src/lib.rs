//! A harness for tests that start processes.
//!
//! libtest runs tests on threads: a fork there copies locks that no thread will release, and a child that panics
//! unwinds into libtest's own frames and ends with exit code 0, which looks like success. Here each case is a
//! process of its own with one thread, a deadline (of the time that it could use: `own_time.rs`), and an heir that
//! counts what it leaves behind.
//!
//! ```text
//!  harness ──for each case, several at once──► this program again, `--mp-watch NAME` ──► and again, `--mp-case NAME`
//!     what watches the case reads its exit status and output: a panic in it, or a child's failure that it joins, fails
//!     it; and is the heir of all that it leaves: anything alive after a grace period fails it, and is ended by id
//! ```
//!
//! A test target with `harness = false` is written as
//!
//! ```text
//! mp_testing::cases! {
//!     plain: [one, two],
//!     prepared: [four after build_a_program],   // whose time is not the case's
//!     every_method: [three],   // three::fork, three::spawn, three::forkserver
//!     mock: [one],   // one::mock: what is a variant of a case is the case's own to decide
//! }
//! fn one() { … }
//! ```
//! With `MP_INTERRUPTS=1000` each process of a case is interrupted every 1000 microseconds.
//!
//! It takes libtest's most used arguments (filters, `--list`, `--exact`, `--ignored`, `--nocapture`, `--test-threads`),
//! so that `cargo test` and `cargo nextest` drive it.

mod arguments;
mod blind;
mod child;
mod copies;
mod ends;
mod filter;
mod folder;
mod inspect;
mod interrupts;
mod lanes;
mod limits;
mod own_time;
mod programs;
mod pythons;
mod random;
mod role;
mod run;
mod seeds;
mod step;
mod stopped;
mod watch;

pub use blind::{Blind, Sees, blind, cover_proc, own_mounts, refuse_pidfds};
pub use child::{in_child, start};
pub use copies::{exit_code_of, fork_copy, fork_in_two, leave_pid_namespace};
pub use ends::{
    all_gone, end_of, keepers, kill, kill_if_it_lives, line, read_word, stay, the_keeper, wait_for_end,
    write_word,
};
pub use filter::{Bits, Fate, filter};
pub use folder::Folder;
pub use inspect::{
    descendants, no_new_shared_memory, open_descriptors, process_name, shared_memory_exists,
    shared_memory_names, sources_below, state, wait_until_gone,
};
pub use limits::{at_every_limit, limited};
pub use programs::{build, copy as copy_program, program};
pub use pythons::{Python, pythons};
pub use random::{Chance, kills, random, wait_a_random_moment, while_killing};
pub use role::{add_role, parent_in_role, role};
pub use run::{Case, ignore, main, not_here, variant};
pub use seeds::{Check, hold_for_seeds};
pub use step::{At, kill_at};
pub use stopped::{go_on, go_on_process, stop, stop_process};

/// The `main` of a test target: see the crate's documentation.
#[macro_export]
macro_rules! cases {
    (
        $(plain: [$($plain:ident),* $(,)?] $(,)?)?
        $(prepared: [$($prepared:ident after $prepare:ident),* $(,)?] $(,)?)?
        $(every_method: [$($every:ident),* $(,)?] $(,)?)?
        $(mock: [$($mock:ident),* $(,)?] $(,)?)?
    ) => {
        fn main() -> ::std::process::ExitCode {
            let mut cases = ::std::vec::Vec::new();
            $($(cases.push($crate::Case::plain(stringify!($plain), $plain));)*)?
            $($(cases.push($crate::Case::prepared(stringify!($prepared), $prepare, $prepared));)*)?
            $($(cases.extend($crate::Case::every_method(stringify!($every), $every));)*)?
            $($(cases.push($crate::Case::in_variant(stringify!($mock), "mock", $mock));)*)?
            $crate::main(&cases)
        }
    };
}

/// Bytes from pairs of hexadecimal digits; spaces and line ends between them mean nothing.
pub fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().filter(|char| !char.is_whitespace()).map(hex_digit).collect();
    digits.chunks(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect()
}

fn hex_digit(char: char) -> u32 {
    char.to_digit(16).unwrap_or_else(|| panic!("{char:?} is no hexadecimal digit"))
}
