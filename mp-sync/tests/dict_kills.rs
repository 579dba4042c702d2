//! Kills users of a dict at random moments. Prints how many it tried.
//!
//! Eight processes insert, replace, remove and update entries of all sizes, each under keys of its own, and count in
//! entries that they share. One of the eight is killed, and another takes its place, again and again. What a call
//! has returned for is there, whole; the call that a killed process was in is done or was never begun. No process
//! hangs, and no memory is lost.
//!
//! `MP_KILLS=2000` sets the number; the default fits the gate. What the processes do follows from their numbers, when
//! they are killed does not.

use mp_core::mem::SharedRef;
use mp_core::{Child, JoinError, Process, StartMethod};
use mp_sync::{DictError, SharedDict};
use mp_testing::{Chance, random, wait_a_random_moment};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

mp_testing::cases! { plain: [whichever_process_is_killed_the_dict_is_whole] }

const USERS: usize = 8;
/// Keys of each.
const KEYS: usize = 24;
/// Entries in which all of them count.
const SHARED: usize = 4;
const MOMENT: Duration = Duration::from_micros(1500);

/// Whose key it is, and which.
type Key = (u32, u32);

/// What its maker put in, and a check of it.
type Entry = (u32, Vec<u8>, u64);

fn entry(key: Key, version: u32) -> Entry {
    let length = (version as usize * 37 + key.1 as usize * 11) % [20, 90, 700][version as usize % 3];
    let bytes: Vec<u8> = (0..length).map(|at| (at as u32 ^ version ^ key.1) as u8).collect();
    let head = u64::from(key.0) << 40 | u64::from(key.1) << 32 | u64::from(version);
    let sum = bytes.iter().fold(head, |sum, byte| sum.wrapping_mul(0x100_0000_01b3) ^ u64::from(*byte));
    (version, bytes, sum)
}

/// The state that outlives every killed process. Of each key the version (0: it is not there) that the last call which
/// returned has left, and the one that the call under way is to leave.
struct Board {
    left: SharedRef<[AtomicU32; USERS * KEYS]>,
    coming: SharedRef<[AtomicU32; USERS * KEYS]>,
    /// Versions made; counts added, by calls that have returned and by those that have begun.
    versions: SharedRef<[AtomicU32; USERS]>,
    counted: SharedRef<[AtomicU32; USERS]>,
    counting: SharedRef<[AtomicU32; USERS]>,
    stop: SharedRef<AtomicU32>,
}

impl Board {
    /// Made by the first process that asks, whose forks have it too.
    fn here() -> &'static Board {
        static BOARD: OnceLock<Board> = OnceLock::new();
        BOARD.get_or_init(|| Board {
            left: SharedRef::create("mp-test-left").unwrap(),
            coming: SharedRef::create("mp-test-coming").unwrap(),
            versions: SharedRef::create("mp-test-versions").unwrap(),
            counted: SharedRef::create("mp-test-counted").unwrap(),
            counting: SharedRef::create("mp-test-counting").unwrap(),
            stop: SharedRef::create("mp-test-stop").unwrap(),
        })
    }
}

// ORDERING: SeqCst, all of them: nothing here is to be fast.
fn get(word: &AtomicU32) -> u32 {
    word.load(Ordering::SeqCst)
}

fn set(word: &AtomicU32, value: u32) {
    word.store(value, Ordering::SeqCst);
}

/// Checks what is there of a key.
fn check(dict: &SharedDict<Key, Entry>, key: Key, allowed: &[u32]) -> u32 {
    let found = dict.get(&key).unwrap();
    let version = found.as_ref().map_or(0, |entry| entry.0);
    assert!(allowed.contains(&version), "{key:?} has version {version}, and not one of {allowed:?}");
    assert!(found.is_none_or(|found| found == entry(key, version)), "{key:?} is torn");
    version
}

fn use_it(dict: SharedDict<Key, Entry>, counts: SharedDict<u32, u64>, user: usize, seed: u64) {
    let (board, mut chance) = (Board::here(), Chance::new(seed));
    while get(&board.stop) == 0 {
        let number = chance.below(KEYS);
        let (at, key) = (user * KEYS + number, (user as u32, number as u32));
        // Whatever the one before it in this place did last.
        let before = check(&dict, key, &[get(&board.left[at]), get(&board.coming[at])]);
        let deed = chance.below(8);
        let version = if deed < 2 { 0 } else { get(&board.versions[user]) + 1 };
        if version > 0 {
            set(&board.versions[user], version);
        }
        set(&board.left[at], before);
        set(&board.coming[at], version);
        match deed {
            0 | 1 => drop(dict.remove(&key).unwrap()),
            2..5 => drop(dict.insert(&key, &entry(key, version)).unwrap()),
            5 | 6 => {
                let new = dict.update(&key, |value| {
                    assert_eq!(value.map_or(0, |entry| entry.0), before, "not one's own");
                    Some(entry(key, version))
                });
                assert!(new.unwrap().is_some());
            }
            _ => {
                let expected = (before > 0).then(|| entry(key, before));
                let new = entry(key, version);
                dict.compare_exchange(&key, expected.as_ref(), Some(&new)).unwrap().unwrap();
            }
        }
        set(&board.left[at], version);
        board.counting[user].fetch_add(1, Ordering::SeqCst);
        counts.fetch_add(&(chance.below(SHARED) as u32), 1).unwrap();
        board.counted[user].fetch_add(1, Ordering::SeqCst);
        if chance.below(64) == 0 {
            for (key, (version, bytes, sum)) in dict.items().unwrap() {
                assert!(entry(key, version) == (version, bytes, sum), "{key:?} is torn");
            }
        }
    }
}

fn whichever_process_is_killed_the_dict_is_whole() {
    let kills = mp_testing::kills(150);
    let board = Board::here();
    let dict: SharedDict<Key, Entry> = SharedDict::new(USERS * KEYS, 1 << 20).unwrap();
    let counts: SharedDict<u32, u64> = SharedDict::new(SHARED, 1 << 12).unwrap();
    let start = |user: usize, seed: u64| -> Child<()> {
        let arguments = (dict.clone(), counts.clone(), user, seed);
        Process::new(use_it, arguments).method(StartMethod::Fork).start().unwrap()
    };
    let mut users: Vec<_> = (0..USERS).map(|user| start(user, 77 + 1000 * user as u64)).collect();
    let mut cut_short = 0;
    for kill in 0..kills {
        wait_a_random_moment(MOMENT);
        let user = random(USERS as u64) as usize;
        users[user].kill().unwrap();
        match users[user].join() {
            Err(JoinError::Killed(9)) => {}
            other => panic!("{other:?}"),
        }
        // It may have counted, and not have said so.
        let begun = get(&board.counting[user]);
        cut_short += begun - get(&board.counted[user]);
        set(&board.counted[user], begun);
        users[user] = start(user, u64::from(kill) * 8 + user as u64);
    }
    set(&board.stop, 1);
    users.iter().for_each(|user| user.join().unwrap());
    let mut there = 0;
    for at in 0..USERS * KEYS {
        let key = ((at / KEYS) as u32, (at % KEYS) as u32);
        there += usize::from(check(&dict, key, &[get(&board.left[at]), get(&board.coming[at])]) > 0);
    }
    assert_eq!((dict.len().unwrap(), dict.items().unwrap().len()), (there, there));
    let begun: u64 = board.counting.iter().map(|count| u64::from(get(count))).sum();
    let counted: u64 = counts.values().unwrap().iter().sum();
    let calls: u32 = board.versions.iter().map(get).sum();
    eprintln!(
        "{kills} kills of {USERS} processes: {calls} versions written, {there} entries there and whole; {begun} counts \
         begun, {cut_short} of them cut short, {counted} done; 0 lost, 0 torn, 0 hangs"
    );
    assert!((begun - u64::from(cut_short)..=begun).contains(&counted), "{counted} of {begun} counts");
    assert!(calls > 0 && counted > 0, "nothing was done");
    // No cell is lost: one entry takes them all.
    dict.keys().unwrap().iter().for_each(|key| drop(dict.remove(key).unwrap()));
    let all: Entry = (0, vec![1; 44 + (1 << 20) / 64 * 60 - 7], 0);
    assert_eq!(dict.insert(&(9, 9), &all).unwrap(), None);
    assert!(matches!(dict.insert(&(9, 8), &entry((9, 8), 0)), Err(DictError::Full)));
    assert_eq!(dict.get(&(9, 9)).unwrap(), Some(all));
}
