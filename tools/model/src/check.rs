//! Walking a model: its schedules, its deaths.

use crate::life::{Checker, Fuse, Lit};
use mp_core::word::Ordering;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

/// What one model cost.
#[derive(Debug, Clone, Copy)]
pub struct Report {
    /// What the effort is counted in, and how much it was.
    pub effort: (&'static str, usize),
    /// Schedules walked.
    pub executions: usize,
    /// Schedules in which a thread was killed.
    pub deaths: usize,
    /// Points at which a thread was killed.
    pub points: u32,
    /// How long it took.
    pub took: Duration,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { effort: (unit, effort), executions, deaths, points, took } = self;
        write!(
            f,
            "{unit} {effort:<4}  executions {executions:>7}  points {points:>3}  deaths {deaths:>7}  "
        )?;
        write!(f, "{:>6.2} s", took.as_secs_f64())
    }
}

/// The preemption bound: `MP_LOOM_BOUND`, or else 3, which is the least that finds the lost wake of a robust lock.
pub fn bound() -> usize {
    from_environment("MP_LOOM_BOUND", 3)
}

/// How many schedules: `MP_SHUTTLE_ITERATIONS`, or else `usual`.
pub fn iterations(usual: usize) -> usize {
    from_environment("MP_SHUTTLE_ITERATIONS", usual)
}

/// How often a model is run: `MP_ROUNDS`, or else `usual`; under Miri, which is slow, 10.
pub fn rounds(usual: usize) -> usize {
    from_environment("MP_ROUNDS", if cfg!(miri) { 10 } else { usual })
}

fn from_environment(name: &str, usual: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// Walks schedules of `model`, as many as the effort allows. Panics, or ends the program, when one fails.
pub(crate) fn explore<C: Checker>(effort: usize, model: impl Fn() + Send + Sync + 'static) -> Report {
    explore_salted::<C>(effort, 0, model)
}

fn explore_salted<C: Checker>(effort: usize, salt: u64, model: impl Fn() + Send + Sync + 'static) -> Report {
    let executions = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&executions);
    let began = Instant::now();
    C::walk(effort, salt, move || {
        // ORDERING: Relaxed: a count, read when the model is done.
        counted.fetch_add(1, Ordering::Relaxed);
        model();
    });
    // ORDERING: Relaxed: the model is done.
    let executions = executions.load(Ordering::Relaxed);
    Report { effort: (C::EFFORT, effort), executions, deaths: 0, points: 0, took: began.elapsed() }
}

/// Explores `model` once with each length of fuse, until the fuse outlasts the thread in every schedule. The model
/// gives the fuse to one of its threads.
pub(crate) fn sweep<C: Checker>(
    lit: Lit,
    effort: usize,
    model: impl Fn(&Fuse) + Clone + Send + Sync + 'static,
) -> Report {
    let effort = (effort / C::SHARE).max(1);
    let counted = (C::EFFORT, effort);
    let mut total = Report { effort: counted, executions: 0, deaths: 0, points: 0, took: Duration::ZERO };
    let (mut length, mut quiet) = (0, 0);
    while quiet < C::QUIET {
        let fuse = Fuse::new(lit, Some(length));
        let (given, model) = (fuse.clone(), model.clone());
        let one = explore_salted::<C>(effort, length.into(), move || model(&given));
        let deaths = fuse.deaths();
        total.executions += one.executions;
        total.took += one.took;
        total.deaths += deaths;
        total.points += u32::from(deaths > 0);
        quiet = if deaths > 0 { 0 } else { quiet + 1 };
        length += 1;
    }
    total
}
