//! Python programs as clients: their requests in CPython's protocol. See `pickled/`.

use super::segments::{Counted, Party};
use super::table::Body;
use super::{LISTENER_OF_PYTHON, Server};
use crate::object::{ClientId, Kept};
use crate::pickled::{self, Answer, Made, Reply, Request, Sent, Stage, Step, Typed, id};
use crate::protocol::{self, Failure, Kind, ObjectId, new_number};
use mp_core::error::OsResult;
use mp_core::sys::poll::Interest;
use mp_pipe::Listener;
use mp_pipe::pickle::Value;
use mp_shm::OwnedName;
use std::os::fd::AsFd;

/// Why a request was refused: the line that a Python traceback ends with.
fn refused(text: impl Into<String>) -> Reply {
    Reply::Refused(text.into())
}

impl Server {
    pub(crate) fn listen_for_python(&mut self, listener: Listener) -> OsResult<()> {
        self.set.add(listener.as_fd(), LISTENER_OF_PYTHON, Interest::Read)?;
        self.pickled.listener = Some(listener);
        Ok(())
    }

    /// Goes on with the handshakes, and takes in the programs that have proved to have the key.
    pub(super) fn admit_python(&mut self) {
        loop {
            let Some(listener) = &self.pickled.listener else { return };
            let Ok(stream) = listener.try_accept() else { return };
            let (client, key) = (self.last + 1, self.last + 2);
            self.last = key;
            self.pickled.add(&self.counts, &self.set, client, key, stream);
        }
    }

    /// A connection of a Python program is ready.
    pub(super) fn read_python(&mut self, client: ClientId) {
        match self.pickled.next(&self.set, client) {
            Ok(None) => {}
            Ok(Some(bytes)) => match (Request::read(&bytes), self.pickled.stage(client)) {
                (Err(reply), stage) => self.tell(client, reply, stage == Some(Stage::Asking)),
                (Ok(request), Some(Stage::Asking)) => self.serve_python(client, &request),
                (Ok(request), _) => self.call_of_python(client, &request),
            },
            Err(()) => self.python_gone(client),
        }
    }

    pub(super) fn python_gone(&mut self, client: ClientId) {
        if let Some(touched) = self.pickled.remove(&self.set, client) {
            self.cancel_all(client, touched, |object, client| object.thread_gone(client));
        }
    }

    fn tell(&mut self, client: ClientId, reply: Reply, is_last: bool) {
        if is_last {
            self.pickled.set_stage(client, Stage::Closing);
        }
        let sent = self.pickled.send(&self.set, client, reply);
        // A connection that has had its one reply is closed, as Python's server does; else at its next event.
        if sent == Sent::Gone || is_last && !self.pickled.has_unsent(client) {
            self.python_gone(client);
        }
    }

    /// A request of the server itself.
    fn serve_python(&mut self, client: ClientId, request: &Request) {
        let asked = &request.asked;
        let outcome = match (&request.object, asked.method()) {
            (Some(_), _) => Err(refused("ValueError: a call before accept_connection")),
            (None, "accept_connection") => {
                self.pickled.set_stage(client, Stage::Calling);
                return self.tell(client, Reply::Returned(Value::None.into()), false);
            }
            (None, "create") => self.create_for_python(client, request),
            (None, "get_methods") => self.named_by(request).map(|(_, typed)| typed.exposed()),
            (None, "incref") => self.named_by(request).and_then(|(object, _)| {
                if !self.counts.hold(object) {
                    return Err(refused("KeyError: the object is gone"));
                }
                self.pickled.add_reference(&self.counts, client, object);
                Ok(Value::None)
            }),
            (None, "decref") => self.named_by(request).and_then(|(object, _)| {
                match self.pickled.release(&self.counts, client, object) {
                    true => Ok(Value::None),
                    false => Err(refused("AssertionError: this program has no reference to the object")),
                }
            }),
            (None, "number_of_objects") => {
                self.drop_unused();
                Ok(self.table.len().into())
            }
            (None, "debug_info") => Ok(self.debug_info().into()),
            (None, "dummy") => Ok(Value::None),
            (None, "publish") => self.publish_for_python(request),
            (None, "unpublish") => match asked.text(0) {
                Some(name) => Ok(self.pickled.unpublish(name).into()),
                None => Err(refused("TypeError: unpublish(name)")),
            },
            (None, "track_segment" | "release_segment" | "list_segments") => {
                self.segments_for_python(request)
            }
            (None, "shutdown") => {
                self.is_over = true;
                Ok(Value::None)
            }
            (None, other) => Err(refused(format!("AssertionError: '{other}' unrecognized"))),
        };
        let reply = outcome.map_or_else(|refused| refused, |value| Reply::Returned(value.into()));
        self.tell(client, reply, true);
    }

    /// What CPython's `SharedMemoryManager` asks: its client makes a block, and the server keeps the name.
    fn segments_for_python(&mut self, request: &Request) -> Result<Value, Reply> {
        let asked = &request.asked;
        if asked.method() == "list_segments" {
            return Ok(Value::list(self.segments.names(Party::Python).into_iter().map(Value::from)));
        }
        let name = asked.text(0).ok_or_else(|| refused("TypeError: the name of a segment"))?;
        if asked.method() == "track_segment" {
            let owned = OwnedName::adopt(name).map_err(|error| refused(format!("OSError: {error}")))?;
            self.segments.keep(owned, Counted::NONE, Party::Python);
        } else if self.segments.take(name, Party::Python).is_none() {
            return Err(refused(format!("ValueError: the server has no segment {name}")));
        }
        Ok(Value::None)
    }

    /// The object that the first argument names: by its number, or by a token.
    fn named_by(&self, request: &Request) -> Result<(ObjectId, Typed), Reply> {
        let object = request.asked.object();
        let found = object.and_then(|object| Some((object, self.pickled.typed(object)?)));
        found.ok_or_else(|| refused("KeyError: the server has no such object"))
    }

    fn create_for_python(&mut self, client: ClientId, request: &Request) -> Result<Value, Reply> {
        let (typeid, asked) =
            request.asked.split().ok_or_else(|| refused("TypeError: create(typeid, ...)"))?;
        let (object, typed) = match self.pickled.published(&typeid) {
            Some(object) => {
                let typed = self.pickled.typed(object).filter(|_| self.counts.hold(object));
                (object, typed.ok_or_else(|| refused("KeyError: the object is gone"))?)
            }
            None => {
                let made = pickled::make(&self.counts, &typeid, &asked);
                let (typed, made) = made.map_err(|raised| refused(raised.line()))?;
                let (kind, body) = match made {
                    Made::Values(object) => (Kind::Python, Body::Python(object)),
                    Made::Own(kind, object) => (kind, Body::Own(object)),
                    Made::Over(lock) => {
                        let over = self.condition_over(lock);
                        let over =
                            over.map_err(|_| refused("TypeError: Condition(lock): no lock of this server"));
                        (Kind::Condition, over?)
                    }
                };
                (self.enter_for_python(typed, kind, body)?, typed)
            }
        };
        self.pickled.add_reference(&self.counts, client, object);
        Ok(Value::tuple([id(object), typed.exposed()]))
    }

    /// A new object, whose first reference is the caller's.
    fn enter_for_python(&mut self, typed: Typed, kind: Kind, body: Body) -> Result<ObjectId, Reply> {
        let object = new_number().map_err(|error| refused(format!("OSError: {error}")))?;
        self.table.insert(object, kind, body, None);
        self.counts.begin(object);
        self.pickled.enter(object, typed);
        Ok(object)
    }

    fn publish_for_python(&mut self, request: &Request) -> Result<Value, Reply> {
        let wrong = || refused("TypeError: publish(name, object)");
        let name = request.asked.text(0).ok_or_else(wrong)?;
        let object = request.asked.text(1).and_then(pickled::number).ok_or_else(wrong)?;
        let kept = self.pickled.typed(object).and_then(|_| Kept::new(&self.counts, object));
        self.pickled.publish(name, kept.ok_or_else(|| refused("KeyError: the server has no such object"))?);
        Ok(Value::None)
    }

    fn debug_info(&mut self) -> String {
        let Server { pickled, table, .. } = self;
        pickled.shown(|object, typed| match table.get(object).map(|entry| &entry.body) {
            Some(Body::Python(object)) => object.repr(),
            _ => format!("<{}>", typed.name()),
        })
    }

    /// A call on an object.
    fn call_of_python(&mut self, client: ClientId, request: &Request) {
        let object = request.object.as_ref().and_then(pickled::object_of);
        let found = object.and_then(|object| Some((object, self.pickled.typed(object)?)));
        let (Some((object, typed)), asked) = (found, &request.asked) else {
            return self.tell(client, refused("KeyError: the server has no such object"), false);
        };
        if !typed.answers(asked.method()) {
            let text = format!(
                "AttributeError: method '{}' of '{}' object is not exposed",
                asked.method(),
                typed.name()
            );
            return self.tell(client, refused(text), false);
        }
        let reply = match self.table.get(object).map(|entry| &mut entry.body) {
            Some(Body::Python(values)) => match values.call(&self.counts, asked) {
                Ok(Answer::Value(held)) => Reply::Returned(held),
                Ok(Answer::Object(type_, made)) => self.proxy_for_python(client, pickled::typed(type_), made),
                Err(raised) => Reply::Raised(raised),
            },
            Some(_) => match pickled::step(&self.counts, typed, asked) {
                Ok(Ok(Step { call, wait, then })) => {
                    self.pickled.set_stage(client, Stage::Waiting(typed, then));
                    return self.call(client, NO_THREAD, ANY_SERIAL, object, wait, call);
                }
                Ok(Err(held)) => Reply::Returned(held),
                Err(raised) => Reply::Raised(raised),
            },
            None => refused("KeyError: the object is gone"),
        };
        self.tell(client, reply, false);
    }

    fn proxy_for_python(&mut self, client: ClientId, typed: Typed, made: pickled::Object) -> Reply {
        match self.enter_for_python(typed, Kind::Python, Body::Python(made)) {
            Ok(object) => {
                self.pickled.add_reference(&self.counts, client, object);
                Reply::Proxy(typed.name(), typed.exposed(), object)
            }
            Err(refused) => refused,
        }
    }

    /// The reply of a call that was one of the server's own objects'. Gives it back if the program has ended.
    pub(super) fn deliver_to_python(
        &mut self,
        client: ClientId,
        result: Result<protocol::Reply, Failure>,
    ) -> super::Delivery {
        let reply = result.unwrap_or_else(protocol::Reply::Failed);
        match self.pickled.answer(&self.counts, &self.set, client, &reply) {
            Sent::Sent => super::Delivery::Sent,
            Sent::Gone => super::Delivery::Dead(reply),
        }
    }
}

/// A connection of a Python program is one of its threads'.
const NO_THREAD: u64 = 0;

/// It has one call at a time.
const ANY_SERIAL: u64 = 1;
