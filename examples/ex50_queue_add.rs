//! Four processes put their sums into one queue; they can be joined before anything is taken out of it.
//!
//! Answers:  the template "Multi-processing"
//! Python:   Process(target=add, args=(x, y, q)) ×4; p.join(); q.qsize(); q.get()
//! Run:      cargo run --example ex50_queue_add
//! Prints:
//!     4
//!     1 + 10 = 11
//!     2 + 20 = 22
//!     3 + 30 = 33
//!     4 + 40 = 44
//!     joined before it is got: a result of 1048576 bytes
//! As in course:
//!     4
//!     2 4 6 8

use mp::{Process, Queue};

const PAIRS: [(u32, u32); 4] = [(1, 10), (2, 20), (3, 30), (4, 40)];

/// The course's own adds one operand to itself.
fn add(x: u32, y: u32, as_in_course: bool, results: Queue<(u32, u32, u32)>) {
    results.put((x, y, if as_in_course { x + x } else { x + y })).unwrap();
}

/// In Python a join before the parent has got this item waits for ever.
fn put_much(results: Queue<Vec<u8>>) {
    results.put_bytes(&[7; 1 << 20]).unwrap();
}

pub(crate) fn main() -> mp::Result<()> {
    let as_in_course = std::env::args().any(|argument| argument == "--as-in-course");
    let results = Queue::new()?;
    let start = |(x, y)| Process::new(add, (x, y, as_in_course, results.clone())).start();
    let children = PAIRS.into_iter().map(start).collect::<Result<Vec<_>, _>>()?;
    children.iter().try_for_each(|child| child.join())?;
    println!("{}", results.qsize());
    let mut sums: Vec<_> = results.get_many(PAIRS.len())?.collect::<Result<_, _>>()?;
    // In the order in which they were put.
    sums.sort_unstable();
    if as_in_course {
        let sums: Vec<String> = sums.iter().map(|(.., sum)| sum.to_string()).collect();
        println!("{}", sums.join(" "));
        return Ok(());
    }
    sums.iter().for_each(|(x, y, sum)| println!("{x} + {y} = {sum}"));
    let much = Queue::new()?;
    Process::new(put_much, (much.clone(),)).start()?.join()?;
    let got: Vec<u8> = much.get()?;
    println!("joined before it is got: a result of {} bytes", got.len());
    assert!(sums.len() == PAIRS.len() && got == [7; 1 << 20]);
    Ok(())
}
