//! Two pipes in a chain; the stream ends when the last sender is closed.
//!
//! Answers:  notebook 7
//! Python:   Pipe(False); conn.send(i); conn.close(); except EOFError
//! Run:      cargo run --example ex07_pipe_chain
//! Prints:
//!     0
//!     1
//!     4
//!     9
//!     16
//!     25
//!     36
//!     49
//!     64
//!     81
//!     End
//! As in course:
//!     a stray sender is open: timeout
//!     it is closed: End

use mp::{Process, Receiver, RecvError, Sender, pipe_simplex};
use std::time::Duration;

fn create_items(output: Sender<u64>) {
    (0..10).for_each(|item| output.send(&item).unwrap());
}

fn multiply_items(input: Receiver<u64>, output: Sender<u64>) {
    while let Ok(item) = input.recv() {
        output.send(&(item * item)).unwrap();
    }
}

pub(crate) fn main() -> mp::Result<()> {
    if std::env::args().any(|argument| argument == "--as-in-course") {
        return stray_end();
    }
    let (items, first) = pipe_simplex()?;
    let creating = Process::new(create_items, (first,)).start()?;
    let (squares, second) = pipe_simplex()?;
    // Both ends that the children have are given away: this process keeps the last receiver alone.
    let multiplying = Process::new(multiply_items, (items, second)).start()?;
    let mut received = 0;
    while let Ok(square) = squares.recv() {
        println!("{square}");
        received += 1;
    }
    assert!(received == 10 && matches!(squares.recv(), Err(RecvError::Closed)));
    println!("End");
    creating.join()?;
    multiplying.join()?;
    Ok(())
}

/// The course only warns of it: while any process has a sender open, a receiver cannot see the end.
fn stray_end() -> mp::Result<()> {
    let (items, sender) = pipe_simplex::<u64>()?;
    let stray = sender.clone();
    Process::new(create_items, (sender,)).start()?.join()?;
    for item in 0..10 {
        assert_eq!(items.recv()?, item);
    }
    assert!(matches!(items.recv_timeout(Duration::from_millis(50)), Err(RecvError::Timeout)));
    println!("a stray sender is open: timeout");
    drop(stray);
    assert!(matches!(items.recv(), Err(RecvError::Closed)));
    println!("it is closed: End");
    Ok(())
}
