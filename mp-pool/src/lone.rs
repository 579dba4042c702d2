//! A call of one item, by a way that is short: one lock, no batch, and no memory but for the job.
//!
//! ```text
//!   arguments ─► packed in the thread's buffer ─► under the lock: a slot on the board ─► wait, with the same lock
//!        │                                                │ the board is full
//!        │                                                └► a batch that waits, as of any other call
//!        └─ with handles or buffers; long bytes; numbered or reported tasks: as any other call (call.rs)
//! ```

use crate::call::{Call, MOST_BYTES, Packed};
use crate::code;
use crate::dispatch::Dispatch;
use crate::error::SubmitError;
use crate::future::{Future, ProcessTask};
use crate::job::Job;
use crate::result::{AsyncResult, Waited};
use crate::supervisor::Shared;
use crate::tasks::Tasks;
use mp_core::transfer::{Target, as_lone_block, scratch};
use mp_core::word::Deadline;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::{Arc, MutexGuard};

/// What becomes of a task for which the board has no room.
enum Full {
    /// It waits in this process.
    Waits,
    /// Its call waits until there is room, or fails at the deadline.
    Until(Option<Deadline>, SubmitError),
}

/// A task that was submitted, with the lock under which it was.
type Posted<'a> = (Arc<Job>, MutexGuard<'a, Dispatch>);

impl Tasks<'_> {
    /// Submits a task, and waits for its value.
    pub(crate) fn apply_one<F, A, R>(&self, function: F, arguments: A) -> Result<R, SubmitError>
    where
        F: Target<A, Output = R>,
        A: Serialize + DeserializeOwned,
        R: Serialize + DeserializeOwned,
    {
        let (job, dispatch) = self.post_one(&function, arguments, Full::Waits)?;
        drop(self.pool().shared().wait_on(dispatch, Some(&job), None, |_| job.is_settled()));
        Ok(job.first()?)
    }

    /// Submits a task.
    pub(crate) fn submit_one<F, A, R>(&self, function: F, arguments: A) -> Result<AsyncResult<R>, SubmitError>
    where
        F: Target<A, Output = R>,
        A: Serialize + DeserializeOwned,
        R: Serialize + DeserializeOwned,
    {
        let (job, dispatch) = self.post_one(&function, arguments, Full::Waits)?;
        drop(dispatch);
        Ok(AsyncResult::new(self.waited(job)))
    }

    /// Waits for room, and submits a task.
    pub(crate) fn submit_until<F, A, R>(
        &self,
        function: F,
        arguments: A,
        until: Option<Deadline>,
        late: SubmitError,
    ) -> Result<Future<R>, SubmitError>
    where
        F: Target<A, Output = R>,
        A: Serialize + DeserializeOwned,
        R: Serialize + DeserializeOwned + 'static,
    {
        let (job, dispatch) = self.post_one(&function, arguments, Full::Until(until, late))?;
        drop(dispatch);
        Ok(ProcessTask::future(self.waited(job)))
    }

    fn waited(&self, job: Arc<Job>) -> Waited {
        Waited { job, shared: Arc::clone(self.pool().shared()) }
    }

    fn post_one<F, A>(&self, function: &F, arguments: A, full: Full) -> Result<Posted<'_>, SubmitError>
    where
        F: Target<A>,
        F::Output: Serialize + DeserializeOwned,
        A: Serialize + DeserializeOwned,
    {
        let shared = self.pool().shared();
        shared.check_process()?;
        let is_long = as_lone_block(&arguments).is_some_and(|content| content.len() >= MOST_BYTES / 4);
        if is_long || self.reports() || shared.output.is_some() || shared.spec.trace.is_some() {
            return self.post_by_call(function, full, |call| {
                call.submit(std::iter::once(arguments), Some(1), self.pool().processes())
            });
        }
        let (mut bytes, mut handles) = (scratch::encoding(), Vec::new());
        let mut leases = None;
        let packed = code::packed::<F, A>(function, shared.state()).and_then(|code| {
            let put = shared.put(None, &arguments, &mut bytes, &mut handles);
            leases = put.map_err(|error| *error)?;
            Ok(code)
        });
        if (!handles.is_empty() || leases.is_some()) && packed.is_ok() {
            return self.post_by_call(function, full, |call| {
                call.submit_alone(&mut Packed { items: 1, bytes }, 0, (handles, leases), 1)
            });
        }
        // No code of the program's runs under the lock.
        drop(arguments);
        let job = packed.map(|code| Job::of_one(code, self.options()));
        let mut dispatch = shared.dispatch();
        // That the pool is closed is told first.
        dispatch.phase.check()?;
        let job = job?;
        dispatch = has_room(shared, dispatch, &job, full)?;
        dispatch.submit_expected(&job, 0, &[], &bytes)?;
        scratch::keep_encoding(bytes);
        shared.tell(&mut dispatch);
        shared.hand_on(&dispatch);
        Ok((job, dispatch))
    }

    /// As any other call.
    #[cold]
    fn post_by_call<F, A>(
        &self,
        function: &F,
        full: Full,
        submit: impl FnOnce(&mut Call) -> Result<(), SubmitError>,
    ) -> Result<Posted<'_>, SubmitError>
    where
        F: Target<A>,
        F::Output: Serialize + DeserializeOwned,
        A: Serialize + DeserializeOwned,
    {
        let (shared, mut call) = (self.pool().shared(), self.begin::<F, A>(function)?);
        drop(has_room(shared, shared.dispatch(), &call.job, full)?);
        submit(&mut call)?;
        Ok((call.waited().job, shared.dispatch()))
    }
}

/// Waits until the board has room for a task, if its call does.
fn has_room<'a>(
    shared: &'a Shared,
    dispatch: MutexGuard<'a, Dispatch>,
    job: &Job,
    full: Full,
) -> Result<MutexGuard<'a, Dispatch>, SubmitError> {
    match full {
        Full::Until(until, late) if dispatch.is_full_for(job) => {
            shared.wait_on(dispatch, None, until, |dispatch| !dispatch.is_full_for(job)).ok_or(late)
        }
        _ => Ok(dispatch),
    }
}
