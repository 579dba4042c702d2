//! Objects in pickles as values: their parts, what they share, their way over a connection. Mirrors what
//! `pickletester.py` has of data, and has no code to run. The bytes, protocol by protocol: pickle_vectors.rs; what is
//! refused: pickle_bad.rs; with CPython itself: pickle_python.rs.

use mp_pipe::pickle::{BigInt, Global, Made, Object, PickleError, Value, dumps, loads};
use mp_pipe::{RecvError, SendError, pipe};
use mp_testing::unhex;
use std::sync::Arc;
use std::time::Duration;

fn read(hex: &str) -> Value {
    loads(&unhex(hex)).unwrap_or_else(|error| panic!("{error}: {hex}"))
}

#[test]
fn floats_keep_every_bit() {
    for bits in [0x7ff8_0000_0000_0001, 0xfff0_0000_0000_0001, 1, f64::MAX.to_bits(), (-0.0_f64).to_bits()] {
        let pickle = dumps(&f64::from_bits(bits).into()).unwrap();
        assert_eq!(loads(&pickle).unwrap().as_float().map(f64::to_bits), Some(bits));
    }
}

#[test]
fn ints_of_any_size_come_through() {
    for bytes in [9, 254, 255, 256, 257, 70_000] {
        let big: BigInt = (BigInt::from(1) << (8 * bytes - 2)) + 5;
        for int in [big.clone(), -big] {
            let value = Value::from(int.clone());
            assert_eq!(loads(&dumps(&value).unwrap()).unwrap().to_bigint(), Some(int));
        }
    }
    // Not the shortest form, and nothing at all.
    assert_eq!(read("80048a0c0100000000000000000000002e"), 1.into());
    assert_eq!(read("80048a0affffffffffffffffffff2e"), (-1).into());
    assert_eq!(read("80048a002e"), 0.into());
    assert_eq!(read("80048b020000000080 2e"), (-32768).into());
}

#[test]
fn an_unknown_class_is_its_name_and_what_it_is_made_of() {
    // datetime.date(2026, 11, 21), in protocols 2, 3, 4
    for hex in [
        "8002636461746574696d650a646174650a7100635f636f646563730a656e636f64650a7101580500000007c3aa0b15710258060000\
         006c6174696e3171038671045271058571065271072e",
        "8003636461746574696d650a646174650a7100430407ea0b1571018571025271032e",
        "80049520000000000000008c086461746574696d65948c0464617465949394430407ea0b1594859452942e",
    ] {
        let date = read(hex);
        assert_eq!(date.class(), Some(&Global::new("datetime", "date")));
        assert_eq!(date, Object::call("datetime", "date", [Value::bytes(b"\x07\xea\x0b\x15")]).into());
        assert_eq!(loads(&dumps(&date).unwrap()), Ok(date));
    }
    // KeyError('missing') of protocol 2, whose module has another name in Python 2
    let hex = "800263657863657074696f6e730a4b65794572726f720a710058070000006d697373696e6771018571025271032e";
    assert_eq!(read(hex), Object::call("builtins", "KeyError", ["missing".into()]).into());
    // In protocol 3 it is a module of the user's.
    let Value::Object(own) = read(&hex.replacen("8002", "8003", 1)) else { panic!("no object") };
    assert_eq!(own.callable, Global::new("exceptions", "KeyError").into());
}

#[test]
fn an_object_has_its_items_entries_state_and_keywords() {
    // collections.OrderedDict(a=1), collections.deque([1, 2], 9)
    let Value::Object(dict) = read(
        "80049529000000000000008c0b636f6c6c656374696f6e73948c0b4f726465726564446963749493942952948c0161944b01732e",
    ) else {
        panic!("no object")
    };
    assert_eq!((&dict.made, &dict.entries[..]), (&Made::ByCall, &[("a".into(), 1.into())][..]));
    let Value::Object(deque) =
        read("800363636f6c6c656374696f6e730a64657175650a7100294b09867101527102284b014b02652e")
    else {
        panic!("no object")
    };
    assert_eq!(
        (&deque.args[..], &deque.items[..]),
        (&[Value::tuple([]), 9.into()][..], &[1.into(), 2.into()][..])
    );
    // multiprocessing.managers.Token('dict', 'addr', '7f')
    let token = read(
        "8003636d756c746970726f63657373696e672e6d616e61676572730a546f6b656e0a710029817101580400000064696374710258040000\
         0061646472710358020000003766710487710562 2e",
    );
    let state = Value::tuple(["dict".into(), "addr".into(), "7f".into()]);
    assert_eq!(token, Object::with_state("multiprocessing.managers", "Token", state).into());
    // C.__new__(C, 1, k=2), by NEWOBJ_EX
    let by_keyword = loads(b"\x80\x04\x8c\x01m\x8c\x01C\x93K\x01\x85}\x8c\x01kK\x02s\x92.").unwrap();
    let Value::Object(object) = &by_keyword else { panic!("no object") };
    assert_eq!(object.made, Made::ByNew { kwargs: [("k".into(), 2.into())].into() });
    for value in [Value::Object(dict), Value::Object(deque), token, by_keyword] {
        assert_eq!(loads(&dumps(&value).unwrap()), Ok(value));
    }
}

#[test]
fn what_a_manager_says_is_read() {
    let request = Value::tuple([Value::None, "dummy".into(), Value::tuple([]), Value::dict::<&str>([])]);
    assert_eq!(read("8003284e580500000064756d6d797100297d71017471022e"), request);
    assert_eq!(read("8004951000000000000000284e8c0564756d6d7994297d9474942e"), request);
    let error = |object: Object| Value::tuple(["#ERROR".into(), object.into()]);
    assert_eq!(
        loads(
            b"\x80\x03X\x06\0\0\0#ERRORq\0cbuiltins\nKeyError\nq\x01X\x07\0\0\0missingq\x02\x85q\x03Rq\x04\x86q\x05."
        ),
        Ok(error(Object::call("builtins", "KeyError", ["missing".into()])))
    );
    assert_eq!(
        loads(b"\x80\x03X\x06\0\0\0#ERRORq\0cbuiltins\nStopIteration\nq\x01)Rq\x02\x86q\x03."),
        Ok(error(Object::call("builtins", "StopIteration", [])))
    );
}

#[test]
fn a_value_can_go_to_another_thread() {
    let value = Value::list([Object::call("m", "f", [1.5.into()]).into()]);
    let there = value.clone();
    let pickle = std::thread::spawn(move || dumps(&there).unwrap()).join().unwrap();
    assert_eq!(loads(&pickle), Ok(value));
}

#[test]
fn a_call_that_would_do_harm_is_data() {
    let value = loads(b"\x80\x02cos\nsystem\nX\x09\0\0\0touch /xx\x85R.").unwrap();
    assert_eq!(value, Object::call("os", "system", ["touch /xx".into()]).into());
    // set() of what has no elements is a call like any other, as is a codec that is not known.
    let text = loads(b"\x80\x03cbuiltins\nset\nX\x02\0\0\0ab\x85R.").unwrap();
    assert_eq!(text, Object::call("builtins", "set", ["ab".into()]).into());
    let other = loads(b"\x80\x02c_codecs\nencode\nX\x01\0\0\0aX\x03\0\0\0hex\x86R.").unwrap();
    assert_eq!(other.class().unwrap().to_string(), "_codecs.encode");
}

#[test]
fn what_is_shared_stays_shared() {
    // x = ['y']; [x, x, {'k': x}]
    let value = loads(b"\x80\x04](]\x94\x8c\x01yah\0}\x8c\x01kh\0se.").unwrap();
    let [Value::List(one), Value::List(two), dict] = value.items().unwrap() else { panic!("{value:?}") };
    assert!(Arc::ptr_eq(one, two));
    let Some(Value::List(three)) = dict.get("k") else { panic!("{dict:?}") };
    assert!(Arc::ptr_eq(one, three));
    // Written once, whatever it is; and read as one again.
    let long = Value::from("long ".repeat(1000));
    let object: Value = Object::call("m", "f", [long.clone()]).into();
    let int = Value::from(BigInt::from(1) << 40_000);
    for part in [long.clone(), int, Value::bytes(&[7; 5000]), Value::list([long.clone()]), object] {
        let pickle = dumps(&Value::tuple((0..300).map(|_| part.clone()))).unwrap();
        assert!(pickle.len() < 7000, "{} bytes", pickle.len());
        assert!(dumps(&loads(&pickle).unwrap()).unwrap().len() <= pickle.len());
    }
}

#[test]
fn more_shared_parts_than_a_byte_can_number() {
    let texts: Vec<Value> = (0..1000).map(|number: i32| Value::from(number.to_string())).collect();
    let twice = Value::list(texts.iter().chain(&texts).cloned());
    let pickle = dumps(&twice).unwrap();
    assert_eq!(loads(&pickle), Ok(twice));
}

#[test]
fn what_is_shared_and_empty_stays_shared() {
    let empty =
        [Value::list([]), Value::set([]), Value::dict::<&str>([]), Value::ByteArray(Vec::new().into())];
    let pickles = [
        &b"\x80\x04]\x94h\0\x86."[..],
        b"\x80\x04\x8f\x94h\0\x86.",
        b"\x80\x04}\x94h\0\x86.",
        b"\x80\x04\x8c\x08builtins\x8c\x09bytearray\x93)R\x94h\0\x86.",
    ];
    for (empty, pickle) in empty.into_iter().zip(pickles) {
        assert_eq!(dumps(&Value::tuple([empty.clone(), empty])).unwrap(), pickle);
        // Through us, and back again.
        assert_eq!(dumps(&loads(pickle).unwrap()).unwrap(), pickle);
    }
    let apart = Value::tuple([Value::list([]), Value::list([])]);
    assert_eq!(dumps(&apart).unwrap(), b"\x80\x04]]\x86.");
}

#[test]
fn empty_lists_do_not_become_one() {
    let empty = Value::List(Arc::default());
    assert_eq!(dumps(&Value::tuple([empty.clone(), empty])).unwrap(), b"\x80\x04]]\x86.");
}

#[test]
fn a_connection_carries_objects_and_survives_a_bad_one() {
    let (here, there) = pipe::<Vec<u8>, Vec<u8>>().unwrap();
    assert!(matches!(there.try_recv_pickle(), Err(RecvError::Empty)));
    assert!(matches!(there.recv_pickle_timeout(Duration::ZERO), Err(RecvError::Timeout)));
    here.send_bytes(b"\x80\x04](").unwrap();
    let unhashable = Value::set([Value::list([])]);
    assert!(matches!(here.send_pickle(&unhashable), Err(SendError::Pickling(_))));
    let object = Value::dict([("n", Value::list([1.into(), 2.5.into()]))]);
    here.send_pickle(&object).unwrap();
    here.send_pickle(&object).unwrap();
    assert!(matches!(there.recv_pickle(), Err(RecvError::Unpickling(PickleError::Truncated { .. }))));
    assert_eq!(there.try_recv_pickle().unwrap(), object);
    assert_eq!(there.recv_pickle_timeout(Duration::from_secs(60)).unwrap(), object);
    here.close();
    assert!(matches!(there.recv_pickle(), Err(RecvError::Closed)));
}
