//! The figures of the family beside its peers', interleaved in one run.
//!
//! There are two programs. W5 starts processes, which costs more the larger the program is (its pages are copied,
//! its code is found again): so that its parent is a small one, it is not linked with the others and their peers.
//!
//! A *work* is one thing measured, under a fixed name; each *peer* does it once a round, one after the other, so that
//! a machine whose speed drifts drifts for all of them. What is printed is the median over the rounds with the least
//! and the most. A peer that is not there is said, never left out in silence.
//!
//! | file        | what                                              |
//! |-------------|---------------------------------------------------|
//! | `work.rs`   | a work, its peers, and the figures of a round      |
//! | `works/`    | the works W1 to W11, and what they use            |
//! | `python.rs` | CPython at work, driven over a pipe                |
//! | `report.rs` | medians, the table, the rows for tools             |

mod python;
mod report;
mod work;
mod works;

use report::{Figure, print_row, print_table};
use std::process::ExitCode;
use work::{Figures, Named, Work};

/// What the command line asks for.
struct Wanted {
    works: Vec<String>,
    /// All, if there are none; a peer's variants, as `mp.bytes`, come with it.
    peers: Vec<String>,
    rounds: usize,
    tsv: bool,
}

impl Wanted {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Wanted, String> {
        let mut wanted = Wanted { works: Vec::new(), peers: Vec::new(), rounds: 5, tsv: false };
        while let Some(word) = words.next() {
            match word.as_str() {
                "--tsv" => wanted.tsv = true,
                // What `cargo bench` adds by itself.
                "--bench" => {}
                "--rounds" => {
                    let number =
                        words.next().and_then(|number| number.parse().ok()).filter(|number| *number > 0);
                    wanted.rounds = number.ok_or("--rounds wants a number of at least 1")?;
                }
                "--peer" => wanted.peers.push(words.next().ok_or("--peer wants a name")?),
                flag if flag.starts_with('-') => return Err(format!("unknown option {flag}")),
                _ => wanted.works.push(word),
            }
        }
        Ok(wanted)
    }

    /// Forgets what is another program's to do; `false`: nothing else was asked for.
    fn keep(&mut self, ours: impl Fn(&str) -> bool) -> bool {
        let all = self.works.is_empty();
        self.works.retain(|name| ours(name));
        all || !self.works.is_empty()
    }

    fn selects(&self, metric: &str) -> bool {
        // Not W10 by W1.
        let cuts_a_number = |part: &str, rest: &str| {
            part.ends_with(|c: char| c.is_ascii_digit()) && rest.starts_with(|c: char| c.is_ascii_digit())
        };
        let named = |part: &String| metric.strip_prefix(part).is_some_and(|rest| !cuts_a_number(part, rest));
        self.works.is_empty() || self.works.iter().any(named)
    }

    fn selects_peer(&self, peer: &str) -> bool {
        self.peers.is_empty() || self.peers.iter().any(|name| is_variant(peer, name))
    }
}

/// Whether a peer is the one of this name, or a variant of it: `mp.bytes` of `mp`, and not `mpire`.
fn is_variant(peer: &str, name: &str) -> bool {
    peer.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Whether a name that is asked for is one of W5's.
fn is_start(name: &str) -> bool {
    name.starts_with("W5")
}

/// Runs what the command line asks for, but for W5: `[work…] [--peer name]… [--rounds n] [--tsv]`.
pub fn works() -> ExitCode {
    main(works::all, |name| !is_start(name))
}

/// The same of W5, in which processes start.
pub fn starts() -> ExitCode {
    main(works::starts, is_start)
}

fn main(works: impl FnOnce() -> Vec<Work>, ours: impl Fn(&str) -> bool) -> ExitCode {
    let mut wanted = match Wanted::parse(std::env::args().skip(1)) {
        Ok(wanted) => wanted,
        Err(why) => {
            eprintln!(
                "{why}\nusage: cargo bench -p mp-bench -- [work...] [--peer name]... [--rounds n] [--tsv]"
            );
            return ExitCode::FAILURE;
        }
    };
    if !wanted.keep(ours) {
        return ExitCode::SUCCESS;
    }
    eprintln!("{}\n{}", works::host::describe(), python::describe());
    let mut figures = Vec::new();
    for mut work in works().into_iter().filter(|work| wanted.selects(&work.metric)) {
        work.peers.retain(|peer| wanted.selects_peer(peer.name));
        eprintln!("{}: {} rounds", work.metric, wanted.rounds);
        figures.extend(measure(&mut work, wanted.rounds));
    }
    if figures.is_empty() {
        eprintln!("no work is called so, or no peer of it");
        return ExitCode::FAILURE;
    }
    if wanted.tsv {
        figures.iter().for_each(print_row);
    } else {
        print_table(&figures);
    }
    // A figure of our own that could not be measured is a failure; a missing peer is not.
    if figures.iter().any(is_failure) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn is_failure(figure: &Figure) -> bool {
    is_variant(figure.peer, "mp") && figure.values.is_err()
}

/// The figures of each peer, those of a suffix together.
fn measure(work: &mut Work, rounds: usize) -> Vec<Figure> {
    let mut measured: Vec<Result<Vec<Named>, String>> = work.peers.iter().map(|_| Ok(Vec::new())).collect();
    for _ in 0..rounds {
        for (peer, measured) in work.peers.iter_mut().zip(&mut measured) {
            let Ok(of_peer) = measured else { continue };
            match (peer.round)() {
                Ok(Figures { figure, further }) => {
                    of_peer.push(("", work.unit, figure));
                    of_peer.extend(further);
                }
                Err(why) => {
                    eprintln!("{} of {}: {why}", work.metric, peer.name);
                    *measured = Err(why);
                }
            }
        }
    }
    let mut names = vec![("", work.unit)];
    for &(suffix, unit, _) in measured.iter().flatten().flatten() {
        if !names.contains(&(suffix, unit)) {
            names.push((suffix, unit));
        }
    }
    let mut figures = Vec::new();
    for (suffix, unit) in names {
        figures.extend(work.peers.iter().zip(&measured).map(|(peer, measured)| Figure {
            metric: format!("{}{suffix}", work.metric),
            peer: peer.name,
            unit,
            rate: work.rate,
            values: measured.as_ref().map_err(Clone::clone).map(|all| with_suffix(all, suffix)),
        }));
    }
    // A peer that does not give a further figure has no row for it.
    figures.retain(|figure| figure.values.as_ref().map_or(true, |values| !values.is_empty()));
    figures
}

fn with_suffix(all: &[Named], suffix: &str) -> Vec<f64> {
    all.iter().filter(|(of, ..)| *of == suffix).map(|(.., value)| *value).collect()
}

#[cfg(test)]
mod tests {
    use super::{Figure, Figures, Wanted, Work, is_failure, is_start, measure};
    use crate::work::Peer;

    fn wanted(words: &[&str]) -> Result<Wanted, String> {
        Wanted::parse(words.iter().map(|word| (*word).to_owned()))
    }

    #[test]
    fn a_work_is_named_by_its_beginning_and_a_peer_brings_its_variants() {
        let asked = wanted(&["W1", "--peer", "mp", "--rounds", "3"]).unwrap();
        assert!(asked.selects("W1.64B") && !asked.selects("W2.2x2") && !asked.selects("W10.wait.10"));
        assert!(asked.selects_peer("mp") && asked.selects_peer("mp.bytes"));
        assert!(!asked.selects_peer("mpire") && !asked.selects_peer("pipe"));
        assert_eq!(asked.rounds, 3);
    }

    #[test]
    fn without_names_all_are_selected() {
        let asked = wanted(&["--bench"]).unwrap();
        assert!(asked.selects("W2.2x2") && asked.selects_peer("pipe"));
    }

    #[test]
    fn each_program_does_its_own_part() {
        let mut asked = wanted(&["W5.fork", "W1"]).unwrap();
        assert!(asked.keep(|name| !is_start(name)));
        assert!(asked.selects("W1.64B") && !asked.selects("W5.fork.small"));
        assert!(!asked.keep(is_start), "nothing is left to do");
        assert!(wanted(&[]).unwrap().keep(is_start), "all are asked for");
    }

    #[test]
    fn what_cannot_be_understood_is_refused() {
        for words in [&["--rounds", "0"][..], &["--rounds"], &["--peer"], &["--fast"]] {
            assert!(wanted(words).is_err(), "{words:?}");
        }
    }

    fn three_rounds(peers: Vec<Peer>) -> Vec<Figure> {
        measure(&mut Work { metric: "W".to_owned(), unit: "us", rate: false, peers }, 3)
    }

    #[test]
    fn further_figures_of_a_round_stand_under_their_suffix_in_their_unit() {
        let mut round = 0.0;
        let two = Peer::of_several("two", move || {
            round += 1.0;
            Ok(Figures { figure: round, further: vec![(".cpu", "%", 10.0 * round)] })
        });
        let figures = three_rounds(vec![two, Peer::new("one", || Ok(7.0))]);
        let shown: Vec<_> = figures
            .into_iter()
            .map(|figure| (figure.metric, figure.peer, figure.values.unwrap(), figure.unit))
            .collect();
        let expected = [
            ("W".to_owned(), "two", vec![1.0, 2.0, 3.0], "us"),
            ("W".to_owned(), "one", vec![7.0; 3], "us"),
            ("W.cpu".to_owned(), "two", vec![10.0, 20.0, 30.0], "%"),
        ];
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_missing_figure_of_our_own_is_a_failure_and_a_missing_peer_is_not() {
        let absent = |name| Peer::new(name, || Err("absent".to_owned()));
        let figures = three_rounds(vec![
            absent("mp"),
            absent("mp.bytes"),
            absent("mpire"),
            Peer::new("mp", || Ok(1.0)),
        ]);
        assert_eq!(figures.iter().map(is_failure).collect::<Vec<_>>(), [true, true, false, false]);
    }

    #[test]
    fn a_peer_that_fails_once_is_missing_and_not_asked_again() {
        let mut asked = 0;
        let absent = Peer::new("absent", move || {
            asked += 1;
            if asked == 2 { Err("gone".to_owned()) } else { Ok(f64::from(asked)) }
        });
        let figures = three_rounds(vec![absent]);
        assert_eq!(figures.len(), 1);
        assert_eq!(figures[0].values, Err("gone".to_owned()));
    }
}
