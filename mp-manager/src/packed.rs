//! A value on its way into a managed object, or out of it; and the proxies inside of it.
//!
//! A proxy within a value that goes to its own manager is packed as the object's id, and the ids are listed beside the
//! value: the server keeps those objects as long as the value. Anywhere else a proxy is packed with what it takes to
//! reach the manager from there (`client/reference.rs`).

use crate::client::Client;
use crate::error::ManagerError;
use crate::protocol::{Key, ObjectId, Packed};
use mp_core::transfer::{Message, pack, pack_onto, pack_value, unpack};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::cell::RefCell;
use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::thread::LocalKey;

/// A value that is being packed for its manager.
struct Outgoing {
    manager: u64,
    objects: Vec<ObjectId>,
}

/// A value that is being unpacked: the references that came with it.
struct Incoming {
    client: Arc<Client>,
    objects: Vec<ObjectId>,
}

thread_local! {
    // Never dropped, so that other thread-locals and exit handlers, whose end comes later, can use proxies too; outside
    // a transfer there is nothing in them to drop.
    static OUTGOING: Local<Outgoing> = const { ManuallyDrop::new(RefCell::new(None)) };
    static INCOMING: Local<Incoming> = const { ManuallyDrop::new(RefCell::new(None)) };
}

/// Sets a scope back to what it was, also when a `Serialize` panics: transfers may nest.
struct Restore<T: 'static> {
    scope: Scope<T>,
    before: Option<T>,
    is_left: bool,
}

type Local<T> = ManuallyDrop<RefCell<Option<T>>>;
type Scope<T> = &'static LocalKey<Local<T>>;

impl<T> Restore<T> {
    fn enter(scope: Scope<T>, new: T) -> Restore<T> {
        Restore { scope, before: scope.with(|scope| scope.replace(Some(new))), is_left: false }
    }

    fn leave(mut self) -> Option<T> {
        self.is_left = true;
        self.scope.with(|scope| scope.replace(self.before.take()))
    }
}

impl<T> Drop for Restore<T> {
    fn drop(&mut self) {
        if !self.is_left {
            self.scope.with(|scope| scope.replace(self.before.take()));
        }
    }
}

/// Packs a value for an object of that manager.
pub(crate) fn pack_for<T: Serialize + DeserializeOwned>(
    manager: u64,
    value: &T,
) -> Result<Packed, ManagerError> {
    within(manager, || pack_value(value))
}

/// Packs values for an object of that manager. Those with proxies in them come back: they are dropped after the call
/// that carries them, since until it has been done only they keep the objects of their proxies.
pub(crate) fn pack_all_for<T: Serialize + DeserializeOwned>(
    manager: u64,
    values: impl IntoIterator<Item = T>,
) -> Result<(Vec<Packed>, Vec<T>), ManagerError> {
    let mut holders = Vec::new();
    let pack = |value| pack_kept_for(manager, value, &mut holders);
    let packed = values.into_iter().map(pack).collect::<Result<_, _>>()?;
    Ok((packed, holders))
}

/// Packs a value for an object of that manager, and adds it to the holders if it has proxies in it.
pub(crate) fn pack_kept_for<T: Serialize + DeserializeOwned>(
    manager: u64,
    value: T,
    holders: &mut Vec<T>,
) -> Result<Packed, ManagerError> {
    let packed = pack_for(manager, &value)?;
    if !packed.objects.is_empty() {
        holders.push(value);
    }
    Ok(packed)
}

/// Packs a value that may be borrowed, such as a `&str`.
pub(crate) fn pack_borrowed_for<T: Serialize + ?Sized>(
    manager: u64,
    value: &T,
) -> Result<Packed, ManagerError> {
    within(manager, || pack(value))
}

fn within(
    manager: u64,
    pack: impl FnOnce() -> Result<Message, mp_core::CodecError>,
) -> Result<Packed, ManagerError> {
    let scope = Restore::enter(&OUTGOING, Outgoing { manager, objects: Vec::new() });
    let message = pack()?;
    let objects = scope.leave().map(|outgoing| outgoing.objects).unwrap_or_default();
    Ok(Packed { message, objects })
}

/// Unpacks a value that the client has received.
pub(crate) fn unpack_from<T: DeserializeOwned>(
    client: &Arc<Client>,
    packed: Packed,
) -> Result<T, ManagerError> {
    let Packed { message, objects } = packed;
    if objects.is_empty() {
        return Ok(unpack(&message.bytes, message.handles)?);
    }
    let scope = Restore::enter(&INCOMING, Incoming { client: Arc::clone(client), objects });
    let value = unpack(&message.bytes, message.handles);
    // References that no proxy has taken, since the value is not what was asked for.
    let left = scope.leave().map(|incoming| incoming.objects).unwrap_or_default();
    client.release(&left);
    Ok(value?)
}

/// A key's bytes. A handle or a proxy in it would be another one each time.
pub(crate) fn key_bytes<K: Serialize + ?Sized>(manager: u64, key: &K) -> Result<Key, ManagerError> {
    let mut bytes = Vec::new();
    key_onto(manager, key, &mut bytes)?;
    Ok(bytes)
}

/// The same, appended to these. After an error there may be more.
#[inline]
pub(crate) fn key_onto<K: Serialize + ?Sized>(
    manager: u64,
    key: &K,
    bytes: &mut Vec<u8>,
) -> Result<(), ManagerError> {
    let scope = Restore::enter(&OUTGOING, Outgoing { manager, objects: Vec::new() });
    let handles = pack_onto(key, bytes)?;
    let has_objects = scope.leave().is_some_and(|outgoing| !outgoing.objects.is_empty());
    if handles.is_empty() && !has_objects {
        Ok(())
    } else {
        Err(ManagerError::Codec("a key cannot hold a handle or a proxy: use plain data".to_owned()))
    }
}

/// Whether the value that is being packed is for this manager; its object is noted then.
pub(crate) fn note_outgoing(manager: u64, object: ObjectId) -> bool {
    OUTGOING.with(|scope| match &mut *scope.borrow_mut() {
        Some(outgoing) if outgoing.manager == manager => {
            outgoing.objects.push(object);
            true
        }
        _ => false,
    })
}

/// The client whose reference to this object came with the value that is being unpacked.
pub(crate) fn take_incoming(object: ObjectId) -> Option<Arc<Client>> {
    INCOMING.with(|scope| {
        let mut scope = scope.borrow_mut();
        let incoming = scope.as_mut()?;
        let at = incoming.objects.iter().position(|other| *other == object)?;
        incoming.objects.swap_remove(at);
        Some(Arc::clone(&incoming.client))
    })
}
