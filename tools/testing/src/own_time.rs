//! OwnTime: the time that the processes of a case could use.
//!
//! A case hangs if it is not done although it had time enough. On a busy machine much of the time passes while its
//! processes wait for a CPU. The kernel counts that for each thread (`schedstat`), and it is left out:
//!
//! | in a period, the case's threads     | of the period counts                                   |
//! |-------------------------------------|--------------------------------------------------------|
//! | slept                               | all: what they sleep for does not come                 |
//! | ran, or waited for a CPU            | the part that is left when the waiting is taken out    |
//! | wait for a CPU all the while        | nothing: the kernel adds that up when they get one     |
//! | stood still, as this process did    | at most twice the period (frozen, or a suspended host) |
//!
//! So a case that hangs is found on any machine, whether it sleeps or spins, and one that goes on is not, however
//! little of the CPUs it gets. Where the kernel keeps no such counts, all time counts.

use crate::inspect::descendants;
use std::collections::HashMap;
use std::fs;
use std::time::{Duration, Instant};

/// How often the counts are read.
const PERIOD: Duration = Duration::from_millis(500);

/// What a thread ran, and what it waited for a CPU, since it began.
#[derive(Debug, Default, Clone, Copy)]
struct Counts {
    ran: Duration,
    waited: Duration,
    /// It runs now, or waits for a CPU.
    is_runnable: bool,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct OwnTime {
    spent: Duration,
    looked: Instant,
    threads: HashMap<u32, Counts>,
}

impl OwnTime {
    /// From now on, of all that descends from this process.
    pub(crate) fn begin() -> OwnTime {
        OwnTime { spent: Duration::ZERO, looked: Instant::now(), threads: HashMap::new() }
    }

    /// How much it was up to now, or up to half a second ago.
    pub(crate) fn spent(&mut self) -> Duration {
        let passed = self.looked.elapsed();
        if passed >= PERIOD {
            self.looked = Instant::now();
            let now = threads_below(std::process::id());
            self.spent += counted(passed.min(2 * PERIOD), since(&self.threads, &now, passed));
            self.threads = now;
        }
        self.spent
    }
}

/// What counts of a period in which the threads of a case have run and waited so long.
fn counted(passed: Duration, threads: Counts) -> Duration {
    // Several threads together can have had more time than has passed.
    let all = passed.max(threads.ran + threads.waited);
    passed.mul_f64(1.0 - threads.waited.div_duration_f64(all))
}

/// The sum over all threads, which were looked at so long ago; of one that is new, all that it has counted.
fn since(before: &HashMap<u32, Counts>, now: &HashMap<u32, Counts>, passed: Duration) -> Counts {
    let mut sum = Counts::default();
    for (thread, counts) in now {
        let before = before.get(thread).copied().unwrap_or_default();
        let (ran, waited) =
            (counts.ran.saturating_sub(before.ran), counts.waited.saturating_sub(before.waited));
        let has_waited_all_the_while = before.is_runnable && counts.is_runnable && (ran + waited).is_zero();
        sum.ran += ran;
        sum.waited += if has_waited_all_the_while { passed } else { waited };
    }
    sum
}

fn threads_below(pid: u32) -> HashMap<u32, Counts> {
    let folders = descendants(pid).into_iter().map(|(pid, _)| format!("/proc/{pid}/task"));
    let threads = folders.filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten();
    let counts = threads.filter_map(|thread| {
        let read = |name| fs::read_to_string(thread.path().join(name)).ok();
        let counts = Counts { is_runnable: is_runnable(&read("stat")?), ..parse(&read("schedstat")?)? };
        Some((thread.file_name().to_str()?.parse().ok()?, counts))
    });
    counts.collect()
}

/// `schedstat`: nanoseconds on a CPU, nanoseconds runnable without one, and how often it got one.
fn parse(text: &str) -> Option<Counts> {
    let mut numbers = text.split_whitespace().map(|word| word.parse().ok().map(Duration::from_nanos));
    Some(Counts { ran: numbers.next()??, waited: numbers.next()??, is_runnable: false })
}

/// `stat`: the state stands behind the name, which is in brackets and may hold any character.
fn is_runnable(stat: &str) -> bool {
    stat.rsplit_once(") ").is_some_and(|(_, fields)| fields.starts_with('R'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(passed: u64, ran: u64, waited: u64) -> Duration {
        let [passed, ran, waited] = [passed, ran, waited].map(Duration::from_millis);
        counted(passed, Counts { ran, waited, is_runnable: true })
    }

    #[test]
    fn time_without_a_cpu_does_not_count() {
        let counted = [of(500, 0, 0), of(500, 500, 0), of(500, 25, 475), of(500, 0, 100), of(500, 100, 1900)];
        assert_eq!(counted.map(|time| time.as_millis()), [500, 500, 25, 400, 25]);
    }

    #[test]
    fn a_thread_is_counted_from_one_look_to_the_next() {
        let counts = |ran, waited| {
            let [ran, waited] = [ran, waited].map(Duration::from_nanos);
            Counts { ran, waited, is_runnable: false }
        };
        let before = HashMap::from([(1, counts(10, 20)), (2, counts(5, 5))]);
        let now = HashMap::from([(1, counts(11, 22)), (3, counts(100, 200))]);
        let sum = since(&before, &now, PERIOD);
        assert_eq!((sum.ran.as_nanos(), sum.waited.as_nanos()), (101, 202));
    }

    /// The kernel adds to its count as a thread gets a CPU, which may be many periods later.
    #[test]
    fn a_thread_that_gets_no_cpu_for_a_period_has_waited() {
        let waiting = HashMap::from([(1, Counts { is_runnable: true, ..Counts::default() })]);
        let asleep = HashMap::from([(1, Counts::default())]);
        assert_eq!(since(&waiting, &waiting, PERIOD).waited, PERIOD);
        assert_eq!(since(&asleep, &asleep, PERIOD).waited, Duration::ZERO);
        assert_eq!(since(&asleep, &waiting, PERIOD).waited, Duration::ZERO);
    }

    #[test]
    fn this_kernel_counts() {
        let own = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
        assert!(parse(&own).is_some(), "{own}");
        let state = fs::read_to_string("/proc/thread-self/stat").unwrap();
        assert!(is_runnable(&state), "{state}");
        assert!(!is_runnable("7 (a) R b) S 1 7"));
    }
}
