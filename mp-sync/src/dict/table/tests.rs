//! The table in one thread: random calls beside a `BTreeMap`, a death at each access of each call, and memory that was
//! overwritten.

use super::index::Index;
use super::model::world::{Alone, Contents, Shared, key, table};
use super::shape::{LINK, VALUE_BYTES};
use super::{Corrupt, Expected, Refused, Storage};
use mp_model::threads::{Fuse, live_here, sweep};
use proptest::prelude::*;
use std::collections::BTreeMap;

#[derive(Debug, Clone)]
enum Call {
    Set(u8, usize),
    Take(u8),
    Exchange(u8, Option<usize>, Option<usize>),
    Clear,
}

/// One of a few names; those with the same remainder share a hash.
fn name(number: u8) -> Vec<u8> {
    vec![number % 4, number]
}

fn value(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 31 + length) as u8).collect()
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let length = prop_oneof![0..8_usize, 40..50_usize, 100..300_usize];
    let number = 0..20_u8;
    let call = prop_oneof![
        6 => (number.clone(), length.clone()).prop_map(|(number, length)| Call::Set(number, length)),
        3 => number.clone().prop_map(Call::Take),
        2 => (number, proptest::option::of(length.clone()), proptest::option::of(length))
            .prop_map(|(number, before, after)| Call::Exchange(number, before, after)),
        1 => Just(Call::Clear),
    ];
    proptest::collection::vec(call, 1..60)
}

/// Does a call to both; they agree, unless there is no room.
fn play(shared: &Shared<Alone>, plain: &mut Contents, call: &Call) {
    let (number, expected, new) = match *call {
        Call::Clear => {
            shared.clear().unwrap();
            return plain.clear();
        }
        Call::Set(number, length) => (number, None, Some(value(length))),
        Call::Take(number) => (number, None, None),
        Call::Exchange(number, before, after) => (number, Some(before.map(value)), after.map(value)),
    };
    let name = name(number);
    let before = plain.get(&name).cloned();
    let as_expected = expected.as_ref().is_none_or(|expected| *expected == before);
    let expected = expected.as_ref().map_or(Expected::Anything, |value| Expected::Exactly(value.as_deref()));
    let mut payload = Vec::new();
    match shared.swap(key(&name), expected, new.as_deref(), &mut payload) {
        Ok(found) => {
            assert_eq!((found.had, found.swapped), (before.is_some(), as_expected));
            if let Some(before) = before {
                assert_eq!(payload, [&name[..], &before].concat());
            }
            match new {
                _ if !as_expected => {}
                Some(new) => drop(plain.insert(name, new)),
                None => drop(plain.remove(&name)),
            }
        }
        Err(refused) => assert!(as_expected && matches!(refused, Refused::Full), "{refused:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn random_calls_do_what_a_map_does(calls in calls(), entries in 1..16_u32, cells in 1..40_u32) {
        let (shared, mut plain) = (table::<Alone>(entries, cells.max(7)), BTreeMap::new());
        for call in &calls {
            play(&shared, &mut plain, call);
            prop_assert_eq!(shared.contents(), plain.clone());
        }
    }
}

#[test]
fn exactly_as_many_entries_and_cells_fit_as_there_may_be() {
    let shared = table::<Alone>(3, 5);
    for number in 0..3 {
        shared.set(&name(number), &value(1)).unwrap();
    }
    assert!(matches!(shared.set(&name(3), &value(1)), Err(Refused::Full)), "a fourth entry");
    shared.set(&name(0), &value(1)).unwrap();
    // Two cells are left, and one of them is free only after the other is in use.
    assert!(matches!(shared.set(&name(0), &value(44 + 61)), Err(Refused::Full)));
    shared.set(&name(0), &value(44)).unwrap();
    assert!(matches!(shared.set(&name(0), &value(400)), Err(Refused::TooLarge)));
    shared.take(&name(1)).unwrap();
    shared.take(&name(2)).unwrap();
    shared.take(&name(0)).unwrap();
    shared.set(&name(0), &value(44 + 4 * 60 - 2)).unwrap();
    assert_eq!(shared.contents().len(), 1);
}

#[test]
fn the_index_grows_with_the_entries() {
    let shared = table::<Alone>(100, 100);
    for number in 0..100_u8 {
        shared.set(&[number], b"v").unwrap();
    }
    assert_eq!(buckets(&shared), 150);
    assert_eq!(shared.contents().len(), 100);
}

fn buckets(shared: &Shared<Alone>) -> u32 {
    let inside = shared.enter().unwrap();
    Index::of(inside.storage).buckets().unwrap()
}

/// Of so many entries in one chain, in which the lowest bit changes from each to the next.
fn with_one_chain(entries: u8, room: u32) -> Shared<Alone> {
    let shared = table::<Alone>(room, room);
    shared.refuse_buckets(true);
    for number in 0..entries {
        shared.set(&[number], b"v").unwrap();
    }
    assert_eq!(buckets(&shared), 1);
    shared.refuse_buckets(false);
    shared
}

#[test]
fn an_index_grows_again_once_there_is_memory() {
    let shared = with_one_chain(150, 250);
    for number in 150..250_u8 {
        shared.set(&[number], b"v").unwrap();
    }
    assert_eq!(buckets(&shared), 201, "two for each entry that came");
    assert_eq!(shared.contents().len(), 250);
}

#[test]
fn a_death_in_the_split_of_a_long_chain_loses_no_entry() {
    let report = sweep(1, move |fuse: &Fuse| {
        let shared = with_one_chain(70, 72);
        let finished = live_here(fuse, || shared.set(&[70], b"v").map(drop)).is_some();
        let found = shared.contents();
        assert!(found.len() == 71 || found.len() == 70 && !finished);
        shared.set(&[71], b"v").unwrap();
        assert!(buckets(&shared) >= 3);
        assert_eq!(shared.contents().len(), found.len() + 1);
    });
    println!("{report}");
    assert!(report.points > 500, "{report}");
}

/// What the process does that dies.
type Deed = fn(&Shared<Alone>);

const DEEDS: &[(&str, Deed)] = &[
    ("adds", |shared| drop(shared.set(&name(9), &value(3)))),
    ("adds a long one", |shared| drop(shared.set(&name(9), &value(200)))),
    ("replaces", |shared| drop(shared.set(&name(1), &value(4)))),
    ("replaces by a long one", |shared| drop(shared.set(&name(1), &value(150)))),
    ("replaces a long one", |shared| drop(shared.set(&name(2), &value(4)))),
    ("removes", |shared| drop(shared.take(&name(1)))),
    ("removes a long one", |shared| drop(shared.take(&name(2)))),
    ("removes what is not there", |shared| drop(shared.take(&name(9)))),
    ("clears", |shared| shared.clear().unwrap()),
    ("reads", |shared| drop(shared.value(&name(2)))),
    ("reads all", |shared| drop(shared.all())),
];

/// With a chain of three in one bucket, a long entry, and free cells.
fn prepared() -> Shared<Alone> {
    let shared = table::<Alone>(8, 24);
    for (number, length) in [(1, 3), (5, 0), (2, 120), (13, 7), (3, 100)] {
        shared.set(&name(number), &value(length)).unwrap();
    }
    shared.take(&name(3)).unwrap();
    shared
}

#[test]
fn whatever_a_process_does_when_it_dies_it_is_done_or_was_never_begun() {
    for (what, deed) in DEEDS {
        let report = sweep(1, move |fuse: &Fuse| {
            let (shared, done) = (prepared(), prepared());
            let before = shared.contents();
            deed(&done);
            let after = done.contents();
            let finished = live_here(fuse, || deed(&shared)).is_some();
            let found = shared.contents();
            assert!(found == after || found == before && !finished, "{what}: {found:?}");
            // And it works.
            shared.set(&name(7), &value(60)).unwrap();
            shared.take(&name(5)).unwrap();
            assert_eq!(shared.contents().len(), found.len() + 1 - usize::from(found.contains_key(&name(5))));
            shared.clear().unwrap();
            for number in 0..8 {
                shared.set(&name(number), &value(100)).unwrap();
            }
            assert_eq!(shared.contents().len(), 8);
        });
        println!("{what:<30} {report}");
        assert!(report.points > 5, "{what}: {report}");
    }
}

#[test]
fn overwritten_memory_is_an_error_and_no_endless_loop() {
    for seed in 0..3000_u32 {
        let shared = prepared();
        let mut random = seed.wrapping_mul(0x9E37_79B9) | 1;
        let mut next = || {
            random ^= random << 13;
            random ^= random >> 17;
            random ^= random << 5;
            random
        };
        for _ in 0..1 + seed % 40 {
            let at = next() as usize % shared.words();
            let value = next();
            shared.overwrite(at, if value & 1 == 0 { value % 64 } else { value });
        }
        let mut payload = Vec::new();
        for number in 0..16 {
            let _ = shared.get(key(&name(number)), &mut payload);
            let _ = shared.set(&name(number), &value(next() as usize % 90));
            let _ = shared.take(&name(number));
        }
        let (all, len): (_, Result<u32, Corrupt>) = (shared.all(), shared.len());
        drop((all, len));
        let _ = shared.clear();
        let _ = shared.set(&name(1), b"after");
    }
}

#[test]
fn entries_that_share_cells_are_an_error_and_no_copy_of_each() {
    let shared = table::<Alone>(8, 24);
    let long = value(44 + 14 * 60 - 2);
    shared.set(&name(0), &long).unwrap();
    for number in 1..8 {
        shared.set(&name(number), b"short").unwrap();
    }
    let all = shared.all().unwrap();
    assert_eq!((all.iter().len(), all.bytes.len()), (8, 2 + long.len() + 7 * 7));
    // The long one has the cells 1 to 15.
    for cell in 16..=22 {
        let at = shared.storage().shape().cell(cell);
        shared.overwrite((at + LINK) as usize, 2);
        shared.overwrite((at + VALUE_BYTES) as usize, long.len() as u32);
    }
    assert!(matches!(shared.all(), Err(Refused::Corrupt)));
}
