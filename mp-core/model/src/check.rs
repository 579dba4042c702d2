//! Walking a model: all its schedules, all its deaths.

use crate::life::{Fuse, Lit};
use mp_core::word::Ordering;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

/// What one model cost.
#[derive(Debug, Clone, Copy)]
pub struct Report {
    /// Preemptions that a schedule may hold.
    pub bound: usize,
    /// Schedules walked.
    pub executions: usize,
    /// Schedules in which somebody was killed.
    pub deaths: usize,
    /// Points at which somebody was killed.
    pub points: u32,
    /// How long it took.
    pub took: Duration,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { bound, executions, deaths, points, took } = self;
        write!(f, "bound {bound}  executions {executions:>7}  points {points:>3}  deaths {deaths:>7}  ")?;
        write!(f, "{:>6.2} s", took.as_secs_f64())
    }
}

/// The preemption bound: `MP_LOOM_BOUND`, or else 3, which is the least that finds the lost wake of a robust lock.
pub fn bound() -> usize {
    std::env::var("MP_LOOM_BOUND").ok().and_then(|text| text.parse().ok()).unwrap_or(3)
}

/// Walks all schedules of `model` with at most `bound` preemptions. Panics, or ends the program, when one fails.
pub fn explore(bound: usize, model: impl Fn() + Send + Sync + 'static) -> Report {
    let executions = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&executions);
    let began = Instant::now();
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(bound);
    builder.max_branches = 10_000;
    builder.check(move || {
        // ORDERING: Relaxed: a count, read when the model is done.
        counted.fetch_add(1, Ordering::Relaxed);
        model();
    });
    // ORDERING: Relaxed: the model is done.
    let executions = executions.load(Ordering::Relaxed);
    Report { bound, executions, deaths: 0, points: 0, took: began.elapsed() }
}

/// Explores `model` once with each length of fuse, until the fuse outlasts the thread in every schedule. The
/// model gives the fuse to one of its threads.
pub fn sweep(bound: usize, model: impl Fn(&Fuse) + Clone + Send + Sync + 'static) -> Report {
    sweep_lit(Lit::AtOnce, bound, model)
}

/// As [`sweep`], with the fuse lit when its thread first comes back from a wait.
pub fn sweep_woken(bound: usize, model: impl Fn(&Fuse) + Clone + Send + Sync + 'static) -> Report {
    sweep_lit(Lit::OnceWoken, bound, model)
}

fn sweep_lit(lit: Lit, bound: usize, model: impl Fn(&Fuse) + Clone + Send + Sync + 'static) -> Report {
    let mut total = Report { bound, executions: 0, deaths: 0, points: 0, took: Duration::ZERO };
    loop {
        let fuse = Fuse::new(lit, Some(total.points));
        let (given, model) = (fuse.clone(), model.clone());
        let one = explore(bound, move || model(&given));
        total.executions += one.executions;
        total.took += one.took;
        if fuse.deaths() == 0 {
            return total;
        }
        total.deaths += fuse.deaths();
        total.points += 1;
    }
}
