//! Objects that are not what they are taken for: of another type, with a damaged header, with any bits
//! inside. Fault rows 19, 20 and 21; the same below, where the errors have their types, in
//! `mp-core/tests/attach.rs`.

use mp_core::mem::{Mapping, Shareable};
use mp_core::sys::memory::punch;
use mp_core::sys::process::random_bytes;
use mp_core::sys::robust::RobustWord;
use mp_core::transfer::{Message, pack, unpack};
use mp_sync::raw::{RawLock, RawRLock};
use mp_sync::{
    Array, AtomicBool, AtomicU8, AtomicU32, Barrier, BoundedSemaphore, Condition, Event, Lock, Mutex,
    OwnedSemaphore, RLock, RawArray, RawValue, RwLock, Semaphore, Value,
};
use std::any::Any;
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

mp_testing::cases! {
    plain: [
        each_type_is_taken_for_itself_alone,
        a_damaged_header_is_refused_by_every_type,
        any_bits_are_values,
        any_word_of_a_lock_is_an_answer_or_a_wait,
        a_lying_length_of_an_array_is_refused,
        an_array_that_cost_its_maker_nothing_is_refused,
    ]
}

struct Type {
    name: &'static str,
    /// An object, and what would be sent of it.
    make: fn() -> (Box<dyn Any>, Message),
    /// Whether a message is taken for one of these.
    takes: fn(&Message) -> bool,
}

macro_rules! types {
    ($($type:ty: $make:expr;)*) => {
        &[$(Type {
            name: stringify!($type),
            make: || {
                let object: $type = $make.unwrap();
                let message = pack(&object).unwrap();
                (Box::new(object), message)
            },
            takes: |message| unpack::<$type>(&message.bytes, message.handles.clone()).is_ok(),
        }),*]
    };
}

const TYPES: &[Type] = types! {
    Lock: Lock::new();
    RLock: RLock::new();
    Mutex<u32>: Mutex::new(1);
    Mutex<[u8; 4]>: Mutex::new([1; 4]);
    Value<u32>: Value::new(1);
    Value<i32>: Value::new(1);
    Value<f32>: Value::new(1.0);
    Value<[u8; 4]>: Value::new([1; 4]);
    RawValue<u32>: RawValue::new(1);
    RawValue<[u8; 4]>: RawValue::new([1; 4]);
    RwLock<u32>: RwLock::new(1);
    RwLock<i32>: RwLock::new(1);
    Condition<RLock>: Condition::new();
    Condition<Lock>: Condition::with_lock(&Lock::new().unwrap());
    Semaphore: Semaphore::new(1);
    BoundedSemaphore: BoundedSemaphore::new(1);
    OwnedSemaphore: OwnedSemaphore::new(1);
    Event: Event::new();
    Barrier: Barrier::new(1);
    Array<u32>: Array::from_slice(&[1; 3]);
    Array<u8>: Array::from_slice(&[1; 3]);
    RawArray<u32>: RawArray::zeroed(3);
    RawArray<f32>: RawArray::zeroed(3);
    AtomicU32: AtomicU32::new(1);
    AtomicU8: AtomicU8::new(1);
    AtomicBool: AtomicBool::new(true);
};

/// One object under two names, each of which keeps what the other needs.
const TWINS: &[[&str; 2]] = &[["Semaphore", "BoundedSemaphore"], ["AtomicU8", "AtomicBool"]];

/// Row 19
fn each_type_is_taken_for_itself_alone() {
    for one in TYPES {
        let (object, message) = (one.make)();
        let taken = || TYPES.iter().filter(|other| (other.takes)(&message)).map(|other| other.name);
        let expected = || {
            let twin =
                |other: &&str| TWINS.iter().any(|twins| twins.contains(other) && twins.contains(&one.name));
            TYPES.iter().map(|other| other.name).filter(move |other| *other == one.name || twin(other))
        };
        assert_eq!(taken().collect::<Vec<_>>(), expected().collect::<Vec<_>>(), "with {}", one.name);
        // Not mapped here any more, it has to be looked at anew.
        drop(object);
        assert_eq!(taken().collect::<Vec<_>>(), expected().collect::<Vec<_>>(), "with {}, sent", one.name);
    }
}

fn files(message: &Message) -> Vec<File> {
    let file = |handle: &mp_core::transfer::Handle| File::from(handle.as_fd().try_clone_to_owned().unwrap());
    message.handles.iter().map(file).collect()
}

/// Row 20
fn a_damaged_header_is_refused_by_every_type() {
    const MEANS_SOMETHING: u64 = 40;
    for one in TYPES {
        let (mut object, message) = (one.make)();
        for _ in 0..2 {
            for file in files(&message) {
                for at in 0..MEANS_SOMETHING {
                    let mut before = [0];
                    file.read_exact_at(&mut before, at).unwrap();
                    file.write_all_at(&[before[0] ^ 0x10], at).unwrap();
                    assert!(!(one.takes)(&message), "{}, byte {at}", one.name);
                    file.write_all_at(&before, at).unwrap();
                }
            }
            assert!((one.takes)(&message), "{}", one.name);
            // And once more when it is mapped nowhere.
            object = Box::new(());
        }
        drop(object);
    }
}

const PAYLOAD: u64 = Mapping::header_bytes() as u64;
const LOCK: u64 = size_of::<RawLock<RobustWord>>() as u64;
/// The lock of a value or an array, which its holder may take again.
const RELOCK: u64 = size_of::<RawRLock<RobustWord>>() as u64;

/// Writes noise over an object, from so many bytes of its payload on.
fn scribble(file: &File, from: u64) {
    let bytes = file.metadata().unwrap().len() - PAYLOAD - from;
    let mut noise = vec![0; bytes.min(1024) as usize];
    random_bytes(&mut noise).unwrap();
    file.write_all_at(&noise, PAYLOAD + from).unwrap();
}

fn file<T: serde::Serialize>(object: &T) -> File {
    files(&pack(object).unwrap()).remove(0)
}

#[derive(Debug, Clone, Copy, Shareable)]
#[repr(C)]
struct Mixed {
    y: f64,
    x: i32,
    z: [i16; 2],
}

/// Rows 21 and 44: every call returns, with any value. Objects with locks inside are left out: a process that writes
/// over these can have the others wait for ever, which is no bug; and a lock that is held is spared, since
/// its holder would end.
fn any_bits_are_values() {
    let (flag, number) = (AtomicBool::new(false).unwrap(), AtomicU32::new(0).unwrap());
    let raw = RawValue::new(Mixed { y: 0.0, x: 0, z: [0; 2] }).unwrap();
    let value = Value::new(Mixed { y: 0.0, x: 0, z: [0; 2] }).unwrap();
    let (array, raw_array) = (Array::from_slice(&[0_f32; 7]).unwrap(), RawArray::<u128>::zeroed(7).unwrap());
    let (event, semaphore) = (Event::new().unwrap(), Semaphore::new(1).unwrap());
    let bounded = BoundedSemaphore::new(1).unwrap();
    let plain = [
        file(&flag),
        file(&number),
        file(&raw),
        file(&raw_array),
        file(&event),
        file(&semaphore),
        file(&bounded),
    ];
    let locked = [file(&value), file(&array)];
    for _ in 0..2000 {
        plain.iter().for_each(|file| scribble(file, 0));
        locked.iter().for_each(|file| scribble(file, LOCK));
        let seen = u8::from(flag.load(Relaxed)) + u8::from(!flag.fetch_and(true, Relaxed));
        assert!(seen == 1, "a yes or a no");
        let _ = (number.load(Relaxed), raw.get().y.to_bits(), value.get().z);
        let _ = (array.to_vec().len(), raw_array.to_vec().len());
        let mut mixed = value.lock().unwrap_or_else(|died| died.into_guard());
        mixed.x = mixed.x.wrapping_add(1);
        drop(mixed);
        let _ = event.wait_timeout(Duration::ZERO);
        event.set();
        event.clear();
        let _ = event.is_set();
        macro_rules! all_calls {
            ($semaphore:expr) => {
                drop($semaphore.try_acquire());
                drop($semaphore.acquire_timeout(Duration::ZERO));
                let _ = ($semaphore.release(), $semaphore.release_many(3));
                let _ = ($semaphore.get_value(), $semaphore.locked());
            };
        }
        all_calls!(semaphore);
        all_calls!(bounded);
    }
}

/// An object, what is sent of it, and calls that come back by themselves.
struct Played {
    files: Vec<File>,
    play: Box<dyn Fn()>,
}

fn played<T: serde::Serialize + 'static>(object: T, play: fn(&T)) -> Played {
    Played { files: files(&pack(&object).unwrap()), play: Box::new(move || play(&object)) }
}

const LOCKS: &[fn() -> Played] = &[
    || {
        played(Barrier::new(2).unwrap(), |barrier| {
            let _ = barrier.wait_timeout(Duration::ZERO);
            let _ = (barrier.n_waiting(), barrier.parties(), barrier.broken());
            barrier.reset();
            let _ = barrier.wait_timeout_then(Duration::ZERO, || {});
            barrier.abort();
            let _ = barrier.wait();
        })
    },
    || {
        played(Condition::new().unwrap(), |condition| {
            let Ok(mut guard) = condition.acquire_timeout(Duration::ZERO) else { return };
            let _ = guard.wait_timeout(Duration::ZERO);
            guard.notify(3);
            guard.notify_all();
        })
    },
    || {
        played(RwLock::new(1_u32).unwrap(), |lock| {
            drop(lock.try_read());
            drop(lock.try_write());
            drop((lock.try_read(), lock.try_read()));
        })
    },
    || {
        played(OwnedSemaphore::new(3).unwrap(), |seats| {
            drop((seats.acquire_timeout(Duration::ZERO), seats.try_acquire()));
            let _ = (seats.get_value(), seats.permits(), seats.release().is_ok());
        })
    },
];

/// Row 44: any number in any word but that of the lock itself, where one that lives makes others wait for ever.
fn any_word_of_a_lock_is_an_answer_or_a_wait() {
    const WORD: u64 = size_of::<u32>() as u64;
    const BEGINNING: u64 = 320;
    let me = mp_core::sys::process::gettid();
    let numbers = [0, 1, 2, me, me | 1 << 31, i32::MAX as u32, u32::MAX, 1 << 30, 1 << 31, 3 << 30];
    for make in LOCKS {
        for word in (LOCK..BEGINNING).step_by(WORD as usize) {
            for number in numbers {
                let Played { files, play } = make();
                for file in files {
                    file.write_all_at(&u32::to_ne_bytes(number), PAYLOAD + word).unwrap();
                }
                play();
                play();
            }
        }
    }
}

/// The number of elements stands behind the lock: each receiver of the array checks it.
fn an_array_that_cost_its_maker_nothing_is_refused() {
    let (array, raw) = (Array::<u8>::zeroed(1 << 20).unwrap(), RawArray::<u8>::zeroed(1 << 20).unwrap());
    let (message, raw_message) = (pack(&array).unwrap(), pack(&raw).unwrap());
    let taken = || {
        let array = unpack::<Array<u8>>(&message.bytes, message.handles.clone());
        let raw = unpack::<RawArray<u8>>(&raw_message.bytes, raw_message.handles.clone());
        [array.is_ok(), raw.is_ok()]
    };
    assert_eq!(taken(), [true; 2]);
    // As if only the page with the length had ever been reserved.
    for message in [&message, &raw_message] {
        punch(files(message)[0].as_fd(), 1 << 12, 1 << 20).unwrap();
    }
    assert_eq!(taken(), [false; 2]);
}

fn a_lying_length_of_an_array_is_refused() {
    let array = Array::from_slice(&[7_u32; 100]).unwrap();
    let message = pack(&array).unwrap();
    let file = file(&array);
    let length_is = |length: u64| {
        file.write_all_at(&length.to_le_bytes(), PAYLOAD + RELOCK).unwrap();
        unpack::<Array<u32>>(&message.bytes, message.handles.clone()).map(|array| array.len())
    };
    assert_eq!(length_is(100).unwrap(), 100);
    let room = file.metadata().unwrap().len() / 4;
    for lie in [room, room + 1, u64::from(u32::MAX), 1 << 62, (1 << 62) + 100, u64::MAX / 4, u64::MAX] {
        assert!(length_is(lie).is_err(), "{lie}");
    }
    assert_eq!(length_is(3).unwrap(), 3);
    // An existing handle keeps the length that it received.
    assert_eq!((array.len(), array.to_vec()), (100, vec![7; 100]));
}
