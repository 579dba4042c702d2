//! Values of several types in one queue; one that is refused does not end the stream.
//!
//! Answers:  cell 5
//! Python:   q.put([42, None, 'hello']); print(q.get())
//! Run:      cargo run --example ex22_queue_objects
//! Prints:
//!     [42, None, "hello"]
//!     decode error, then 7

#[path = "support/object.rs"]
mod object;

use mp::{GetError, Process, Queue};
use object::Object;
use serde::{Deserialize, Serialize};

/// At most 100: checked at the receiver, whichever process sent it.
#[derive(Serialize, Deserialize)]
#[serde(try_from = "u64")]
struct Percent(u64);

impl TryFrom<u64> for Percent {
    type Error = String;

    fn try_from(number: u64) -> Result<Percent, String> {
        if number <= 100 { Ok(Percent(number)) } else { Err(format!("{number} of a hundred")) }
    }
}

fn send(objects: Queue<Vec<Object>>, percents: Queue<Percent>) {
    objects.put(vec![Object::Int(42), Object::None, Object::Text("hello".to_owned())]).unwrap();
    percents.put_many([Percent(142), Percent(7)]).unwrap();
}

pub(crate) fn main() -> mp::Result<()> {
    let (objects, percents) = (Queue::new()?, Queue::new()?);
    let child = Process::new(send, (objects.clone(), percents.clone())).start()?;
    println!("{:?}", objects.get()?);
    let wrong = matches!(percents.get(), Err(GetError::Decode(_)));
    println!("{}, then {}", if wrong { "decode error" } else { "no error" }, percents.get()?.0);
    child.join()?;
    assert!(wrong && objects.empty() && percents.empty());
    Ok(())
}
