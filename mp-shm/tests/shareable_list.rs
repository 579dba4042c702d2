//! Mirrors CPython's `test_shared_memory_ShareableList_basics` and `_pickling`; lists shared with CPython
//! itself.
//!
//! Left out: negative indices (they do not compile), an item of another type (likewise),
//! `_pickling_dead_object` (a list that was sent needs no name to be found by), `tracker_reuse` (there is no
//! tracker).

use mp_core::Process;
use mp_shm::{Item, ListError, ShareableList, SharedMemory, SharedMemoryError};
use mp_testing::shared_memory_names;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

mp_testing::cases! {
    plain: [
        items_of_every_type_come_back,
        a_type_may_change_and_the_room_does_not,
        what_does_not_fit_is_an_error_and_changes_nothing,
        an_index_past_the_end_is_an_error,
        zeros_at_the_end_and_all_of_unicode_are_kept,
        items_are_counted_and_found,
        names_are_those_of_blocks,
        what_is_no_list_is_refused,
        bytes_that_change_meanwhile_are_items_or_errors,
        a_list_that_cannot_be_made_leaves_no_name,
        python_reads_and_writes_our_list,
        python_makes_a_list_that_we_read_and_write,
    ],
    every_method: [a_child_changes_items_by_name_and_by_handle, a_list_comes_back_as_a_result],
}

fn basics() -> Vec<Item> {
    vec![b"howdy".into(), b"HoWdY".into(), (-273.154).into(), 100.into(), Item::None, true.into(), 42.into()]
}

fn items_of_every_type_come_back() {
    let list = ShareableList::new(basics()).unwrap();
    assert_eq!((list.len(), list.is_empty()), (7, false));
    assert_eq!(list.to_vec().unwrap(), basics());
    assert_eq!(list.get(2), Ok(Item::Float(-273.154)));
    let formats: Vec<String> = (0..7).map(|index| list.format(index).unwrap()).collect();
    assert_eq!(formats, ["5sx", "5sx", "d", "q", "xxxxxx?x", "xxxxxxx?", "q"]);
    assert_eq!(list.iter().len(), 7);
    let opened = ShareableList::open(list.shm().name()).unwrap();
    assert_eq!(opened.to_vec().unwrap(), basics());
    opened.set(3, 101).unwrap();
    assert_eq!((list.get(3), list.clone().get(3)), (Ok(Item::Int(101)), Ok(Item::Int(101))));
    let empty = ShareableList::new([0_i64; 0]).unwrap();
    assert_eq!((empty.len(), empty.to_vec().unwrap()), (0, vec![]));
    assert!(ShareableList::open(empty.shm().name()).unwrap().is_empty());
}

fn a_type_may_change_and_the_room_does_not() {
    let list = ShareableList::new(basics()).unwrap();
    for (index, _) in basics().iter().enumerate() {
        assert_eq!(list.room(index), Ok(8));
        let others = [Item::Int(-1), 0.5.into(), "eight by".into(), Item::None, false.into(), b"".into()];
        for item in others {
            list.set(index, item.clone()).unwrap();
            assert_eq!(list.get(index), Ok(item));
        }
    }
    assert_eq!(list.to_vec().unwrap(), vec![b"".into(); 7]);
    let long = ShareableList::new(["x".repeat(20), "y".to_owned()]).unwrap();
    long.set(0, 5).unwrap();
    long.set(0, "z".repeat(24)).unwrap();
    assert_eq!((long.room(0), long.to_vec().unwrap()), (Ok(24), vec!["z".repeat(24).into(), "y".into()]));
}

fn what_does_not_fit_is_an_error_and_changes_nothing() {
    let list = ShareableList::new(basics()).unwrap();
    let refused = ListError::TooLong { index: 0, bytes: 9, room: 8 };
    assert_eq!(list.set(0, b"far far too long".get(..9)), Err(refused));
    assert_eq!(list.set(3, "e\u{f1}e e\u{f1}e"), Err(ListError::TooLong { index: 3, bytes: 9, room: 8 }));
    assert_eq!(list.to_vec().unwrap(), basics());
    assert_eq!(
        refused.to_string(),
        "item 0 has 9 bytes, and its slot has 8: store a shorter item, or make a new list"
    );
    let ends = ListError::EndsInZero { index: 0, bytes: 1_000_000 };
    let large = ShareableList::new([vec![7; 1_000_000]]).unwrap();
    assert_eq!(large.set(0, vec![0; 1_000_000]), Err(ends));
    assert_eq!(large.get(0).unwrap(), vec![7; 1_000_000].into());
}

fn an_index_past_the_end_is_an_error() {
    let list = ShareableList::new(basics()).unwrap();
    for index in [7, 8, usize::MAX] {
        let error = list.room(index).unwrap_err();
        assert_eq!(error, ListError::Index { index, len: 7 });
        assert_eq!(list.get(index), Err(error));
        assert_eq!(list.set(index, 0), Err(error));
        assert_eq!(list.format(index), Err(error));
        assert_eq!(error.to_string(), format!("index {index} is out of range for a list of 7 items"));
    }
}

/// CPython loses both: gh-106939, gh-145261.
fn zeros_at_the_end_and_all_of_unicode_are_kept() {
    let items: Vec<Item> = vec![
        b"ends\0\0\0".into(),
        "so does this\0".into(),
        b"\0\0\0\0\0\0\0\0".into(),
        "\u{4e16}\u{754c}".repeat(50).into(),
        "\u{1f980}\u{e9}\0\0".into(),
    ];
    let list = ShareableList::new(items.clone()).unwrap();
    assert_eq!(list.to_vec().unwrap(), items);
    list.set(0, b"\0\0\0\0\0\0\0\0").unwrap();
    assert_eq!(ShareableList::open(list.shm().name()).unwrap().get(0).unwrap(), b"\0\0\0\0\0\0\0\0".into());
}

fn items_are_counted_and_found() {
    let list = ShareableList::new([1, 2, 1, 3]).unwrap();
    assert_eq!((list.count(1), list.count(5), list.count(1.0)), (Ok(2), Ok(0), Ok(0)));
    assert_eq!((list.index(1), list.index(3), list.index("1")), (Ok(Some(0)), Ok(Some(3)), Ok(None)));
}

fn names_are_those_of_blocks() {
    let name = format!("mp-shm-list-{}", std::process::id());
    let opened = ShareableList::open(&name);
    assert!(matches!(opened, Err(SharedMemoryError::NotFound(_))), "{opened:?}");
    let list = ShareableList::create(&name, ["a"]).unwrap();
    let again = ShareableList::create(&name, ["b"]);
    assert!(matches!(again, Err(SharedMemoryError::Exists(_))), "{again:?}");
    assert_eq!(ShareableList::open(&name).unwrap().to_vec().unwrap(), ["a".into()]);
    assert!(shared_memory_names().contains(&name));
    drop(list);
    assert!(!shared_memory_names().contains(&name));
}

fn what_is_no_list_is_refused() {
    for bytes in [&b"short"[..], &[0xFF; 64], &[1; 64], &[1, 0, 0, 0, 0, 0, 0, 0].repeat(3)] {
        let block = SharedMemory::new(bytes.len()).unwrap();
        block.write(0, bytes).unwrap();
        let opened = ShareableList::open(block.name());
        assert!(
            matches!(opened, Err(SharedMemoryError::List(ListError::Corrupt(_)))),
            "{bytes:?}: {opened:?}"
        );
        // Nor does it arrive.
        let message = mp_core::transfer::pack(&block).unwrap();
        assert!(mp_core::transfer::unpack::<ShareableList>(&message.bytes, message.handles).is_err());
    }
}

/// Another process writes anything at any time: each read returns an item or an error.
fn bytes_that_change_meanwhile_are_items_or_errors() {
    let list = ShareableList::new(basics()).unwrap();
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let mut random = move |end: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % end as u64) as usize
    };
    let block = list.shm();
    let mut good = vec![0; block.len()];
    block.read(0, &mut good).unwrap();
    let (mut items, mut errors) = (0, 0);
    for round in 0..20_000 {
        if round % 8 == 0 {
            block.write(0, &good).unwrap();
        }
        let word = [
            b"8sx\0\0\0\0\0",
            b"9sx\0\0\0\0\0",
            b"q\0\0\0\0\0\0\0",
            b"99999999",
            b"\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x7F",
        ];
        block.write(random(block.len() - 8), word[random(5)]).unwrap();
        block.write(random(block.len()), &[random(256) as u8]).unwrap();
        // This handle keeps the length and the offsets that it began with; another one reads what is there
        // now.
        let other = ShareableList::open(block.name()).ok();
        for item in list.iter().chain(other.iter().flat_map(ShareableList::iter)) {
            if item.is_ok() { items += 1 } else { errors += 1 }
        }
        let _ = (list.count(1), list.index("x"), list.format(random(7)));
    }
    assert!(items > 1_000 && errors > 1_000, "{items} {errors}: both are tried");
    basics().into_iter().enumerate().for_each(|(index, item)| list.set(index, item).unwrap());
    // The length and the offsets in memory may be anything now; existing handles keep theirs.
    assert_eq!(list.to_vec().unwrap(), basics());
}

fn a_list_that_cannot_be_made_leaves_no_name() {
    let name = format!("mp-shm-list-{}", std::process::id());
    let made = ShareableList::create(&name, [Item::Int(1), vec![1; 10_000_000].into()]);
    let Err(SharedMemoryError::List(ListError::TooLong { index: 1, .. })) = made else { panic!("{made:?}") };
    assert!(matches!(ShareableList::create("a/b", [1]), Err(SharedMemoryError::Name(_))));
    assert!(!shared_memory_names().contains(&name));
}

fn change(by_handle: ShareableList, name: String) -> Vec<String> {
    let by_name = ShareableList::open(&name).unwrap();
    by_name.set(0, "eins").unwrap();
    by_handle.set(1, Item::None).unwrap();
    by_name.iter().map(|item| format!("{:?}", item.unwrap())).collect()
}

fn a_child_changes_items_by_name_and_by_handle() {
    let list = ShareableList::new([Item::from(1), "zwei".into(), 3.0.into()]).unwrap();
    let arguments = (list.clone(), list.shm().name().to_owned());
    let seen = Process::new(change, arguments).start().unwrap().join().unwrap();
    assert_eq!(seen, ["Str(\"eins\")", "None", "Float(3.0)"]);
    assert_eq!(list.to_vec().unwrap(), ["eins".into(), Item::None, 3.0.into()]);
}

fn make() -> ShareableList {
    ShareableList::new([Item::from("made"), "by a child".into()]).unwrap()
}

/// Its owner has ended, and its name with it.
fn a_list_comes_back_as_a_result() {
    let list = Process::new(make, ()).start().unwrap().join().unwrap();
    assert!(!shared_memory_names().contains(&list.shm().name().to_owned()));
    list.set(0, "changed").unwrap();
    assert_eq!(list.to_vec().unwrap(), ["changed".into(), "by a child".into()]);
}

const ATTACH: &str = r#"
import sys
from multiprocessing import resource_tracker
from multiprocessing.shared_memory import ShareableList
theirs = ShareableList(name=sys.argv[1])
# Without this, CPython takes our name away when it ends.
resource_tracker.unregister(theirs.shm._name, "shared_memory")
# What CPython takes off the end of a text is there, and it does not see it.
expected = [7, -2.5, True, None, "text", "gr\u00fc\u00dfe, \u4e16\u754c", b"bytes", "", b"", b"ends", 5]
assert list(theirs) == expected, list(theirs)
assert theirs.format == "qdxxxxxxx?xxxxxx?x4sx15sx5sx0sx0sx7sxq", theirs.format
assert theirs.count("text") == 1 and theirs.index(b"bytes") == 6
theirs[0], theirs[1], theirs[2], theirs[3] = -(2**40), "eight by", b"\xff", 1.5
# Longer than what was there: a format with a fixed length would cut it.
theirs[4], theirs[6], theirs[7], theirs[10] = "longer!", b"longest!", "now", None
try:
    theirs[8] = b"too long!"
    raise SystemExit("it fits")
except ValueError:
    pass
theirs.shm.close()
"#;

const MAKE: &str = r#"
import sys
from multiprocessing.shared_memory import ShareableList
ours = ShareableList([7, -2.5, True, None, "text", "gr\u00fc\u00dfe", b"bytes", "", b"", b"ends\0\0",
                      "\u4e16" * 8, "x" * 30, 5])
print(ours.shm.name, flush=True)
sys.stdin.readline()
expected = ["eins", 2, 0.5, b"vier", None, "\u4e16\u754c", b"", "sieben", False, b"ends", "\u4e16" * 5, "y" * 32, 5]
assert list(ours) == expected, list(ours)
# What was changed here is changed there again.
ours[0], ours[11] = "zwei", "z" * 32
print(flush=True)
sys.stdin.readline()
ours.shm.close()
ours.shm.unlink()
"#;

/// Ends as an ignored case where there is no `python3`.
fn python(script: &str, arguments: &[&str]) -> Child {
    let mut command = Command::new("python3");
    command.arg("-c").arg(script).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
    command.spawn().unwrap_or_else(|_| mp_testing::ignore("there is no python3 here"))
}

fn python_reads_and_writes_our_list() {
    let text = "gr\u{fc}\u{df}e, \u{4e16}\u{754c}";
    let items: [Item; 11] = [
        7.into(),
        (-2.5).into(),
        true.into(),
        Item::None,
        "text".into(),
        text.into(),
        b"bytes".into(),
        "".into(),
        b"".into(),
        b"ends\0\0\0".into(),
        5.into(),
    ];
    let list = ShareableList::new(items).unwrap();
    assert!(python(ATTACH, &[list.shm().name()]).wait().unwrap().success());
    let expected: [Item; 11] = [
        (-(1_i64 << 40)).into(),
        "eight by".into(),
        b"\xff".into(),
        1.5.into(),
        "longer!".into(),
        text.into(),
        b"longest!".into(),
        "now".into(),
        b"".into(),
        b"ends\0\0\0".into(),
        Item::None,
    ];
    assert_eq!(list.to_vec().unwrap(), expected);
    assert!(shared_memory_names().contains(&list.shm().name().to_owned()));
}

fn python_makes_a_list_that_we_read_and_write() {
    let mut python = python(MAKE, &[]);
    let mut input = python.stdin.take().unwrap();
    let mut lines = BufReader::new(python.stdout.take().unwrap()).lines();
    let list = ShareableList::open(&lines.next().unwrap().unwrap()).unwrap();
    let read: Vec<Result<Item, _>> = list.iter().collect();
    let expected: [Item; 10] = [
        7.into(),
        (-2.5).into(),
        true.into(),
        Item::None,
        "text".into(),
        "gr\u{fc}\u{df}e".into(),
        b"bytes".into(),
        "".into(),
        b"".into(),
        b"ends".into(),
    ];
    assert_eq!(read[..10].iter().cloned().collect::<Result<Vec<Item>, _>>().unwrap(), expected);
    // CPython made a slot for eight bytes and some, and cut a character in two (gh-145261).
    assert_eq!(
        read[10].clone().unwrap_err().to_string(),
        "the block does not hold a valid list: a text is not UTF-8"
    );
    assert_eq!(read[11..], [Ok("x".repeat(30).into()), Ok(5.into())]);
    let world = "\u{4e16}\u{754c}";
    let changed: [Item; 12] = [
        "eins".into(),
        2.into(),
        0.5.into(),
        b"vier".into(),
        Item::None,
        world.into(),
        b"\0\0".into(),
        "sieben".into(),
        false.into(),
        b"ends\0".into(),
        "\u{4e16}".repeat(5).into(),
        "y".repeat(32).into(),
    ];
    changed.iter().enumerate().for_each(|(index, item)| list.set(index, item.clone()).unwrap());
    input.write_all(b"\n").unwrap();
    assert!(lines.next().unwrap().is_ok());
    assert_eq!((list.get(0), list.get(11)), (Ok("zwei".into()), Ok("z".repeat(32).into())));
    assert_eq!((list.get(6), list.get(9)), (Ok(b"\0\0".into()), Ok(b"ends\0".into())));
    input.write_all(b"\n").unwrap();
    assert!(python.wait().unwrap().success());
}
