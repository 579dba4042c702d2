//! A mock of a network between a pool and the hosts of its workers, within one process, for tests.
//!
//! ```text
//!   pool ── End ══ wire: loses, delays, doubles ══ End ── serve, in a thread ──► a worker process
//! ```
//!
//! Packets are lost, delayed and doubled by chance, of a seed that is printed: `MP_MOCK_SEED` brings a run's seed back.
//! The workers are processes as on any host, so they can be killed.
//!
//! Cases of a test program that are listed as `mock` run with it ([`mp_testing::variant`]), through the functions here
//! that make pools: the same case runs over shared memory and over the mock.

#![forbid(unsafe_code)]

mod wire;

use mp_pool::backend::{Backend, Link, serve};
use mp_pool::{NewPoolError, Pool, PoolBuilder, ProcessPoolExecutor};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What happens to packets, on either way.
#[derive(Debug, Clone, Copy)]
pub struct Faults {
    /// So many of a hundred are lost.
    pub loss: u64,
    /// So many of a hundred arrive twice.
    pub doubled: u64,
    /// Each copy is delayed by less than this.
    pub delay: Duration,
    /// What chance begins with.
    pub seed: u64,
}

impl Faults {
    /// Those of most tests: a few of each kind.
    pub fn some() -> Faults {
        Faults { loss: 10, doubled: 10, delay: Duration::from_micros(300), seed: seed() }
    }
}

/// `MP_MOCK_SEED`, or any number.
pub fn seed() -> u64 {
    let named = std::env::var("MP_MOCK_SEED").ok();
    let seed = named.map(|seed| seed.parse().expect("MP_MOCK_SEED is a number"));
    seed.unwrap_or_else(|| mp_testing::random(u64::MAX))
}

/// Hosts behind a network with faults.
#[derive(Debug)]
pub struct Mock {
    faults: Faults,
    opened: AtomicU64,
}

impl Mock {
    /// One that prints its faults: a failed test shows them.
    pub fn new(faults: Faults) -> Mock {
        println!("{faults:?}: MP_MOCK_SEED={} brings them back", faults.seed);
        Mock { faults, opened: AtomicU64::new(0) }
    }
}

impl Backend for Mock {
    fn open(&self, _: usize) -> io::Result<Box<dyn Link>> {
        // ORDERING: Relaxed: a number that no other link has.
        let number = self.opened.fetch_add(1, Ordering::Relaxed);
        let (ours, theirs) = wire::link(self.faults, number);
        // What becomes of the worker is told over the link.
        let host = move || drop(serve(theirs));
        std::thread::Builder::new().name("mock-host".to_owned()).spawn(host)?;
        Ok(Box::new(ours))
    }
}

/// Whether the case that runs is a `mock` one.
pub fn is_chosen() -> bool {
    mp_testing::variant() == Some("mock")
}

/// So many, or a tenth of them over the mock, where each task takes as long as its packets.
pub fn fewer(many: u64) -> u64 {
    if is_chosen() { many.div_ceil(10) } else { many }
}

/// The builder of a pool: of this host, or with a mock of others.
pub fn builder() -> PoolBuilder {
    if is_chosen() { Pool::builder().backend(Mock::new(Faults::some())) } else { Pool::builder() }
}

/// A pool of so many workers.
///
/// # Errors
/// Those of [`PoolBuilder::build`].
pub fn new_pool(processes: usize) -> Result<Pool, NewPoolError> {
    builder().processes(processes).build()
}

/// An executor of so many workers.
///
/// # Errors
/// Those of [`PoolBuilder::build_executor`].
pub fn new_executor(max_workers: usize) -> Result<ProcessPoolExecutor, NewPoolError> {
    builder().processes(max_workers).build_executor()
}
