//! An actor: an object in a process of its own, which the manager starts again when it dies, as its policy says.
//!
//! Answers:  notebook 9
//! Python:   a class that is registered with a manager; its end is the end of the whole manager
//! Run:      cargo run --example ex15_supervised_actor
//! Prints:
//!     parsed 2 so far
//!     it died in the call, and there is a new one: true
//!     parsed 1 so far
//!     it died in the call, and there is a new one: false
//!     it stays dead: true
//!     other objects of the manager go on: [2, 1]

use mp::{Manager, ManagerError, Restart};

/// Calls code that is known to crash now and then.
struct Parser {
    parsed: u32,
}

#[mp::shared]
impl Parser {
    fn new() -> Parser {
        Parser { parsed: 0 }
    }

    pub(crate) fn parse(&mut self, text: &str) -> u32 {
        if text == "poison" {
            std::process::abort();
        }
        self.parsed += 1;
        self.parsed
    }
}

fn is_restarted(error: &ManagerError) -> Option<bool> {
    if let ManagerError::ObjectDied { restarted, .. } = error { Some(*restarted) } else { None }
}

pub(crate) fn main() -> mp::Result<()> {
    let manager = Manager::start()?;
    let counts = manager.list::<u32>()?;
    let parser = manager.supervised(Parser::new, (), Restart::UpTo(1))?;
    for text in ["one", "two", "poison", "three", "poison"] {
        match parser.parse(text) {
            Ok(count) if text != "one" => {
                println!("parsed {count} so far");
                counts.push(count)?;
            }
            Ok(_) => {}
            Err(error) => match is_restarted(&error) {
                Some(restarted) => println!("it died in the call, and there is a new one: {restarted}"),
                None => return Err(error.into()),
            },
        }
    }
    println!("it stays dead: {}", parser.parse("four").is_err());
    println!("other objects of the manager go on: {:?}", counts.to_vec()?);
    Ok(())
}
