//! A type whose `run` is a process, where Python subclasses `Process`.
//!
//! Answers:  notebook 5
//! Python:   class MyProcess(Process): def run(self): ...
//! Run:      cargo run --example ex05_process_trait
//! Prints:
//!     called run method in MyProcess-1
//!     called run method in MyProcess-2
//!     called run method in MyProcess-3
//!     called run method in MyProcess-4
//!     called run method in MyProcess-5
//!     the parent's field is still 7, each child saw 7 and made it 8

use mp::{Process, Run, current_process};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize)]
struct MyProcess {
    field: u32,
}

impl Run for MyProcess {
    type Output = (String, u32, u32);

    fn run(mut self) -> Self::Output {
        let seen = self.field;
        // A change in the child's copy.
        self.field += 1;
        (format!("called run method in {}", current_process().name()), seen, self.field)
    }
}

pub(crate) fn main() -> mp::Result<()> {
    let work = MyProcess { field: 7 };
    let children: Vec<_> = (0..5).map(|_| Process::of(work.clone()).start()).collect::<Result<_, _>>()?;
    for child in children {
        let (line, seen, made) = child.join()?;
        println!("{line}");
        assert_eq!((seen, made), (7, 8));
    }
    println!("the parent's field is still {}, each child saw 7 and made it 8", work.field);
    assert_eq!(work.field, 7);
    Ok(())
}
