//! Contexts: conformance case P10, and P09 (a worker type with pipes of its own). CPython refuses objects of one context
//! in processes of another; here they travel.

use mp::{Connection, Context, Event, Lock, Process, Queue, Run, StartMethod, Value, get_context, pipe};
use serde::{Deserialize, Serialize};

mp_testing::cases! {
    plain: [
        contexts_have_the_names_of_python,
        what_one_context_made_goes_to_processes_of_the_others,
    ],
    every_method: [
        a_worker_type_answers_until_it_is_told_to_stop,
    ]
}

fn contexts_have_the_names_of_python() {
    let names = mp::get_all_start_methods().map(StartMethod::name);
    assert_eq!(names, ["forkserver", "spawn", "fork"]);
    for name in names {
        let context = get_context(name).unwrap();
        assert_eq!(context.start_method().name(), name);
        let child = context.process(|| mp::get_start_method().map(StartMethod::name).unwrap().to_owned(), ());
        assert_eq!(child.start().unwrap().join().unwrap(), name);
    }
    let unknown = get_context("x").unwrap_err();
    assert!(unknown.to_string().contains("\"x\""), "{unknown}");
}

fn use_them(queue: Queue<u32>, lock: Lock, event: Event, value: Value<u32>, pipe: Connection<u32, u32>) {
    *value.lock().unwrap() += 1;
    drop(lock.acquire().unwrap());
    queue.put(value.get()).unwrap();
    pipe.send(&7).unwrap();
    event.wait();
}

fn what_one_context_made_goes_to_processes_of_the_others() {
    let mut count = 0;
    for maker in StartMethod::ALL.map(Context::new) {
        let (queue, lock, event) = (maker.queue().unwrap(), maker.lock().unwrap(), maker.event().unwrap());
        let value = maker.value(0_u32).unwrap();
        let (ours, theirs) = pipe::<u32, u32>().unwrap();
        for user in StartMethod::ALL.map(Context::new) {
            let things = (queue.clone(), lock.clone(), event.clone(), value.clone(), theirs.clone());
            let child = user.process(use_them, things).start().unwrap();
            assert_eq!(queue.get().unwrap(), value.get());
            assert_eq!(ours.recv().unwrap(), 7);
            event.set();
            child.join().unwrap();
            event.clear();
            count += 1;
        }
        assert_eq!(value.get(), 3);
    }
    assert_eq!(count, 9);
}

/// Turns words into capitals until it is told to stop.
#[derive(Serialize, Deserialize)]
struct Upper {
    pipe: Connection<String, Option<String>>,
}

impl Run for Upper {
    type Output = u32;

    fn run(self) -> u32 {
        let mut done = 0;
        while let Some(word) = self.pipe.recv().unwrap() {
            self.pipe.send(&word.to_uppercase()).unwrap();
            done += 1;
        }
        done
    }
}

/// P09
fn a_worker_type_answers_until_it_is_told_to_stop() {
    let (ours, theirs) = pipe::<Option<String>, String>().unwrap();
    let worker = Process::of(Upper { pipe: theirs }).start().unwrap();
    for word in ["abc", "äöü", ""] {
        ours.send(&Some(word.to_owned())).unwrap();
        assert_eq!(ours.recv().unwrap(), word.to_uppercase());
    }
    ours.send(&None).unwrap();
    assert_eq!(worker.join().unwrap(), 3);
    assert!(worker.name().starts_with("Upper-"));
}
