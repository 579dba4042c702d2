//! A supervised object: a user's value in a process of its own.
//!
//! ```text
//!   server, on a thread of the jobs ──(method, arguments)──► the object's process: calls the method
//!                                   ◄──── result, failure ──┘
//!   the process dies within a call:   the caller is told; the process is started again, as the policy allows
//!   the process dies between calls:   the next caller is told, likewise
//! ```
//! Calls come one after the other, also of `&self` methods.
//!
//! # When a process dies
//! The *object's process*: above; no other object is touched. The *server*: the process is its daemon, and is killed.

use super::hosted::{Hosted, construct, guarded};
use crate::protocol::Failure;
use crate::restart::Restart;
use mp_core::popen::get_helper_method;
use mp_core::sys::socket::stream_pair;
use mp_core::transfer::{Code, Message};
use mp_core::{Child, Process};
use mp_pipe::{Connection, RecvError, SendError};
use serde::{Deserialize, Serialize};
use std::sync::{Mutex, PoisonError};

#[derive(Debug, Serialize, Deserialize)]
struct Asked {
    method: u32,
    exclusive: bool,
    arguments: Message,
}

type Answer = Result<Message, Failure>;

/// See the module. The server makes one call at a time.
pub(super) struct Supervised(Mutex<State>);

struct State {
    code: Code,
    arguments: Message,
    restart: Restart,
    /// None after its last death.
    actor: Option<Actor>,
}

/// The object's process.
struct Actor {
    child: Child<()>,
    stream: Connection<Asked, Answer>,
}

impl Supervised {
    /// Starts the process, and waits until its object is made.
    pub(super) fn start(code: Code, arguments: Message, restart: Restart) -> Result<Supervised, Failure> {
        let actor = Actor::start(&code, &arguments)?;
        Ok(Supervised(Mutex::new(State { code, arguments, restart, actor: Some(actor) })))
    }
}

impl State {
    fn call(&mut self, asked: Asked) -> Answer {
        let Some(actor) = &self.actor else {
            return Err(Failure::Died { how: "has ended".to_owned(), restarted: false });
        };
        match actor.stream.send(&asked) {
            Ok(()) => match actor.stream.recv() {
                Ok(answer) => return answer,
                Err(error) if is_of_one_message(&error) => {
                    let text =
                        format!("the method was called, and the manager cannot take its result: {error}");
                    return Err(Failure::Codec(text));
                }
                Err(_) => {}
            },
            Err(SendError::Closed(_) | SendError::Torn) => {}
            Err(other) => return Err(Failure::Codec(other.to_string())),
        }
        let how = self.actor.take().map_or_else(String::new, Actor::end);
        if self.restart.allows() {
            self.actor = Actor::start(&self.code, &self.arguments).ok();
        }
        Err(Failure::Died { how, restarted: self.actor.is_some() })
    }
}

impl Hosted for Supervised {
    fn is_supervised(&self) -> bool {
        true
    }

    fn call(&self, method: u32, exclusive: bool, arguments: Message) -> Answer {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.call(Asked { method, exclusive, arguments })
    }
}

impl Actor {
    fn start(code: &Code, arguments: &Message) -> Result<Actor, Failure> {
        let not_started = |error: mp_core::StartError| Failure::Codec(error.to_string());
        let (ours, theirs) = stream_pair()?;
        let stream: Connection<Asked, Answer> = Connection::from_fd(ours);
        let theirs: Connection<Answer, Asked> = Connection::from_fd(theirs);
        let process = Process::new(host, (theirs, *code, arguments.clone())).name("Object").daemon();
        let child = process.method(get_helper_method().map_err(not_started)?).start().map_err(not_started)?;
        let actor = Actor { child, stream };
        match actor.stream.recv() {
            Ok(Ok(_)) => Ok(actor),
            Ok(Err(failure)) => {
                actor.end();
                Err(failure)
            }
            Err(_) => Err(Failure::Died { how: actor.end(), restarted: false }),
        }
    }

    /// Waits for the process and says how it ended.
    fn end(self) -> String {
        let Actor { child, stream } = self;
        drop(stream);
        match child.join() {
            Ok(()) => "ended".to_owned(),
            Err(error) => format!("ended ({error})"),
        }
    }
}

/// The main function of the object's process.
fn host(stream: Connection<Answer, Asked>, code: Code, arguments: Message) {
    mp_core::sys::signal::ignore_interrupts();
    let made = construct(&code, arguments);
    let answer = made.as_ref().map(|_| Message::default()).map_err(Clone::clone);
    if stream.send(&answer).is_err() {
        return;
    }
    let Ok(object) = made else { return };
    loop {
        let answer = match stream.recv() {
            Ok(Asked { method, exclusive, arguments }) => {
                guarded(|| object.call(method, exclusive, arguments))
            }
            Err(error) if is_of_one_message(&error) => {
                Err(Failure::Codec(format!("the object's process cannot take the arguments: {error}")))
            }
            Err(_) => return,
        };
        if stream.send(&answer).is_err() {
            return;
        }
    }
}

/// Whether one message alone is lost: the next one can be received, and the other process lives.
fn is_of_one_message(error: &RecvError) -> bool {
    matches!(error, RecvError::Handles { .. } | RecvError::Decode(_))
}
