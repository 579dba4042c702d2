//! What a benchmark says beside its times: what was done, on what machine, and whether that tells anything.

use mp::pipeline::Report;
use mp::{Result, cpu_count, usable_cpu_count};
use serde::{Deserialize, Serialize, Serializer};
use std::collections::HashSet;
use std::fmt::Write;
use std::time::Duration;

/// Nanoseconds that this thread has had a CPU, as the kernel counts them.
pub(crate) fn cpu_time() -> u64 {
    let counted = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    counted.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or_default()
}

/// As a bar that has a lock within: it cannot be sent.
#[derive(Clone, Deserialize)]
pub(crate) struct Bar;

impl Serialize for Bar {
    fn serialize<S: Serializer>(&self, _: S) -> std::result::Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("a lock of this process has no serial form"))
    }
}

/// One run.
#[derive(Clone)]
pub(crate) struct Row {
    mode: String,
    /// All of it that is no time.
    done: String,
    checksum: u64,
    wall: Duration,
    cpu: Duration,
    bytes: Option<[usize; 2]>,
}

impl Row {
    /// # Errors
    /// Less was done than was asked for, or elsewhere.
    pub(crate) fn of(mode: &str, workers: u32, most: u32, report: &Report) -> Result<Row> {
        let seen = |name: &str| report.context().get::<(u64, u64)>(name).copied();
        let seen: Vec<(u64, u64)> =
            report.tasks().iter().map(|task| seen(&task.name)).collect::<std::result::Result<_, _>>()?;
        let checksum = seen.iter().fold(0_u64, |sum, (value, _)| sum.wrapping_add(*value));
        let (asked, started, done) = (report.submitted(), report.started(), report.done());
        let pids: HashSet<u32> =
            report.tasks().iter().flat_map(|task| &task.attempts).map(|attempt| attempt.pid).collect();
        let elsewhere = pids.len() == 4 && !pids.contains(&std::process::id());
        let most_expected = if matches!(mode, "threads" | "processes") { 4 } else { 1 };
        if (asked, started, done, most) != (4, 4, 4, most_expected) || elsewhere != (mode == "processes") {
            return Err(mp::Error::new(format!("{report}; most at a time {most}, {} processes", pids.len())));
        }
        let many = if workers == 1 { "worker " } else { "workers" };
        let first = &report.tasks()[0];
        Ok(Row {
            mode: mode.to_owned(),
            done: format!(
                "{mode:<22} {workers} {many}  {asked} asked, {started} started, {done} done, most at a time {most}, \
                 checksum {:04x}",
                checksum & 0xFFFF
            ),
            checksum,
            wall: report.elapsed(),
            cpu: Duration::from_nanos(seen.iter().map(|(_, cpu)| cpu).sum()),
            bytes: first.bytes_in.zip(first.bytes_out).map(|(to, back)| [to, back]),
        })
    }
}

pub(crate) struct Figures {
    pub(crate) rounds: u64,
    pub(crate) times: usize,
    rows: Vec<Row>,
    plot: Option<String>,
}

impl Figures {
    pub(crate) fn new() -> Result<Figures> {
        let arguments: Vec<String> = std::env::args().collect();
        let after = |flag: &str| arguments.iter().skip_while(|argument| *argument != flag).nth(1).cloned();
        let rounds = after("--rounds").map_or(Ok(100_000), |rounds| rounds.parse())?;
        Ok(Figures { rounds, times: 3, rows: Vec::new(), plot: after("--plot") })
    }

    /// # Errors
    /// It did other work than the rows before it.
    pub(crate) fn add(&mut self, row: Row) -> Result<()> {
        if self.rows.first().is_some_and(|first| first.checksum != row.checksum) {
            return Err(mp::Error::new(format!("{} did other work than the rest", row.mode)));
        }
        if self.rows.last().is_none_or(|last| last.mode != row.mode) {
            println!("{}", row.done);
        }
        self.rows.push(row);
        Ok(())
    }

    /// The times, on standard error: the best and the median of each mode.
    pub(crate) fn tell(self) -> Result<()> {
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let load: f64 = load.split(' ').next().and_then(|load| load.parse().ok()).unwrap_or_default();
        let usable = usable_cpu_count();
        let work = format!("4 tasks x {} rounds, {} times", self.rounds, self.times);
        eprintln!("usable CPUs {usable} of {}, load {load}, {work}", cpu_count());
        if usable < 2 || load > usable as f64 {
            eprintln!("inconclusive: with so few idle CPUs nothing runs in parallel, and times mean little");
        } else if self.rows.first().is_none_or(|serial| serial.wall < Duration::from_millis(200)) {
            eprintln!(
                "inconclusive: so little work takes less time than what is around it: give more --rounds"
            );
        }
        eprintln!("{:<22} {:>11} {:>11} {:>11} {:>9}", "mode", "best wall", "median", "cpu", "speed-up");
        let (mut serial, mut bars) = (None, Vec::new());
        for runs in self.rows.chunks(self.times) {
            let mut walls: Vec<Duration> = runs.iter().map(|row| row.wall).collect();
            walls.sort_unstable();
            let (best, median, cpu) = (walls[0], walls[walls.len() / 2], runs[0].cpu);
            let speed_up = serial.get_or_insert(best).as_secs_f64() / best.as_secs_f64();
            let bytes =
                runs[0].bytes.map(|[to, back]| format!("  a task: {to} B to it, {back} B back, and a start"));
            let bytes = bytes.unwrap_or_default();
            eprintln!(
                "{:<22} {best:>11.2?} {median:>11.2?} {cpu:>11.2?} {speed_up:>9.2}{bytes}",
                runs[0].mode
            );
            bars.push((runs[0].mode.clone(), speed_up));
        }
        println!(
            "Rust has no GIL: threads and processes do the same work. Processes add isolation and kill, and cost a start \
             and copies."
        );
        self.plot.map_or(Ok(()), |file| Ok(std::fs::write(file, svg(&bars))?))
    }
}

/// The speed-ups as bars.
fn svg(bars: &[(String, f64)]) -> String {
    let longest = bars.iter().map(|(_, speed_up)| *speed_up).fold(1.0, f64::max);
    let mut rows = String::new();
    for (at, (mode, speed_up)) in bars.iter().enumerate() {
        let (y, width) = (20 + 40 * at, 400.0 * speed_up / longest);
        let _ = writeln!(
            rows,
            "<text x='150' y='{}' text-anchor='end'>{mode}</text>\
             <rect x='160' y='{y}' width='{width:.1}' height='24' fill='steelblue'/>\
             <text x='{:.1}' y='{}'>{speed_up:.2}</text>",
            y + 17,
            165.0 + width,
            y + 17
        );
    }
    let height = 40 + 40 * bars.len();
    format!(
        "<svg xmlns='http://www.w3.org/2000/svg' width='640' height='{height}' font-family='sans-serif' font-size='14'>\n\
         <title>speed-up over serial</title>\n{rows}</svg>\n"
    )
}
