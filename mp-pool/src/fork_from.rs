//! A pool whose workers are forked with captured data: a value or a closure, of which nothing is sent.
//!
//! ```text
//!   this process ──fork, now──► a copy with the captured value ──fork──► workers, now and whenever one is replaced
//! ```
//!
//! The copy is made before the pool has threads, and has one thread itself, so its forks are safe at any later time.

use crate::builder::PoolBuilder;
use crate::error::NewPoolError;
use crate::pool::Pool;
use mp_core::popen::CopyTemplate;
use mp_core::transfer::{StateCall, StateType, call_state};

impl PoolBuilder {
    /// Starts workers that are forked with `captured`, which is the state that tasks by
    /// [`with_state`](crate::with_state) work on. Nothing of it is sent or written: its pages are shared, and a worker
    /// copies those that it writes to. So it may be anything, of any size.
    ///
    /// ```no_run
    /// use mp_pool::{Pool, with_state};
    ///
    /// let matrix: Vec<f64> = (0..1_000_000).map(f64::from).collect();
    /// let pool = Pool::builder().processes(4).fork_from(matrix)?;
    /// let sum_of_row = |matrix: &mut Vec<f64>, row: usize| matrix[1000 * row..1000 * (row + 1)].iter().sum::<f64>();
    /// let sums = pool.map(with_state(sum_of_row), 0..1000)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// The fork is made now: of this whole process, as Python's start method `fork` makes it. What this process changes
    /// afterwards no worker sees, and descriptors that are open now stay open in the workers. The copy stays as a
    /// process called `mp-template`, and forks the successors of workers that die, as of the same moment. It ends with
    /// the pool, and with this process, whatever ends that. A worker never drops what it has captured. Each has its
    /// own: what a task changes in it is seen by later tasks of the same worker alone.
    ///
    /// The start method of the builder is then that of the processes that workers start.
    ///
    /// # Errors
    /// [`StartError::Threads`](mp_core::StartError::Threads) while other threads run in this process, those of another
    /// pool too; [`NewPoolError::TwoStates`] if there is an `initializer_value`; else as [`build`](PoolBuilder::build).
    /// If the copy is killed, workers run on until one has to be replaced; then the pool is broken, and says so.
    ///
    /// Python: a global variable that a pool of `get_context("fork")` inherits; mpire: `shared_objects`.
    #[doc(alias = "shared_objects")]
    #[doc(alias = "copy_on_write")]
    pub fn fork_from<C: 'static>(mut self, captured: C) -> Result<Pool, NewPoolError> {
        if self.state.replace(StateType::of::<C>()).is_some() {
            return Err(NewPoolError::TwoStates);
        }
        let (spec, processes) = self.checked()?;
        if spec.backend.is_some() {
            return Err(NewPoolError::NeedsThisHost("fork_from"));
        }
        let copy = CopyTemplate::fork(captured)?;
        Pool::start(spec, processes, Some(copy))
    }

    /// Starts workers that are forked with a closure, and gives the task that calls it: for `map`, `apply`, `submit`
    /// and all others, of the pool that is given with it. The closure captures whatever it needs. Else as
    /// [`fork_from`](PoolBuilder::fork_from).
    ///
    /// ```no_run
    /// use mp_pool::Pool;
    /// use std::collections::HashMap;
    ///
    /// let words = HashMap::from([("one", 1), ("two", 2)]);
    /// let look_up = move |word: String| words.get(word.as_str()).copied();
    /// let (pool, look_up) = Pool::builder().processes(4).fork_from_closure(look_up)?;
    /// let numbers = pool.map(look_up, ["two".to_owned(), "six".to_owned()])?;
    /// assert_eq!(numbers, [Some(2), None]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`fork_from`](PoolBuilder::fork_from).
    ///
    /// Python: a nested function or a lambda, which `get_context("fork").Pool` cannot call.
    pub fn fork_from_closure<C: 'static>(self, closure: C) -> Result<(Pool, StateCall<C>), NewPoolError> {
        Ok((self.fork_from(closure)?, call_state()))
    }
}
