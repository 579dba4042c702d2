//! Batches come back as they were made, and damaged ones are errors.

use super::*;

fn key(byte: u8, length: usize) -> impl Fn(&mut Vec<u8>) -> Result<(), ()> {
    move |bytes| {
        bytes.extend(vec![byte; length]);
        Ok(())
    }
}

fn beside() -> Packed {
    Packed { objects: vec![7], ..Packed::from(vec![9]) }
}

/// A call of each kind, with keys and values of all forms of lengths.
fn batch() -> Batch {
    let mut batch = Batch::default();
    for length in [0, 1, 252, 253, 254, 255, 256, 70_000] {
        batch.get(key(1, length)).unwrap();
        batch.insert(key(2, length), vec![3; length].into()).unwrap();
        batch.insert(key(4, length), beside()).unwrap();
        batch.remove(key(5, length)).unwrap();
        for kind in NUMBERS {
            batch.add(key(6, length), kind, &vec![7; length]).unwrap();
        }
    }
    batch
}

/// As text: kind, key and value, each byte and length.
fn shown(call: &BatchCall<'_>) -> String {
    let text = |bytes: &[u8]| format!("{:?} {}", bytes.first(), bytes.len());
    match call {
        BatchCall::Get(key) => format!("get {}", text(key)),
        BatchCall::Insert(key, BatchValue::Plain(value)) => format!("insert {}: {}", text(key), text(value)),
        BatchCall::Insert(key, BatchValue::Beside(value)) => {
            format!("insert {}: beside {:?}", text(key), value.objects)
        }
        BatchCall::Remove(key) => format!("remove {}", text(key)),
        BatchCall::Add(key, kind, by) => format!("add {}: {kind:?} {}", text(key), text(by)),
    }
}

#[test]
fn calls_come_back_in_their_order() {
    let batch = batch();
    let seen: Vec<String> = batch.calls().map(|call| shown(&call.unwrap())).collect();
    let mut expected = Vec::new();
    for length in [0_usize, 1, 252, 253, 254, 255, 256, 70_000] {
        let text = |byte: u8| format!("{:?} {length}", (length > 0).then_some(byte));
        expected.push(format!("get {}", text(1)));
        expected.push(format!("insert {}: {}", text(2), text(3)));
        expected.push(format!("insert {}: beside [7]", text(4)));
        expected.push(format!("remove {}", text(5)));
        expected.extend(NUMBERS.map(|kind| format!("add {}: {kind:?} {}", text(6), text(7))));
    }
    assert_eq!(seen, expected);
}

#[test]
fn results_come_back_in_their_order() {
    let mut results = Results::default();
    results.none();
    results.plain(&[]);
    results.plain(&[5; 300]);
    results.value(beside());
    results.value(vec![6; 252].into());
    let length = |value: Option<BatchValue<'_>>| match value {
        None => -1,
        Some(BatchValue::Plain(bytes)) => bytes.len() as i64,
        Some(BatchValue::Beside(packed)) => -(packed.objects[0] as i64),
    };
    let seen: Vec<i64> = results.values().map(|value| length(value.unwrap())).collect();
    assert_eq!(seen, [-1, 0, 300, -7, 252]);
    assert_eq!(results.beside().len(), 1);
}

#[test]
fn a_key_that_cannot_be_packed_leaves_nothing() {
    let mut batch = Batch::default();
    batch.get(key(1, 1)).unwrap();
    let refused = batch.insert(
        |bytes| {
            bytes.push(1);
            Err(())
        },
        beside(),
    );
    assert!(refused.is_err());
    assert_eq!(batch.calls().map(|call| shown(&call.unwrap())).collect::<Vec<_>>(), ["get Some(1) 1"]);
}

#[test]
fn damaged_bytes_are_an_error_and_end_the_batch() {
    let Batch(Parts { bytes, beside }) = batch();
    let whole = batch().calls().count();
    for cut in (0..2_000).chain([bytes.len() - 1]) {
        let cut = Batch(Parts { bytes: bytes[..cut].to_vec(), beside: beside.clone() });
        let calls: Vec<bool> = cut.calls().map(|call| call.is_ok()).collect();
        assert!(calls.len() < whole || calls.last() == Some(&false));
        assert!(calls.iter().rev().skip(1).all(|is_ok| *is_ok));
    }
    let without = Batch(Parts { bytes: bytes.clone(), beside: Vec::new() });
    assert!(without.calls().last().unwrap().is_err());
    for first in [[4, 0], [GET, NONE], [GET, BESIDE], [ADD, 0]] {
        let one = Batch(Parts { bytes: [&first[..], &[12, 0]].concat(), beside: Vec::new() });
        let calls: Vec<bool> = one.calls().map(|call| call.is_ok()).collect();
        assert_eq!(calls, [false], "{first:?}");
    }
    // A length beyond all memory.
    let long = [&[GET, LONG][..], &[0xFF; 8], &[0; 20]].concat();
    let long = Batch(Parts { bytes: long, beside: Vec::new() });
    assert!(long.calls().all(|call| call.is_err()));
}

#[test]
fn kinds_of_numbers_are_named_by_their_places() {
    assert!(NUMBERS.iter().enumerate().all(|(at, kind)| *kind as usize == at));
}
