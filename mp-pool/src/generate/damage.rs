//! What comes of a ring that a wild write has hit. The caller and a worker are threads of one process.

use super::ring::{END, FRONT, HEAD};
use super::{Generate, Generated, YieldError, Yielder};
use crate::board::Taken;
use crate::error::TaskError;
use crate::job::Job;
use crate::line::Line;
use crate::options::TaskOptions;
use crate::supervisor::{Shared, WorkerSpec};
use crate::worker::Worker;
use mp_core::transfer::Target;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

const AHEAD: u32 = 8;
const VALUES: u32 = 5;
/// What a value takes of the ring: its number and length, and up to eight bytes.
const EACH: u32 = HEAD as u32 + 8;

type Results = Generate<Range<u64>, u64>;

fn count(_: u64, results: Yielder<u64>) -> Result<(), YieldError> {
    (0..VALUES).try_for_each(|number| results.yield_(number.into()))
}

/// A call of one task, where nothing is begun yet.
struct Scene {
    shared: Arc<Shared>,
    worker: Worker,
    taken: Taken,
    results: Results,
}

impl Scene {
    fn of<F>(function: F, ahead: u32) -> Scene
    where
        F: Target<(u64, Yielder<u64>), Output = Result<(), YieldError>>,
    {
        let (shared, _) = Shared::new(WorkerSpec::of_none("none", 1), 1, None).unwrap();
        let job = |code| Job::reporting(code, TaskOptions::new(), true, ahead, None);
        let results = Generate::begin(&shared, job, function, 0..1, (ahead, 1)).unwrap();
        let (line, _) = Line::pair().unwrap();
        let worker = Worker::new(0, shared.dispatch().memory.clone(), line, None, None, None);
        let taken = shared.board.take(0, |_| ()).unwrap();
        Scene { shared, worker, taken, results }
    }

    fn write(&self, at: usize, word: u32) {
        self.shared.dispatch().memory.bytes.write(self.ring() + at, &word.to_le_bytes());
    }

    fn word(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.shared.dispatch().memory.bytes.read_array(self.ring() + at))
    }

    fn ring(&self) -> usize {
        let chunk = self.shared.board.chunk(self.taken.slot);
        chunk.place as usize + crate::arena::whole(chunk.length as usize)
    }

    /// Has the worker do the task, and then a wild write happen.
    fn done(mut self, wild: impl FnOnce(&Scene)) -> (Vec<u64>, Result<(), TaskError>) {
        assert!(self.worker.run(self.taken));
        wild(&self);
        all_of(&mut self.results)
    }
}

/// What the task has given, in its order, and its end.
fn all_of(results: &mut Results) -> (Vec<u64>, Result<(), TaskError>) {
    let mut values = Vec::new();
    loop {
        match results.next() {
            Some(Generated::Value { value, .. }) => values.push(value),
            Some(Generated::End { values: told, outcome, .. }) => {
                assert_eq!(told, values.len() as u64);
                return (values, outcome);
            }
            None => panic!("a task without an end"),
        }
    }
}

/// A few of the first values, and an error.
fn is_told(wild: &str, (values, end): (Vec<u64>, Result<(), TaskError>)) {
    assert!(matches!(end, Err(TaskError::Value(_))), "{wild}: {values:?}, {end:?}");
    assert!(values.iter().copied().eq(0..values.len() as u64), "{wild}: {values:?}");
}

#[test]
fn what_was_not_hit_is_whole() {
    let (values, end) = Scene::of(count, AHEAD).done(|_| ());
    assert_eq!((values, end), ((0..u64::from(VALUES)).collect(), Ok(())));
}

/// Behind what was written, in front of it, amid a value.
#[test]
fn an_end_that_was_not_said_is_an_error() {
    let said = VALUES * EACH;
    for end in (0..2 * said).step_by(4).chain([1 << 13, 1 << 16, 1 << 31, u32::MAX, u32::MAX - 7]) {
        let wild = format!("an end of {end}");
        let scene = Scene::of(count, AHEAD);
        let told = scene.done(|scene| scene.shared.board.say_yielded(scene.taken.slot, end));
        if end == said {
            assert_eq!(told.1, Ok(()));
        } else {
            is_told(&wild, told);
        }
    }
}

/// It has taken some, and so has the worker been told.
#[test]
fn an_end_that_goes_back_is_an_error() {
    for end in [0, 8, 16, 24] {
        let mut scene = Scene::of(count, AHEAD);
        assert!(scene.worker.run(scene.taken));
        let (slot, board) = (scene.taken.slot, scene.shared.board.clone());
        board.say_yielded(slot, 2 * EACH);
        scene.shared.dispatch().take_yielded(slot);
        board.say_yielded(slot, end);
        is_told(&format!("an end of {end}"), all_of(&mut scene.results));
    }
}

#[test]
fn a_word_that_was_hit_in_front_of_the_values_or_of_one_is_an_error() {
    let numbers_and_lengths = (0..VALUES as usize).map(|value| FRONT + value * EACH as usize);
    let all = (END..FRONT - 4).step_by(4).chain(numbers_and_lengths.flat_map(|at| [at, at + 4]));
    for at in all {
        for change in [1, 8, 9, 1 << 7, 1 << 16, u32::MAX] {
            let scene = Scene::of(count, AHEAD);
            let told = scene.done(|scene| scene.write(at, scene.word(at) ^ change));
            is_told(&format!("byte {at} changed by {change}"), told);
        }
    }
}

/// What the function that is called finds its ring by.
static UNDER_WAY: Mutex<Option<(Arc<Shared>, usize)>> = Mutex::new(None);

/// Hits its own turn before it yields more values than it may be ahead.
fn count_in_any_turn(_: u64, results: Yielder<u64>) -> Result<(), YieldError> {
    let (shared, ring) =
        UNDER_WAY.lock().unwrap_or_else(PoisonError::into_inner).take().expect("it was put there");
    shared.dispatch().memory.bytes.write(ring + END, &[7; 8]);
    drop(shared);
    (0..).try_for_each(|number| results.yield_(number))
}

/// It waits for values to be taken, and cannot be told which were: nothing else would end it.
#[test]
fn a_task_whose_turn_is_not_known_ends() {
    let Scene { shared, mut worker, taken, mut results } = {
        let scene = Scene::of(count_in_any_turn, 2);
        *UNDER_WAY.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((Arc::clone(&scene.shared), scene.ring()));
        scene
    };
    std::thread::scope(|scope| {
        scope.spawn(move || worker.run(taken));
        is_told("a turn", all_of(&mut results));
    });
    drop(shared);
}
