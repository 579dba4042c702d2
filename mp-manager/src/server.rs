//! The server process: the accept socket, one thread for each client, and one that watches the references.
//!
//! ```text
//!   accept socket (packets; all proxies hold its other end)
//!     │ each packet brings one end of a new socket pair ──► a thread that serves it until it ends
//!     └ its end: no proxy and no manager is left ──► exit
//!   references: for each object one end of a socket pair, of which every proxy, in any process or in flight, holds
//!     the other; when the kernel has closed the last of them, the object ends
//! ```
//!
//! # When a process dies
//! A *client*: the kernel closes its connections and references; its locks are freed, its references dropped. The
//! *manager's owner*: the server is a daemon, so it is killed. The *server*: every connection ends, and each call
//! returns `Gone`.

use crate::object::{Dict, List, Lock};
use crate::protocol::{Failure, Kind, ObjectId, Reply, Request};
use mp_core::sys::poll::{Interest, poll, wait_for};
use mp_core::sys::process::random_bytes;
use mp_core::sys::signal;
use mp_core::sys::socket::{self, Mode};
use mp_core::transfer::{Handle, pack, receive_parcel, send_parcel, unpack};
use mp_core::word::Deadline;
use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

#[derive(Debug, Clone)]
enum Object {
    Dict(Arc<Dict>),
    List(Arc<List>),
    Lock(Arc<Lock>),
}

#[derive(Debug)]
struct Server {
    objects: Mutex<HashMap<ObjectId, Object>>,
    references: Mutex<Vec<(ObjectId, Handle)>>,
    /// Written to when there is a new reference to watch.
    wake: File,
    clients: AtomicU64,
}

/// The main function of the server's process.
pub(crate) fn serve(accept_socket: Handle) {
    // The owner decides what happens on Ctrl-C.
    signal::ignore_interrupts();
    let Ok((woken, wake)) = mp_core::sys::fd::pipe() else { return };
    let server = Arc::new(Server {
        objects: Mutex::default(),
        references: Mutex::default(),
        wake: wake.into(),
        clients: AtomicU64::new(0),
    });
    let watcher = Arc::clone(&server);
    let started = std::thread::Builder::new().spawn(move || watcher.watch_references(woken.into()));
    if started.is_err() {
        return;
    }
    loop {
        match socket::receive(accept_socket.as_fd(), &mut [0; 1], Mode::Block) {
            // If no descriptor is left, the client's end is discarded, and the client reads the end of its connection.
            Ok(received) if received.bytes > 0 => {
                for connection in received.fds {
                    let server = Arc::clone(&server);
                    // If no thread can be started, the connection is dropped, and its client reads its end.
                    let _ = std::thread::Builder::new().spawn(move || server.serve_client(&connection));
                }
            }
            _ => return,
        }
    }
}

impl Server {
    fn serve_client(&self, connection: &OwnedFd) {
        // ORDERING: Relaxed: only the number matters.
        let client = self.clients.fetch_add(1, Ordering::Relaxed) + 1;
        let mut locks: Vec<Arc<Lock>> = Vec::new();
        while let Ok(message) = receive_parcel(connection.as_fd(), Mode::Block) {
            // What is no request ends this connection, and this one only.
            let Ok(request) = unpack::<Request>(&message.bytes, message.handles) else { break };
            if matches!(request, Request::Shutdown) {
                std::process::exit(0);
            }
            let reply = self.answer(client, connection, &mut locks, request).unwrap_or_else(Reply::Failed);
            let sent = pack(&reply).is_ok_and(|message| send_parcel(connection.as_fd(), &message).is_ok());
            if !sent {
                break;
            }
        }
        locks.iter().for_each(|lock| lock.client_gone(client));
    }

    fn answer(
        &self,
        client: u64,
        connection: &OwnedFd,
        locks: &mut Vec<Arc<Lock>>,
        request: Request,
    ) -> Result<Reply, Failure> {
        match request {
            Request::Create { kind, held } => self.create(kind, held),
            Request::Count => Ok(Reply::Count(self.objects().len() as u64)),
            Request::Shutdown => Ok(Reply::Done),
            Request::Dict(id, call) => match self.find(id)? {
                Object::Dict(dict) => dict.call(call),
                _ => Err(Failure::NoSuchObject),
            },
            Request::List(id, call) => match self.find(id)? {
                Object::List(list) => list.call(call),
                _ => Err(Failure::NoSuchObject),
            },
            Request::Lock(id, call) => {
                let Object::Lock(lock) = self.find(id)? else { return Err(Failure::NoSuchObject) };
                if !locks.iter().any(|other| Arc::ptr_eq(other, &lock)) {
                    locks.push(Arc::clone(&lock));
                }
                lock.call(client, || still_there(connection), call)
            }
        }
    }

    fn create(&self, kind: Kind, held: Handle) -> Result<Reply, Failure> {
        let object = match kind {
            Kind::Dict => Object::Dict(Arc::default()),
            Kind::List => Object::List(Arc::default()),
            Kind::Lock => Object::Lock(Arc::default()),
        };
        let mut bytes = [0; 8];
        random_bytes(&mut bytes).map_err(|error| Failure::Codec(error.to_string()))?;
        let id = ObjectId::from_le_bytes(bytes);
        self.objects().insert(id, object);
        self.references.lock().unwrap_or_else(PoisonError::into_inner).push((id, held));
        let _ = (&self.wake).write(&[0]);
        Ok(Reply::Created(id))
    }

    fn find(&self, id: ObjectId) -> Result<Object, Failure> {
        self.objects().get(&id).cloned().ok_or(Failure::NoSuchObject)
    }

    fn objects(&self) -> MutexGuard<'_, HashMap<ObjectId, Object>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Drops each object that no proxy holds any more.
    fn watch_references(&self, mut woken: File) {
        loop {
            let references = self.references.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let mut waiting = vec![(woken.as_fd(), Interest::Read)];
            waiting.extend(references.iter().map(|(_, held)| (held.as_fd(), Interest::Hangup)));
            let Ok(ready) = poll(&waiting, None) else { return };
            let ended: Vec<usize> = ready.iter().filter_map(|at| at.checked_sub(1)).collect();
            if ready.contains(&0) {
                let _ = woken.read(&mut [0; 64]);
            }
            let mut kept = self.references.lock().unwrap_or_else(PoisonError::into_inner);
            let mut objects = self.objects();
            for at in ended {
                let object = references[at].0;
                kept.retain(|(other, _)| *other != object);
                objects.remove(&object);
            }
        }
    }
}

/// Whether the client at the other end lives: it says nothing while it waits for an answer.
fn still_there(connection: &OwnedFd) -> bool {
    !wait_for(connection.as_fd(), Interest::Hangup, Deadline::after(Duration::ZERO)).unwrap_or(true)
}
