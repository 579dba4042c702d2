//! Context: a start method under a name of its own.

use mp_core::transfer::Target;
use mp_core::{Process, StartMethod};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Processes of one start method, whatever the default is. Queues, locks and all other objects are the same in every
/// context, since they travel to any process.
///
/// ```no_run
/// use mp::{Context, StartMethod};
///
/// let spawn = Context::new(StartMethod::Spawn);
/// let child = spawn.process(|| "fresh".to_owned(), ()).start()?;
/// assert_eq!(child.join()?, "fresh");
/// # Ok::<(), mp::Error>(())
/// ```
///
/// Python: `multiprocessing.get_context`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Context(StartMethod);

impl Context {
    /// The context of a start method. Python: `get_context(method)`.
    pub fn new(method: StartMethod) -> Context {
        Context(method)
    }

    /// Its start method. Python: `context.get_start_method()`.
    pub fn start_method(self) -> StartMethod {
        self.0
    }

    /// As [`Process::new`]. Python: `context.Process(target, args)`.
    pub fn process<F, A>(self, function: F, arguments: A) -> Process<F, A>
    where
        F: Target<A>,
        F::Output: Serialize + DeserializeOwned,
        A: Serialize + DeserializeOwned,
    {
        Process::new(function, arguments).method(self.0)
    }
}
