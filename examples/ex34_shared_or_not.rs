//! Threads share their memory; processes share what lies in a shared area, and nothing else.
//!
//! Answers:  "sharing data"
//! Python:   a list filled by a thread, by a process; Array("i", 5), Manager().list()
//! Run:      cargo run --example ex34_shared_or_not
//! Prints:
//!     filled by a thread: 5 here
//!     filled by a process: 0 here, 5 there
//!     in shared memory: [0, 1, 2, 3, 4] here
//!     in a manager: 5 here

use mp::{Array, Manager, Process};
use std::sync::Mutex;

static NUMBERS: Mutex<Vec<u32>> = Mutex::new(Vec::new());

fn fill() -> usize {
    let mut numbers = NUMBERS.lock().unwrap();
    numbers.extend(0..5);
    numbers.len()
}

fn fill_shared(numbers: Array<u32>) {
    numbers.update(|numbers| numbers.iter_mut().zip(0..).for_each(|(number, i)| *number = i));
}

fn fill_managed(numbers: mp::ListProxy<u32>) {
    for number in 0..5 {
        numbers.push(number).unwrap();
    }
}

fn here() -> usize {
    NUMBERS.lock().unwrap().len()
}

pub(crate) fn main() -> mp::Result<()> {
    // The process first: a child by Fork has a copy of what is there when it begins.
    let there = Process::new(fill, ()).start()?.join()?;
    let by_process = here();
    std::thread::scope(|scope| scope.spawn(fill).join()).expect("it does not panic");
    println!("filled by a thread: {} here", here());
    println!("filled by a process: {by_process} here, {there} there");

    let shared = Array::zeroed(5)?;
    Process::new(fill_shared, (shared.clone(),)).start()?.join()?;
    println!("in shared memory: {:?} here", shared.to_vec());

    let manager = Manager::start()?;
    let managed = manager.list::<u32>()?;
    Process::new(fill_managed, (managed.clone(),)).start()?.join()?;
    let managed = managed.len()?;
    println!("in a manager: {managed} here");
    assert_eq!((here(), by_process, there, shared.to_vec().len(), managed), (5, 0, 5, 5, 5));
    Ok(())
}
