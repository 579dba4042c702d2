//! Pickles that are refused, and values that are not written: what is wrong, and where. Mirrors `test_bad_stack`,
//! `test_truncated_data` and similar; random bytes are in pickle_hostile.rs.

use mp_pipe::pickle::{Limits, Object, PickleError, Value, dumps, loads, loads_within};

/// A list in a list in a list …
fn nested(depth: usize) -> Vec<u8> {
    [&b"\x80\x04"[..], &b"]".repeat(depth), &b"a".repeat(depth - 1), b"."].concat()
}

#[test]
fn cycles_are_an_error() {
    // l = []; l.append(l)    t = ([],); t[0].append(t)    d = {}; d['d'] = d    o.__dict__ = {'o': o}
    for pickle in [
        &b"\x80\x04]\x94h\0a."[..],
        b"\x80\x04]\x94h\0\x85\x94a0h\x01.",
        b"\x80\x04}\x94\x8c\x01dh\0s.",
        b"\x80\x04\x8c\x01m\x8c\x01C\x93)\x81\x94}\x8c\x01oh\0sb.",
    ] {
        assert_eq!(loads(pickle), Err(PickleError::Cyclic));
    }
}

#[test]
fn depth_is_limited() {
    let most = Limits::default().depth;
    assert!(loads(&nested(most)).is_ok());
    let tuples = |depth| [&b"\x80\x04)"[..], &b"\x85".repeat(depth), b"."].concat();
    assert!(loads(&tuples(most)).is_ok());
    for pickle in [nested(most + 1), nested(200_000), tuples(most + 1), tuples(200_000)] {
        assert_eq!(loads(&pickle), Err(PickleError::TooDeep { limit: most }));
    }
    // A list of lists, each of which has the one before it: no more than one level is ever walked down.
    let chain = |length| {
        let step = b"]\x94j\0\0\0\0a";
        let mut pickle = b"\x80\x04(]\x94".to_vec();
        for number in 0..length as u32 {
            pickle.extend(&step[..3]);
            pickle.extend(number.to_le_bytes());
            pickle.push(b'a');
        }
        pickle.extend(b"t.");
        pickle
    };
    assert!(loads(&chain(most - 2)).is_ok());
    assert_eq!(loads(&chain(20_000)), Err(PickleError::TooDeep { limit: most }));
    let limits = Limits::default().with_depth(3);
    assert!(loads_within(&nested(3), limits).is_ok());
    assert_eq!(loads_within(&nested(4), limits), Err(PickleError::TooDeep { limit: 3 }));
}

#[test]
fn the_deepest_value_can_be_compared_printed_written_and_dropped() {
    // In half of the stack that a thread has unless asked otherwise.
    let small = std::thread::Builder::new().stack_size(1 << 20);
    let all_of_it = || {
        let within = |value: Value, kind: usize| match kind {
            0 => Value::list([value]),
            1 => Value::tuple([value]),
            2 => Value::dict([("k", value)]),
            3 => Value::frozenset([value]),
            _ => Value::from(Object::call("m", "f", [value])),
        };
        for kind in 0..6 {
            let mut deepest = if kind == 5 { Object::call("m", "f", []).into() } else { Value::tuple([]) };
            let too_deep = loop {
                let deeper = within(deepest.clone(), kind);
                match dumps(&deeper) {
                    Ok(_) => deepest = deeper,
                    Err(error) => break error,
                }
            };
            assert_eq!(too_deep, PickleError::TooDeep { limit: 500 }, "kind {kind}");
            let again = loads(&dumps(&deepest).unwrap()).unwrap();
            assert_eq!(deepest, again);
            assert!(format!("{deepest:?}").len() > 500);
        }
    };
    small.spawn(all_of_it).unwrap().join().unwrap();
}

#[test]
fn a_billion_laughs_are_refused() {
    // Each of 30 lists has the one before it ten times: 61 bytes a level.
    let mut pickle = b"\x80\x04\x8c\x03lol\x94".to_vec();
    for level in 0..30 {
        pickle.extend([b"](".as_slice(), &[b'h', level].repeat(10), b"e\x94"].concat());
    }
    pickle.push(b'.');
    assert_eq!(loads(&pickle), Err(PickleError::TooLarge { limit: 1 << 30 }));
    // What it would be without sharing is what counts: here 100 times 100 kB.
    let text = [b"\x80\x04X\xa0\x86\x01\0".as_slice(), &b"x".repeat(100_000), b"\x94"].concat();
    let hundred = [&text[..], b"0(", &b"h\0".repeat(100), b"t."].concat();
    let limits = Limits::default().with_memory(5_000_000);
    assert!(loads(&hundred).is_ok());
    assert_eq!(loads_within(&hundred, limits), Err(PickleError::TooLarge { limit: 5_000_000 }));
}

#[test]
fn what_cannot_be_written_says_why() {
    let list = Value::list([1.into()]);
    let unhashable = |value| Err(PickleError::Unhashable { kind: value });
    assert_eq!(dumps(&Value::set([list.clone()])), unhashable("list"));
    assert_eq!(dumps(&Value::frozenset([Value::dict::<&str>([])])), unhashable("dict"));
    assert_eq!(dumps(&Value::dict([(Value::tuple([list.clone()]), 1.into())])), unhashable("list"));
    assert_eq!(dumps(&Value::dict([(Value::ByteArray([1].into()), 1.into())])), unhashable("bytearray"));
    // A list may be a value, or in what makes a key; and the same list may stand in both places.
    let key = Object::call("m", "Key", [list.clone()]);
    assert!(dumps(&Value::dict([(Value::from(key), list.clone())])).is_ok());
    assert_eq!(dumps(&Value::Surrogates(b"\xff"[..].into())), Err(PickleError::BadText));
    let mut object = Object::call("m", "f", []);
    object.callable = 5.into();
    assert_eq!(dumps(&object.into()), Err(PickleError::NotCallable { kind: "int" }));
}

#[test]
fn bad_pickles_say_what_is_wrong_and_where() {
    let malformed = |at, why| PickleError::Malformed { at, why };
    let unsupported = |at, what| PickleError::Unsupported { at, what };
    let truncated = |length| PickleError::Truncated { length };
    for (pickle, error) in [
        (&b""[..], truncated(0)),
        (b"\x80\x04", truncated(2)),
        (b"\x80\x04.", malformed(2, "the stack is empty")),
        (b"N.N", malformed(2, "bytes follow its end")),
        (b"N\xff.", malformed(1, "no such opcode")),
        (b"\x80\x06N.", unsupported(0, "a protocol later than 5")),
        (b"I5\n.", unsupported(0, "an opcode of protocol 0 or 1")),
        (b"\x80\x05\x97.", unsupported(2, "a buffer outside of it")),
        (b"NQ.", unsupported(1, "a reference to an object outside of it")),
        (b"\x82\x01.", unsupported(0, "a number of copyreg's extension registry")),
        (b"\x80\x04\x95\x02\0\0\0\0\0\0\0.", truncated(12)),
        (b"\x8e\xff\xff\xff\xff\xff\xff\xff\xff", truncated(9)),
        (b"\x8b\xff\xff\xff\xff.", malformed(0, "a negative length")),
        (b"\x8b\xff\xff\xff\x7f.", truncated(6)),
        (b"\x8c\x01\xff.", malformed(0, "a text is not UTF-8")),
        (b"U\x01\xe9.", unsupported(0, "a str of Python 2 that is not ASCII")),
        (b"h\x05.", malformed(0, "nothing has this number")),
        (b"\x94.", malformed(0, "the stack is empty")),
        (b"t.", malformed(0, "no mark")),
        (b"N(\x85.", malformed(2, "the stack is empty")),
        (b"NNa.", malformed(2, "it appends to an object that is not a list")),
        (b"](K\x01u.", malformed(4, "a key has no value")),
        (b"](K\x01K\x02u.", malformed(6, "it sets entries of an object that is not a dict")),
        (b"](K\x01\x90.", malformed(4, "it adds to an object that is not a set")),
        (b"K\x01)R.", malformed(3, "it calls an object that cannot be called")),
        (b"cm\nf\nK\x01R.", malformed(7, "arguments are not a tuple or dict")),
        (b"K\x01K\x02\x93.", malformed(4, "a name is not text")),
        (b"cm\nf", truncated(4)),
        (b"cm\n\xed\xb2\x80\n.", malformed(0, "a name has surrogates")),
        (b"]Nb.", malformed(2, "it sets the state of a value that is not an object")),
        (b"cm\nf\n)RNbNb.", unsupported(10, "a second state of an object")),
        (b"Ncm\nf\n)R0.", unsupported(8, "a call for its effect")),
    ] {
        assert_eq!(loads(pickle), Err(error), "{}", pickle.escape_ascii());
    }
}

#[test]
fn a_pickle_may_begin_and_end_as_it_likes_in_between() {
    // Without its protocol; with a mark that is taken back; with a value taken back; with a copy of the top.
    for (pickle, value) in [
        (&b"K\x05."[..], Value::from(5)),
        (b"K\x05(1.", 5.into()),
        (b"K\x05(0.", 5.into()),
        (b"K\x05N0.", 5.into()),
        (b"K\x052\x86.", Value::tuple([5.into(), 5.into()])),
        (b"U\x01aT\x01\0\0\0b\x86.", Value::tuple(["a".into(), "b".into()])),
        (b"K\x05r\xff\xff\xff\xff0j\xff\xff\xff\xff.", 5.into()),
    ] {
        assert_eq!(loads(pickle), Ok(value), "{}", pickle.escape_ascii());
    }
}
