//! Plain lines: how far some work is, where there is no terminal.

use super::bar::Surface;
use super::tally::Tally;
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(super) struct Lines<W> {
    name: Arc<str>,
    began: Instant,
    out: W,
}

impl<W: Write + Send> Lines<W> {
    pub(super) fn new(name: Arc<str>, began: Instant, out: W) -> Lines<W> {
        Lines { name, began, out }
    }

    /// One write for a line, so that the lines of others do not come between its parts.
    fn write(&mut self, line: &str) {
        let name = if self.name.is_empty() { String::new() } else { format!("{}: ", self.name) };
        // Where it cannot be written, nothing is shown.
        let _ = self.out.write_all(format!("{name}{line}\n").as_bytes());
        let _ = self.out.flush();
    }
}

impl<W: Write + Send> Surface for Lines<W> {
    fn show(&mut self, tally: &Tally) -> u64 {
        // The last line is told by `end`.
        if tally.ended() > 0 && tally.total != Some(tally.ended()) {
            self.write(&line(tally, self.began.elapsed()));
        }
        next_line(tally.ended(), tally.total)
    }

    fn end(&mut self, tally: &Tally) {
        self.write(&last_line(tally, self.began.elapsed()));
    }
}

fn line(tally: &Tally, elapsed: Duration) -> String {
    let left = tally.total.map(|total| total.saturating_sub(tally.ended()));
    // A work may promise more tasks than time can be told for.
    let seconds = |left: u64| elapsed.as_secs_f64() / tally.ended() as f64 * left as f64;
    let left = left.map(|left| Duration::try_from_secs_f64(seconds(left)).unwrap_or(Duration::MAX));
    let left = left.map_or(String::new(), |left| format!(", {} left", time(left)));
    format!("{tally}, {}{left}", rate(tally.ended(), elapsed))
}

fn last_line(tally: &Tally, elapsed: Duration) -> String {
    let how = if tally.total == Some(tally.ended()) { "" } else { "stopped at " };
    format!("{how}{tally} in {}, {}", time(elapsed), rate(tally.ended(), elapsed))
}

/// How many tasks are to have ended at the next line.
fn next_line(ended: u64, total: Option<u64>) -> u64 {
    match total {
        Some(total) => {
            let step = total.div_ceil(10).max(1);
            (ended / step + 1) * step
        }
        None => {
            let mut steps = (0..19).flat_map(|power| [1, 2, 5].map(|step| step * 10_u64.pow(power)));
            steps.find(|step| *step > ended).unwrap_or(u64::MAX)
        }
    }
}

fn rate(tasks: u64, elapsed: Duration) -> String {
    match tasks as f64 / elapsed.as_secs_f64().max(1e-9) {
        rate if rate >= 10.0 => format!("{rate:.0}/s"),
        rate => format!("{rate:.2}/s"),
    }
}

fn time(time: Duration) -> String {
    match time.as_secs() {
        0..10 => format!("{:.1} s", time.as_secs_f64()),
        seconds @ 10..60 => format!("{seconds} s"),
        seconds @ 60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        seconds => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_with_each_tenth_or_in_rising_steps() {
        let steps = |total| {
            let next = move |ended: &u64| Some(next_line(*ended, total));
            std::iter::successors(Some(0), next).skip(1).take(7).collect::<Vec<_>>()
        };
        assert_eq!(steps(Some(4)), [1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(steps(Some(1005)), [101, 202, 303, 404, 505, 606, 707]);
        assert_eq!(steps(None), [1, 2, 5, 10, 20, 50, 100]);
        assert_eq!((next_line(u64::MAX - 1, None), next_line(0, Some(0))), (u64::MAX, 1));
    }

    #[test]
    fn a_line_says_how_fast_and_how_much_longer() {
        let tally = Tally { total: Some(1000), finished: 240, failed: 10, deaths: 2, ..Tally::default() };
        let text = "250/1000, 10 failed, 2 workers died, 125/s, 6.0 s left";
        assert_eq!(line(&tally, Duration::from_secs(2)), text);
        assert_eq!(last_line(&tally, Duration::from_secs(100)), {
            "stopped at 250/1000, 10 failed, 2 workers died in 1 min 40 s, 2.50/s"
        });
        let endless = Tally { total: Some(u64::MAX), finished: 1, ..Tally::default() };
        assert!(line(&endless, Duration::from_secs(3)).contains(" left"));
        let failed = Tally { total: Some(10_000), finished: 9_999, failed: 1, ..Tally::default() };
        assert_eq!(last_line(&failed, Duration::from_secs(5)), "10000/10000, 1 failed in 5.0 s, 2000/s");
        let whole = Tally { total: Some(3), finished: 3, ..Tally::default() };
        assert_eq!(last_line(&whole, Duration::from_millis(1500)), "3/3 in 1.5 s, 2.00/s");
        let stopped = Tally { total: None, finished: 3, ..Tally::default() };
        assert_eq!(last_line(&stopped, Duration::from_secs(7300)), "stopped at 3/? in 2 h 1 min, 0.00/s");
        assert_eq!(line(&stopped, Duration::from_secs(30)), "3/?, 0.10/s");
    }
}
