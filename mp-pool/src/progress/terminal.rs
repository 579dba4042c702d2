//! A bar on a terminal, by the crate `indicatif`.

use super::bar::Surface;
use super::tally::Tally;
use indicatif::{ProgressBar, ProgressStyle};
use std::time::Duration;

/// How fast and how long are shown anew so often, while no task ends.
const TICK: Duration = Duration::from_millis(250);
/// Steps of a bar from the first task to the last.
const STEPS: u64 = 500;

pub(super) struct Terminal {
    bar: ProgressBar,
    /// Its style is the program's.
    own: bool,
    /// Its style is that of a known length, or not.
    known: Option<bool>,
}

impl Terminal {
    pub(super) fn new(name: &str) -> Terminal {
        let bar = ProgressBar::no_length();
        bar.set_prefix(if name.is_empty() { String::new() } else { format!("{name}: ") });
        bar.enable_steady_tick(TICK);
        Terminal { bar, own: false, known: None }
    }

    /// A bar that the program has made.
    pub(super) fn of(bar: ProgressBar) -> Terminal {
        Terminal { bar, own: true, known: None }
    }

    fn set(&mut self, tally: &Tally) {
        let known = tally.total.is_some();
        if !self.own && self.known.replace(known) != Some(known) {
            self.bar.set_style(style(known));
        }
        if let Some(total) = tally.total {
            self.bar.set_length(total);
        }
        self.bar.set_position(tally.ended());
        self.bar.set_message(tally.troubles());
    }
}

fn style(known: bool) -> ProgressStyle {
    let template = if known {
        "{prefix}{wide_bar} {pos}/{len}{msg}, {per_sec}, {eta} left"
    } else {
        "{prefix}{spinner} {pos}/?{msg}, {per_sec}, {elapsed}"
    };
    // A test reads both.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

impl Surface for Terminal {
    fn show(&mut self, tally: &Tally) -> u64 {
        self.set(tally);
        tally.ended() + (tally.total.unwrap_or(tally.ended()) / STEPS).max(1)
    }

    fn end(&mut self, tally: &Tally) {
        self.set(tally);
        if tally.is_finished() {
            self.bar.finish();
        } else {
            self.bar.abandon();
        }
    }
}

/// The thread has panicked: the bar is not left half drawn.
impl Drop for Terminal {
    fn drop(&mut self) {
        if !self.bar.is_finished() {
            self.bar.abandon();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use indicatif::{InMemoryTerm, MultiProgress, ProgressDrawTarget};

    fn drawn(tallies: &[Tally], own: bool) -> String {
        let screen = InMemoryTerm::new(5, 100);
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::term_like(Box::new(screen.clone())));
        let mut terminal = if own { Terminal::of(ProgressBar::new(0)) } else { Terminal::new("eco") };
        terminal.bar = all.add(terminal.bar.clone());
        let (last, others) = tallies.split_last().unwrap();
        for tally in others {
            terminal.show(tally);
        }
        terminal.end(last);
        assert!(terminal.bar.is_finished());
        screen.contents()
    }

    #[test]
    fn it_is_full_when_all_is_finished() {
        let tally = |finished| Tally { total: Some(4), finished, ..Tally::default() };
        let screen = drawn(&[tally(1), tally(4)], false);
        assert!(screen.contains("eco: █") && screen.contains("4/4, ") && !screen.contains('░'), "{screen}");
        assert!(drawn(&[tally(4)], true).contains("4/4"));
    }

    #[test]
    fn it_stays_where_it_was_when_not() {
        let tally = Tally { total: Some(4), finished: 2, failed: 1, deaths: 1, ..Tally::default() };
        let screen = drawn(&[Tally::default(), tally], false);
        assert!(screen.contains('░') && screen.contains("3/4, 1 failed, 1 worker died, "), "{screen}");
    }

    #[test]
    fn a_length_that_is_not_known_is_not_shown() {
        let screen = drawn(&[Tally { total: None, finished: 7, ..Tally::default() }], false);
        assert!(screen.contains("eco: ") && screen.contains("7/?"), "{screen}");
    }
}
