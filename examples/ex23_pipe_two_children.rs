//! A pipe between two children: each has one end, and the parent none.
//!
//! Answers:  cell 11
//! Python:   a, b = Pipe(); Process(target=f, args=(b,)); Process(target=f2, args=(a,))
//! Run:      cargo run --example ex23_pipe_two_children
//! Prints:
//!     [42, None, "hello", true]
//!     printed by Process-2, which then saw the end

#[path = "support/object.rs"]
mod object;

use mp::{Process, Receiver, RecvError, Sender, pipe_simplex};
use object::Object;

fn send(objects: Sender<Vec<Object>>) {
    let text = Object::Text("hello".to_owned());
    objects.send(&vec![Object::Int(42), Object::None, text, Object::Bool(true)]).unwrap();
}

/// Prints what comes, and gives its own name when the stream has ended: no sender is left then, here or anywhere.
fn print(objects: Receiver<Vec<Object>>) -> String {
    loop {
        match objects.recv() {
            Ok(list) => println!("{list:?}"),
            Err(RecvError::Closed) => return mp::current_process().name().to_owned(),
            Err(error) => panic!("{error}"),
        }
    }
}

pub(crate) fn main() -> mp::Result<()> {
    let (receiver, sender) = pipe_simplex()?;
    // Each start gives an end away: from here on `sender.send(..)`, and below `receiver.recv()`, do not compile.
    // The sender goes first: a fork that reads would have a copy of it, and wait for itself.
    let sending = Process::new(send, (sender,)).start()?;
    let printing = Process::new(print, (receiver,)).start()?;
    sending.join()?;
    let name = printing.join()?;
    println!("printed by {name}, which then saw the end");
    assert_eq!(name, "Process-2");
    Ok(())
}
