//! The code of the values: `Serialize`, `Deserialize` and `Drop` of arguments, results, errors and panics, which may
//! refuse, panic, exit or abort, in a worker and in the caller. Each item has one end, and the pool goes on.

use mp_core::active_children;
use mp_core::sys::process::Ended;
use mp_mock::new_pool;
use mp_pool::{Buffer, Pool, SubmitError, TaskError, buffer};
use mp_queue::Queue;
use serde::de::Error as _;
use serde::ser::{Error as _, SerializeTuple};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;

mp_testing::cases! {
    plain: [an_item_that_cannot_be_packed_ends_the_call, items_of_a_chunk_end_in_ways_of_all_kinds],
    every_method: [
        user_code_in_values_may_panic_or_abort,
        arguments_may_end_their_worker_where_they_are_read,
        a_result_may_end_its_worker_while_it_is_written,
        a_result_may_panic_where_it_is_dropped,
        a_result_may_panic_where_the_caller_reads_it,
        errors_are_values_as_others,
        a_panic_whose_payload_panics_is_one_items_error,
    ],
    mock: [
        user_code_in_values_may_panic_or_abort,
        arguments_may_end_their_worker_where_they_are_read,
        a_result_may_end_its_worker_while_it_is_written,
        a_result_may_panic_where_it_is_dropped,
        a_result_may_panic_where_the_caller_reads_it,
        errors_are_values_as_others,
        a_panic_whose_payload_panics_is_one_items_error,
    ],
}

fn square(x: u64) -> u64 {
    x * x
}

/// What is done in the middle of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Deed {
    Nothing,
    Refuse,
    Panic,
    Exit(i32),
    Abort,
}

impl Deed {
    /// Whether it refuses.
    fn does(self) -> bool {
        match self {
            Deed::Nothing => false,
            Deed::Refuse => true,
            Deed::Panic => panic!("a deliberate panic"),
            Deed::Exit(code) => std::process::exit(code),
            Deed::Abort => std::process::abort(),
        }
    }
}

/// What its own code does with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Odd {
    Fine,
    RefusesToBeWritten,
    PanicsWhenWritten,
    PanicsWhenRead,
    AbortsWhenRead,
    /// Not in the caller, which has packed it.
    PanicsWhenDropped(u32),
}

impl Serialize for Odd {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let number: u8 = match self {
            Odd::RefusesToBeWritten => return Err(serde::ser::Error::custom("refused")),
            Odd::PanicsWhenWritten => panic!("a deliberate panic"),
            Odd::Fine => 0,
            Odd::PanicsWhenRead => 1,
            Odd::AbortsWhenRead => 2,
            Odd::PanicsWhenDropped(_) => 3,
        };
        (number, std::process::id()).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Odd {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Odd, D::Error> {
        let (number, packed_by) = <(u8, u32)>::deserialize(deserializer)?;
        let elsewhere = packed_by != std::process::id();
        match number {
            1 if elsewhere => panic!("a deliberate panic"),
            2 if elsewhere => std::process::abort(),
            3 => Ok(Odd::PanicsWhenDropped(packed_by)),
            _ => Ok(Odd::Fine),
        }
    }
}

struct Dropped(Odd);

impl Drop for Dropped {
    fn drop(&mut self) {
        if let Odd::PanicsWhenDropped(_) = self.0 {
            panic!("a deliberate panic");
        }
    }
}

fn take(odd: Odd) -> u32 {
    drop(Dropped(odd));
    7
}

fn give(how: u32) -> Odd {
    [Odd::Fine, Odd::RefusesToBeWritten, Odd::PanicsWhenWritten][how as usize]
}

fn user_code_in_values_may_panic_or_abort() {
    let pool = new_pool(2).unwrap();
    for _ in 0..3 {
        assert_eq!(pool.apply(take, (Odd::Fine,)).unwrap(), 7);
        let refused = pool.apply(take, (Odd::RefusesToBeWritten,));
        assert!(matches!(refused, Err(SubmitError::Arguments(_))), "{refused:?}");
        let panicked = catch_unwind(AssertUnwindSafe(|| pool.apply(take, (Odd::PanicsWhenWritten,)).is_ok()));
        assert!(panicked.is_err());
        for odd in [Odd::PanicsWhenRead, Odd::PanicsWhenDropped(0)] {
            let there = pool.apply_async(take, (odd,)).unwrap().get();
            assert!(matches!(there, Err(TaskError::Panicked { .. })), "{odd:?}: {there:?}");
        }
        let aborted = pool.apply_async(take, (Odd::AbortsWhenRead,)).unwrap().get();
        assert!(matches!(aborted, Err(TaskError::WorkerDied { .. })), "{aborted:?}");
        let each = pool.map_each(give, [0, 1, 2, 0]).unwrap();
        assert_eq!((&each[0], &each[3]), (&Ok(Odd::Fine), &Ok(Odd::Fine)));
        assert!(matches!(each[1], Err(TaskError::Failed(_))), "{:?}", each[1]);
        assert!(matches!(each[2], Err(TaskError::Panicked { .. })), "{:?}", each[2]);
    }
}

fn an_item_that_cannot_be_packed_ends_the_call() {
    let pool = new_pool(2).unwrap();
    let items = (0..1000).map(|x| if x == 700 { Odd::RefusesToBeWritten } else { Odd::Fine });
    let refused = pool.map(take, items);
    assert!(matches!(refused, Err(SubmitError::Arguments(_))), "{refused:?}");
    assert_eq!(pool.map(square, 0..3).unwrap(), [0, 1, 4]);
    pool.close();
    pool.join().unwrap();
}

/// An argument with a deed for the worker that reads it.
#[derive(Debug)]
struct Read(Deed);

impl Serialize for Read {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Read {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Read, D::Error> {
        let deed = Deed::deserialize(deserializer)?;
        if deed.does() { Err(D::Error::custom("refused")) } else { Ok(Read(deed)) }
    }
}

/// Each kind of end, in one chunk and one by one: the items beside it have their values.
fn ends_alone(pool: &Pool, deeds: [Deed; 5], chunk_size: usize, each: Vec<Result<u32, TaskError>>) {
    for (deed, outcome) in deeds.into_iter().zip(each) {
        let is_right = match deed {
            Deed::Nothing => outcome == Ok(7),
            Deed::Refuse => matches!(outcome, Err(TaskError::Failed(_))),
            Deed::Panic => matches!(outcome, Err(TaskError::Panicked { .. })),
            Deed::Exit(code) => {
                matches!(outcome, Err(TaskError::WorkerDied { how: Some(Ended::Exited(seen)), .. }) if seen == code)
            }
            Deed::Abort => {
                matches!(outcome, Err(TaskError::WorkerDied { how: Some(Ended::Signaled(6)), .. }))
            }
        };
        assert!(is_right, "{deed:?} in chunks of {chunk_size}: {outcome:?}");
    }
    assert_eq!(pool.apply(square, (3,)).unwrap(), 9);
}

const DEEDS: [[Deed; 5]; 2] = [
    [Deed::Nothing, Deed::Abort, Deed::Nothing, Deed::Panic, Deed::Nothing],
    [Deed::Exit(0), Deed::Refuse, Deed::Nothing, Deed::Exit(3), Deed::Nothing],
];

fn arguments_may_end_their_worker_where_they_are_read() {
    let pool = new_pool(2).unwrap();
    for (deeds, chunk_size) in DEEDS.into_iter().flat_map(|deeds| [1, 5].map(|size| (deeds, size))) {
        let each = pool.map_in_chunks(|_: Read| 7_u32, deeds.map(Read), Some(chunk_size)).unwrap().get_each();
        ends_alone(&pool, deeds, chunk_size, each);
    }
}

/// A result with a deed in the middle of its bytes, of which there are so many.
struct Written(Deed, usize);

impl Serialize for Written {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut tuple = serializer.serialize_tuple(2)?;
        tuple.serialize_element(&vec![7_u8; self.1])?;
        if self.0.does() {
            return Err(S::Error::custom("refused"));
        }
        tuple.serialize_element(&7_u32)?;
        tuple.end()
    }
}

/// As the caller sees it.
impl<'de> Deserialize<'de> for Written {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Written, D::Error> {
        let (bytes, seven) = <(Vec<u8>, u32)>::deserialize(deserializer)?;
        assert_eq!(seven, 7);
        Ok(Written(Deed::Nothing, bytes.len()))
    }
}

/// Shorter than what lies in the slot, as long as a block, and so long that it goes by message.
fn a_result_may_end_its_worker_while_it_is_written() {
    let pool = new_pool(2).unwrap();
    for (deeds, length) in DEEDS.into_iter().flat_map(|deeds| [10, 200_000, 9 << 20].map(|len| (deeds, len)))
    {
        for chunk_size in [1, 5] {
            let items = deeds.map(|deed| (deed, length));
            let each = pool.starmap_in_chunks(Written, items, Some(chunk_size)).unwrap().get_each();
            let lengths = |written: Written| if written.1 == length { 7 } else { 0 };
            let each = each.into_iter().map(|outcome| outcome.map(lengths)).collect();
            ends_alone(&pool, deeds, chunk_size, each);
        }
    }
}

/// Panics when it is dropped, in any process but the one that read it.
#[derive(Debug, Serialize, Deserialize)]
struct Fragile {
    made_by: u32,
}

impl Drop for Fragile {
    fn drop(&mut self) {
        if self.made_by == std::process::id() && !std::thread::panicking() {
            panic!("a deliberate panic");
        }
    }
}

fn a_result_may_panic_where_it_is_dropped() {
    let pool = new_pool(2).unwrap();
    let each = pool.map_in_chunks(|_: u32| Fragile { made_by: std::process::id() }, 0..5, Some(5)).unwrap();
    for outcome in each.get_each() {
        assert!(matches!(outcome, Err(TaskError::Panicked { .. })), "{outcome:?}");
    }
    assert_eq!(pool.apply(square, (3,)).unwrap(), 9);
}

/// Panics where it is read, but in the worker, which tries to read the first value of a type.
#[derive(Debug)]
struct Unreadable;

impl Serialize for Unreadable {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(std::process::id())
    }
}

impl<'de> Deserialize<'de> for Unreadable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Unreadable, D::Error> {
        let packed_by = u32::deserialize(deserializer)?;
        assert_eq!(packed_by, std::process::id(), "a deliberate panic");
        Ok(Unreadable)
    }
}

/// The panic is that of the thread which asks; others, and the same thread again, are served as before.
fn a_result_may_panic_where_the_caller_reads_it() {
    let pool = new_pool(2).unwrap();
    let (said, heard) = mpsc::channel();
    for _ in 0..3 {
        let result = pool.apply_async(|| Unreadable, ()).unwrap();
        assert!(catch_unwind(AssertUnwindSafe(|| result.get().is_ok())).is_err());
        assert!(catch_unwind(AssertUnwindSafe(|| pool.map(|_: u32| Unreadable, 0..10).is_ok())).is_err());
        // There is no value to call it with; the next callback is called.
        result.call_back(|_| unreachable!("there is no value"));
        let (next, said) = (pool.apply_async(square, (3,)).unwrap(), said.clone());
        next.call_back(move |value| said.send(value).unwrap());
        assert_eq!(heard.recv().unwrap(), Ok(9));
    }
    pool.close();
    pool.join().unwrap();
    assert!(active_children().is_empty());
}

/// An error type of the program's own.
#[derive(Debug)]
struct Refusal(Deed);

impl Serialize for Refusal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.does() { Err(S::Error::custom("refused")) } else { serializer.serialize_u8(7) }
    }
}

impl<'de> Deserialize<'de> for Refusal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Refusal, D::Error> {
        u8::deserialize(deserializer).map(|_| Refusal(Deed::Nothing))
    }
}

fn refuse(deed: Deed) -> Result<u32, Refusal> {
    Err(Refusal(deed))
}

fn errors_are_values_as_others() {
    let pool = new_pool(2).unwrap();
    for (deeds, chunk_size) in DEEDS.into_iter().flat_map(|deeds| [1, 5].map(|size| (deeds, size))) {
        let each = pool.map_in_chunks(refuse, deeds, Some(chunk_size)).unwrap().get_each();
        let seven = |refused: Result<u32, Refusal>| if refused.is_err() { 7 } else { 0 };
        let each = each.into_iter().map(|outcome| outcome.map(seven)).collect();
        ends_alone(&pool, deeds, chunk_size, each);
    }
}

/// What a panic carries, and panics again when it is dropped.
struct Payload;

impl Drop for Payload {
    fn drop(&mut self) {
        panic!("a second deliberate panic");
    }
}

fn panic_with_more(x: u32) -> u32 {
    if x == 2 {
        std::panic::panic_any(Payload);
    }
    x
}

fn a_panic_whose_payload_panics_is_one_items_error() {
    let pool = new_pool(2).unwrap();
    for chunk_size in [1, 5] {
        let each = pool.map_in_chunks(panic_with_more, 0..5, Some(chunk_size)).unwrap().get_each();
        for (x, outcome) in (0..).zip(each) {
            let panicked = matches!(outcome, Err(TaskError::Panicked { .. }));
            assert!(if x == 2 { panicked } else { outcome == Ok(x) }, "{x}: {outcome:?}");
        }
    }
    let result = pool.apply_async(square, (3,)).unwrap();
    result.call_back(|_| std::panic::panic_any(Payload));
    pool.close();
    pool.join().unwrap();
}

/// What goes beside the other results of its chunk, in memory of its own, or by message.
#[derive(Debug, Serialize, Deserialize)]
enum Given {
    Text(String),
    Handle(Queue<u32>),
    Elements(Buffer<u32>),
}

const ITEMS: u32 = 250;
const ELEMENTS: usize = 5000;

fn text(x: u32) -> String {
    // About as long as one byte can tell, and now and then as long as all others.
    "x".repeat(if x % 31 == 11 { 100_000 } else { (x as usize * 37) % 140 })
}

/// Seldom: to print a panic takes long.
fn ends_badly(x: u32) -> bool {
    x % 4 == 3
}

fn give_any(x: u32) -> Given {
    match x % 31 {
        3 if ends_badly(x) => panic!("no {x}"),
        5 if ends_badly(x) => std::process::abort(),
        7 => {
            let queue = Queue::new().unwrap();
            queue.put(x).unwrap();
            Given::Handle(queue)
        }
        13 => {
            let mut elements = buffer(ELEMENTS).unwrap();
            elements.fill(x);
            Given::Elements(elements.freeze())
        }
        _ => Given::Text(text(x)),
    }
}

fn is_given(x: u32, outcome: &Result<Given, TaskError>) -> bool {
    match (x % 31, outcome) {
        (3, Err(TaskError::Panicked { message, .. })) => ends_badly(x) && *message == format!("no {x}"),
        (5, Err(TaskError::WorkerDied { .. })) => ends_badly(x),
        (7, Ok(Given::Handle(queue))) => queue.get().is_ok_and(|got| got == x),
        (13, Ok(Given::Elements(elements))) => elements[..] == [x; ELEMENTS],
        (3 | 5, _) if ends_badly(x) => false,
        (7 | 13, _) => false,
        (_, outcome) => matches!(outcome, Ok(Given::Text(given)) if *given == text(x)),
    }
}

/// The first time, and when it is known how much room they take.
fn items_of_a_chunk_end_in_ways_of_all_kinds() {
    let pool = new_pool(2).unwrap();
    for chunk_size in [Some(2), Some(7), Some(50), None].into_iter().flat_map(|size| [size; 2]) {
        let each = pool.map_in_chunks(give_any, 0..ITEMS, chunk_size).unwrap().get_each();
        assert_eq!(each.len(), ITEMS as usize);
        for (x, outcome) in (0..).zip(&each) {
            assert!(is_given(x, outcome), "{x} in chunks of {chunk_size:?}: {outcome:?}");
        }
    }
}
