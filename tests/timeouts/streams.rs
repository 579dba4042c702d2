//! Those of tasks that yield, and of the events of a pool's progress.

use super::{Scene, Stays, has_come, until_set};
use mp::progress::Progress;
use mp::{Event, Pool, YieldError, Yielder};
use std::sync::Mutex;

fn yield_nothing(event: Event, _to: Yielder<()>) -> Result<(), YieldError> {
    until_set(event);
    Ok(())
}

pub(super) fn generated() -> Scene {
    let (pool, event) = (Pool::new(1).unwrap(), Event::new().unwrap());
    let results = Mutex::new(pool.generate(yield_nothing, [event.clone()]).unwrap());
    let wait = move |timeout| {
        let _pool = &pool;
        has_come(results.lock().unwrap().next_timeout(timeout))
    };
    Scene::new(wait, move || event.set()).stays(Stays::OnceWaitedFor)
}

/// An event, or the end of all that report.
pub(super) fn progress() -> Scene {
    let (pool, progress) = (Pool::new(1).unwrap(), Progress::new());
    let events = Mutex::new(progress.events());
    let wait = move |timeout| !matches!(events.lock().unwrap().next_timeout(timeout), Some(Err(_)));
    let come = move || pool.report_to(&progress).map(|x: u8| x, 0..3).map(drop).unwrap();
    Scene::new(wait, come)
}
