//! A map without a server. (Python has none.)

use mp_core::mem::SharedRef;
use mp_core::transfer::{pack, unpack};
use mp_core::{Child, CreateError, Process, StartMethod};
use mp_sync::{Barrier, DictError, Lock, SharedDict, Value};
use mp_testing::{go_on, limited, open_descriptors, stop};
use nix::sys::resource::Resource;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

mp_testing::cases! {
    plain: [
        it_does_what_a_map_does,
        keys_are_borrowed,
        values_of_any_size_come_back,
        a_full_dict_says_so_and_goes_on,
        what_cannot_be_stored_is_refused,
        a_sum_beyond_its_type_adds_nothing,
        its_memory_is_taken_when_it_is_used_and_given_back,
        without_memory_or_addresses_it_is_an_error,
        it_shows_its_entries_and_waits_for_nothing,
        user_code_runs_without_the_lock,
        a_function_that_writes_its_own_key_is_an_error,
        a_call_while_the_thread_unwinds_is_as_any_other,
        an_impossible_size_is_refused,
        a_dict_costs_one_descriptor_and_leaves_nothing,
    ],
    every_method: [
        what_a_child_writes_is_seen,
        children_lose_no_update,
        updates_of_each_others_keys_get_on,
        one_of_many_makes_the_value,
        another_type_is_refused,
        it_travels_in_other_values,
    ]
}

type Numbers = SharedDict<String, u64>;

fn numbers() -> Numbers {
    SharedDict::new(1000, 1 << 20).unwrap()
}

fn it_does_what_a_map_does() {
    let dict = numbers();
    assert!(dict.is_empty().unwrap());
    assert_eq!(dict.insert("one", &1).unwrap(), None);
    assert_eq!(dict.insert("one", &11).unwrap(), Some(1));
    assert_eq!((dict.get("one").unwrap(), dict.get("two").unwrap()), (Some(11), None));
    assert!(dict.contains_key("one").unwrap() && !dict.contains_key("on").unwrap());
    assert_eq!(dict.get_or_insert("two", 2).unwrap(), 2);
    assert_eq!(dict.get_or_insert("two", 3).unwrap(), 2);
    assert_eq!(dict.get_or_insert_with("two", || panic!("it is there")).unwrap(), 2);
    assert_eq!(dict.get_or_insert_with("three", || 3).unwrap(), 3);
    assert_eq!(dict.update("three", |value| value.map(|value| value * 10)).unwrap(), Some(30));
    assert_eq!(dict.update("four", |value| value).unwrap(), None);
    assert_eq!(dict.update("three", |_| None).unwrap(), None);
    assert_eq!(dict.fetch_add("four", 4).unwrap(), 0);
    assert_eq!(dict.fetch_add("four", 4).unwrap(), 4);
    assert_eq!(dict.compare_exchange("four", Some(&7), None).unwrap(), Err(Some(8)));
    assert_eq!(dict.compare_exchange("four", Some(&8), Some(&9)).unwrap(), Ok(()));
    assert_eq!(dict.compare_exchange("five", Some(&8), Some(&9)).unwrap(), Err(None));
    assert_eq!(dict.compare_exchange("five", None, Some(&5)).unwrap(), Ok(()));
    assert_eq!(dict.compare_exchange("five", Some(&5), None).unwrap(), Ok(()));
    let all: HashMap<String, u64> = dict.items().unwrap().into_iter().collect();
    let there = [("one", 11), ("two", 2), ("four", 9)].map(|(name, value)| (name.to_owned(), value));
    assert_eq!(all, HashMap::from(there));
    let (mut keys, mut values) = (dict.keys().unwrap(), dict.values().unwrap());
    keys.sort();
    values.sort_unstable();
    assert_eq!((keys, values), (["four", "one", "two"].map(str::to_owned).to_vec(), vec![2, 9, 11]));
    dict.retain(|name, value| name.len() == 3 && *value > 2).unwrap();
    assert_eq!(
        (dict.len().unwrap(), dict.remove("one").unwrap(), dict.remove("one").unwrap()),
        (1, Some(11), None)
    );
    dict.extend((0..500).map(|number| (number.to_string(), number))).unwrap();
    assert_eq!(dict.len().unwrap(), 500);
    dict.clear().unwrap();
    assert_eq!((dict.len().unwrap(), dict.get("7").unwrap()), (0, None));
    assert_eq!(dict.insert("7", &7).unwrap(), None);
}

/// By a destructor. The thread goes on afterwards, and so do all others.
fn a_call_while_the_thread_unwinds_is_as_any_other() {
    struct AtTheEnd(Numbers);
    impl Drop for AtTheEnd {
        fn drop(&mut self) {
            self.0.insert("ended", &1).unwrap();
        }
    }
    let dict = numbers();
    let end = AtTheEnd(dict.clone());
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
        let _end = end;
        panic!("on purpose");
    }));
    assert!(caught.is_err());
    // It is `<busy>` if the lock is held.
    assert_eq!(format!("{dict:?}"), r#"{"ended": 1}"#);
}

fn keys_are_borrowed() {
    let names: SharedDict<String, u8> = SharedDict::new(10, 1 << 12).unwrap();
    names.insert(&"owned".to_owned(), &1).unwrap();
    assert_eq!(names.get("owned").unwrap(), Some(1));
    let rows: SharedDict<Vec<u32>, u8> = SharedDict::new(10, 1 << 12).unwrap();
    rows.insert(&[1_u32, 2][..], &2).unwrap();
    assert_eq!(rows.get(&vec![1, 2]).unwrap(), Some(2));
    let pairs: SharedDict<(u8, u8), ()> = SharedDict::new(10, 1 << 12).unwrap();
    pairs.insert(&(1, 2), &()).unwrap();
    assert_eq!(pairs.get(&(1, 2)).unwrap(), Some(()));
    // Keys that are the beginning of others.
    for length in 0..300 {
        rows.clear().unwrap();
        rows.insert(&vec![7; length], &1).unwrap();
        rows.insert(&vec![7; length + 1], &2).unwrap();
        assert_eq!(
            (rows.get(&vec![7; length]).unwrap(), rows.get(&vec![7; length + 2]).unwrap()),
            (Some(1), None)
        );
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Shape {
    Circle(f64),
    Named { name: String, points: Vec<(i32, i32)> },
}

fn values_of_any_size_come_back() {
    let texts: SharedDict<u32, Vec<u8>> = SharedDict::new(100, 8 << 20).unwrap();
    for length in (0..400).chain([4096, 70_000, 3 << 20]) {
        let value: Vec<u8> = (0..length).map(|at| at as u8).collect();
        texts.insert(&7, &value).unwrap();
        assert_eq!(texts.get(&7).unwrap().as_ref(), Some(&value), "{length}");
    }
    let shapes: SharedDict<String, Shape> = SharedDict::new(100, 1 << 16).unwrap();
    let named = Shape::Named { name: "triangle".to_owned(), points: vec![(0, 0), (-1, 5), (i32::MAX, 0)] };
    shapes.insert("a", &named).unwrap();
    shapes.insert("b", &Shape::Circle(0.5)).unwrap();
    assert_eq!((shapes.get("a").unwrap(), shapes.get("b").unwrap()), (Some(named), Some(Shape::Circle(0.5))));
}

fn a_full_dict_says_so_and_goes_on() {
    let few: SharedDict<u32, u32> = SharedDict::new(10, 1 << 20).unwrap();
    few.extend((0..10).map(|number| (number, number))).unwrap();
    assert!(matches!(few.insert(&10, &10), Err(DictError::Full)));
    assert!(matches!(few.update(&10, |_| Some(1)), Err(DictError::Full)));
    assert!(matches!(few.fetch_add(&10, 1), Err(DictError::Full)));
    assert_eq!(
        (few.insert(&9, &99).unwrap(), few.len().unwrap(), few.get(&10).unwrap()),
        (Some(9), 10, None)
    );
    few.remove(&0).unwrap();
    assert_eq!(few.insert(&10, &10).unwrap(), None);
    // As many cells as their bytes: each takes one.
    let small: SharedDict<u32, [u8; 32]> = SharedDict::new(1000, 640).unwrap();
    let fitted = (0..1000).take_while(|number| small.insert(number, &[1; 32]).is_ok()).count();
    assert!((10..=11).contains(&fitted), "{fitted}");
    let large: SharedDict<u32, Vec<u8>> = SharedDict::new(10, 1 << 16).unwrap();
    assert!(
        matches!(large.insert(&1, &vec![0; 1 << 16]), Err(DictError::TooLarge { bytes }) if bytes > 1 << 16)
    );
    assert!(large.is_empty().unwrap());
    large.insert(&1, &vec![1; 40_000]).unwrap();
    let error = large.insert(&1, &vec![2; 40_000]).unwrap_err();
    assert!(error.to_string().contains("full"), "{error}");
    assert_eq!(large.get(&1).unwrap(), Some(vec![1; 40_000]));
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Number(u8),
}

fn what_cannot_be_stored_is_refused() {
    let locks: SharedDict<u8, Lock> = SharedDict::new(10, 1 << 12).unwrap();
    assert!(matches!(locks.insert(&1, &Lock::new().unwrap()), Err(DictError::Handles)));
    let dicts: SharedDict<u8, Numbers> = SharedDict::new(10, 1 << 12).unwrap();
    assert!(matches!(dicts.insert(&1, &numbers()), Err(DictError::Handles)));
    let loose: SharedDict<u8, Untagged> = SharedDict::new(10, 1 << 12).unwrap();
    let error = loose.insert(&1, &Untagged::Number(1)).unwrap_err();
    assert!(matches!(error, DictError::Codec(_)), "{error}");
    assert!(locks.is_empty().unwrap() && dicts.is_empty().unwrap() && loose.is_empty().unwrap());
}

fn a_sum_beyond_its_type_adds_nothing() {
    let small: SharedDict<u8, i8> = SharedDict::new(10, 1 << 12).unwrap();
    assert_eq!(small.fetch_add(&1, 100).unwrap(), 0);
    assert!(matches!(small.fetch_add(&1, 28), Err(DictError::Overflow)));
    assert!(matches!(small.fetch_add(&2, -128), Ok(0)));
    assert!(matches!(small.fetch_add(&2, -1), Err(DictError::Overflow)));
    assert_eq!((small.get(&1).unwrap(), small.get(&2).unwrap()), (Some(100), Some(-128)));
}

/// Its memory as a file: what travels to another process is its descriptor.
fn memory<K, V>(dict: &SharedDict<K, V>) -> File {
    let handles = pack(dict).unwrap().handles;
    File::from(handles[0].as_fd().try_clone_to_owned().unwrap())
}

/// Bytes that the system has given it.
fn taken(memory: &File) -> u64 {
    memory.metadata().unwrap().blocks() * 512
}

fn its_memory_is_taken_when_it_is_used_and_given_back() {
    let dict: SharedDict<u64, u64> = SharedDict::new(10_000_000, 1 << 30).unwrap();
    let memory = memory(&dict);
    assert!(taken(&memory) <= 8 << 10, "{} bytes of an empty dict", taken(&memory));
    dict.insert(&1, &1).unwrap();
    assert!(taken(&memory) <= 160 << 10, "{} bytes for one entry", taken(&memory));
    for _ in 0..2 {
        dict.extend((0..100_000).map(|number| (number, number))).unwrap();
        let full = taken(&memory);
        assert!((6_400_000..8_600_000).contains(&full), "{full} bytes for 100,000 entries");
        // The same again takes nothing.
        dict.extend((0..100_000).map(|number| (number, number + 1))).unwrap();
        assert_eq!(taken(&memory), full);
        dict.clear().unwrap();
        assert!(taken(&memory) <= 160 << 10, "{} bytes after a clear", taken(&memory));
        assert_eq!(dict.get(&1).unwrap(), None);
    }
}

fn status(name: &str) -> u64 {
    let text = fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_suffix(" kB"));
    line.unwrap().trim().parse::<u64>().unwrap() << 10
}

fn without_memory_or_addresses_it_is_an_error() {
    let make = || SharedDict::<u64, Vec<u8>>::new(1000, 1 << 30);
    let before = status("VmSize:");
    let refused = limited(Resource::RLIMIT_AS, before + (256 << 20), make).unwrap_err();
    assert!(refused.to_string().contains("RLIMIT_AS"), "{refused}");
    // With its addresses there, nothing fails for want of any but the caller's own copies.
    let dict = make().unwrap();
    let value = vec![7; 64 << 20];
    let before = status("VmSize:");
    limited(Resource::RLIMIT_AS, before + (16 << 20), || {
        for number in 0..1000 {
            dict.insert(&number, &vec![1; 100]).unwrap();
        }
        assert_eq!(dict.get(&999).unwrap(), Some(vec![1; 100]));
    });
    dict.insert(&1, &value).unwrap();
    let before = status("VmSize:");
    limited(Resource::RLIMIT_AS, before + (16 << 20), || {
        let error = dict.get(&1).unwrap_err();
        assert!(matches!(error, DictError::Memory(_)), "{error}");
        let error = dict.items().unwrap_err();
        assert!(matches!(error, DictError::Memory(_)), "{error}");
        // The lock is free.
        assert_eq!(dict.len().unwrap(), 1000);
    });
    assert_eq!(dict.get(&1).unwrap(), Some(value));
    // A file may not be longer than this.
    let refused =
        limited(Resource::RLIMIT_FSIZE, 1 << 20, || SharedDict::<u8, u8>::new(10, 1 << 21)).unwrap_err();
    assert!(refused.to_string().contains("RLIMIT_FSIZE"), "{refused}");
}

/// Inserts without an end.
fn insert_for_ever(dict: Numbers, begun: Value<u32>) {
    loop {
        for number in 0..50 {
            dict.insert("name", &number).unwrap();
        }
        begun.set(1);
    }
}

fn it_shows_its_entries_and_waits_for_nothing() {
    let dict = numbers();
    assert_eq!(format!("{dict:?}"), "{}");
    dict.insert("name", &7).unwrap();
    assert_eq!(format!("{dict:?}"), r#"{"name": 7}"#);
    // Beside a process that is stopped, whether it holds the lock or not.
    let begun = Value::new(0).unwrap();
    let child = Process::new(insert_for_ever, (dict.clone(), begun.clone())).start().unwrap();
    while begun.get() == 0 {
        std::thread::yield_now();
    }
    let (mut busy, mut free) = (0, 0);
    while busy == 0 || free < 3 {
        stop(&child);
        match format!("{dict:?}").as_str() {
            "SharedDict(<busy>)" => busy += 1,
            shown => {
                assert!(shown.starts_with(r#"{"name": "#), "{shown}");
                free += 1;
            }
        }
        go_on(&child);
        if free > 200 {
            // It is never stopped there: which it is, is for the scheduler to say.
            break;
        }
    }
    child.kill().unwrap();
    assert!(child.join().is_err());
    assert!(dict.get("name").unwrap().is_some());
}

/// A value whose `Serialize` uses the dict that it is put into.
struct Nosy;

static DICT: std::sync::OnceLock<SharedDict<u8, Nosy>> = std::sync::OnceLock::new();

impl Serialize for Nosy {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let there = DICT.get().unwrap().contains_key(&9).unwrap();
        serializer.serialize_bool(there)
    }
}

impl<'de> Deserialize<'de> for Nosy {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        DICT.get().unwrap().remove(&8).unwrap();
        bool::deserialize(deserializer).map(|_| Nosy)
    }
}

fn user_code_runs_without_the_lock() {
    let dict = DICT.get_or_init(|| SharedDict::new(10, 1 << 12).unwrap());
    dict.insert(&1, &Nosy).unwrap();
    dict.get(&1).unwrap().unwrap();
    dict.update(&1, |_| {
        dict.insert(&2, &Nosy).unwrap();
        Some(Nosy)
    })
    .unwrap();
    dict.retain(|key, _| {
        dict.insert(&3, &Nosy).unwrap();
        *key != 1
    })
    .unwrap();
    assert_eq!((dict.contains_key(&1).unwrap(), dict.len().unwrap()), (false, 2));
    let panics = || drop(dict.update(&2, |_| panic!("of the user's")));
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(panics)).is_err());
    assert_eq!(dict.len().unwrap(), 2);
    // What changes meanwhile is not lost.
    let counts = numbers();
    let mut calls = 0;
    let sum = counts.update("a", |value| {
        calls += 1;
        if calls == 1 {
            counts.insert("a", &10).unwrap();
        }
        Some(value.unwrap_or(0) + 1)
    });
    assert_eq!((sum.unwrap(), calls), (Some(11), 2));
}

fn plus(value: Option<u64>, by: u64) -> Option<u64> {
    Some(value.unwrap_or(0) + by)
}

fn a_function_that_writes_its_own_key_is_an_error() {
    let (dict, other) = (numbers(), numbers());
    let writes: [&dyn Fn(); 3] = [
        &|| assert!(dict.update("a", |value| plus(value, 1)).is_ok()),
        &|| assert!(dict.fetch_add("a", 1).is_ok()),
        // In the function of another dict's.
        &|| assert!(other.update("a", |_| dict.fetch_add("a", 1).ok()).is_ok()),
    ];
    for write in writes {
        let before = dict.get("a").unwrap();
        let refused = dict.update("a", |value| {
            write();
            plus(value, 100)
        });
        assert!(matches!(refused, Err(DictError::Nested)), "{refused:?}");
        assert_eq!(
            dict.get("a").unwrap(),
            plus(before, 8),
            "what the function wrote is there, and nothing else"
        );
    }
    let refused = dict.retain(|_, _| dict.fetch_add("a", 1).is_err());
    assert!(matches!(refused, Err(DictError::Nested)), "{refused:?}");
    // One that comes to an end is none; and the next call knows nothing of it.
    assert_eq!(dict.update("b", |_| dict.insert("b", &7).unwrap().map(|_| 8)).unwrap(), Some(8));
    assert_eq!(dict.update("b", |value| dict.update("c", |_| value).unwrap()).unwrap(), Some(8));
    let mut calls = 0;
    let cleared = dict.update("b", |value| {
        calls += 1;
        dict.clear().unwrap();
        plus(value, 1)
    });
    assert_eq!((cleared.unwrap(), calls, dict.len().unwrap()), (Some(1), 2, 1));
}

/// The function writes the key that the other process updates, and goes on when that process has done the same. While
/// both try, none succeeds; one that tries alone does, after a moment.
fn update_and_touch(dict: Numbers, mine: String, others: String, both: Barrier) {
    for _ in 0..2 {
        both.wait().unwrap();
        let updated = dict.update(&mine, |value| {
            dict.fetch_add(&others, 1).unwrap();
            let began = Instant::now();
            while dict.get(&mine).unwrap() == value && began.elapsed() < Duration::from_millis(40) {
                std::thread::yield_now();
            }
            plus(value, 1 << 32)
        });
        updated.unwrap();
    }
}

fn updates_of_each_others_keys_get_on() {
    let (dict, both) = (numbers(), Barrier::new(2).unwrap());
    let children = [("a", "b"), ("b", "a")].map(|(mine, others)| {
        let arguments = (dict.clone(), mine.to_owned(), others.to_owned(), both.clone());
        Process::new(update_and_touch, arguments).start().unwrap()
    });
    children.iter().for_each(|child| child.join().unwrap());
    for key in ["a", "b"] {
        assert_eq!(dict.get(key).unwrap().unwrap() >> 32, 2, "each update is there once");
    }
}

fn an_impossible_size_is_refused() {
    for (entries, bytes) in [(0, 100), (100, 0), (1 << 30, 16 << 30), (usize::MAX, 100), (10, usize::MAX)] {
        let refused = SharedDict::<u8, u8>::new(entries, bytes).unwrap_err();
        assert!(matches!(refused, CreateError::Argument(_)), "{entries}, {bytes}: {refused}");
    }
    let least: SharedDict<u8, u8> = SharedDict::new(1, 1).unwrap();
    assert_eq!(least.insert(&1, &1).unwrap(), None);
}

fn mapped() -> usize {
    fs::read_to_string("/proc/self/maps").unwrap().matches("memfd:mp-dict").count()
}

fn a_dict_costs_one_descriptor_and_leaves_nothing() {
    let open = || open_descriptors(std::process::id()).len();
    let before = open();
    let dict = numbers();
    let clones: Vec<Numbers> = (0..10).map(|_| dict.clone()).collect();
    let message = pack(&dict).unwrap();
    let received: Numbers = unpack(&message.bytes, message.handles).unwrap();
    received.insert("a", &1).unwrap();
    assert_eq!((open(), mapped()), (before + 1, 1));
    drop((dict, clones));
    assert_eq!(received.get("a").unwrap(), Some(1));
    drop(received);
    assert_eq!((open(), mapped()), (before, 0));
}

fn write(dict: Numbers) {
    assert_eq!(dict.get("from the parent").unwrap(), Some(1));
    dict.insert("from the child", &2).unwrap();
    dict.remove("from the parent").unwrap();
}

fn what_a_child_writes_is_seen() {
    let dict = numbers();
    dict.insert("from the parent", &1).unwrap();
    Process::new(write, (dict.clone(),)).start().unwrap().join().unwrap();
    assert_eq!(dict.items().unwrap(), [("from the child".to_owned(), 2)]);
    // And one that a fork inherits.
    let inherited = dict.clone();
    let child = Process::fork(move || assert_eq!(inherited.insert("from a fork", &3).unwrap(), None));
    child.start().unwrap().join().unwrap();
    assert_eq!(dict.get("from a fork").unwrap(), Some(3));
}

fn count(dict: Numbers, texts: SharedDict<u8, String>) {
    for _ in 0..2000 {
        dict.update("updates", |value| Some(value.unwrap_or(0) + 1)).unwrap();
        dict.fetch_add("sum", 3).unwrap();
        texts.update(&1, |text| Some(text.unwrap_or_default() + "x")).unwrap();
    }
}

fn children_lose_no_update() {
    let (dict, texts) = (numbers(), SharedDict::new(10, 1 << 20).unwrap());
    let start = |_| Process::new(count, (dict.clone(), texts.clone())).start().unwrap();
    let children: Vec<Child<()>> = (0..3).map(start).collect();
    children.iter().for_each(|child| child.join().unwrap());
    assert_eq!((dict.get("updates").unwrap(), dict.get("sum").unwrap()), (Some(6000), Some(18_000)));
    assert_eq!(texts.get(&1).unwrap(), Some("x".repeat(6000)));
}

fn make_one(dict: SharedDict<u32, u32>, made: SharedRef<AtomicU32>) -> u32 {
    let mut sum = 0;
    for key in 0..1000 {
        let mine = std::process::id();
        let there = dict.get_or_insert_with(&key, || mine).unwrap();
        if there == mine {
            made.fetch_add(1, Ordering::SeqCst);
        }
        sum += there;
    }
    sum
}

fn one_of_many_makes_the_value() {
    let dict = SharedDict::new(2000, 1 << 20).unwrap();
    let made = SharedRef::<AtomicU32>::create("made").unwrap();
    let start = |_| Process::new(make_one, (dict.clone(), made.clone())).start().unwrap();
    let children: Vec<Child<u32>> = (0..3).map(start).collect();
    let sums: Vec<u32> = children.iter().map(|child| child.join().unwrap()).collect();
    assert!(sums.iter().all(|sum| *sum == sums[0]), "they have different ones: {sums:?}");
    assert_eq!(made.load(Ordering::SeqCst), 1000);
}

fn another_type_is_refused() {
    let message = || pack(&numbers()).unwrap();
    let expect =
        |refused: mp_core::CodecError| assert!(refused.to_string().contains("type mismatch"), "{refused}");
    let given = message();
    expect(unpack::<SharedDict<String, i64>>(&given.bytes, given.handles).unwrap_err());
    let given = message();
    expect(unpack::<SharedDict<u64, u64>>(&given.bytes, given.handles).unwrap_err());
    let given = message();
    assert!(unpack::<Value<u64>>(&given.bytes, given.handles).is_err());
    // Not as a handle either, with which one could write there without the lock.
    let given = message();
    assert!(unpack::<mp_core::transfer::Handle>(&given.bytes, given.handles).is_err());
}

fn grow(mut all: Vec<Option<Numbers>>) -> Vec<Option<Numbers>> {
    all[1].as_ref().unwrap().insert("here", &5).unwrap();
    all.push(Some(numbers()));
    all[3].as_ref().unwrap().insert("new", &6).unwrap();
    all
}

fn it_travels_in_other_values() {
    let dict = numbers();
    let method = mp_core::get_start_method().unwrap_or(StartMethod::ForkServer);
    let child = Process::new(grow, (vec![None, Some(dict.clone()), None],)).method(method).start().unwrap();
    let back = child.join().unwrap();
    assert_eq!(dict.get("here").unwrap(), Some(5));
    assert_eq!(back[1].as_ref().unwrap().get("here").unwrap(), Some(5));
    assert_eq!(back[3].as_ref().unwrap().get("new").unwrap(), Some(6));
}
