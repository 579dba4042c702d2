//! Objects to and from every CPython of this machine, by its own `conn.send` and `conn.recv`; and values made at
//! random, here alone and through CPython. Mirrors `test_pickle.py`'s round trips across processes of two kinds.

use mp_core::sys::socket::stream_pair;
use mp_pipe::pickle::{BigInt, Global, Object, Value, dumps, loads};
use mp_pipe::{Connection, RecvError};
use mp_testing::{Python, pythons};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::process::{Child, Stdio};
use std::sync::Arc;

mp_testing::cases! {
    plain: [
        what_is_written_is_read_again,
        every_object_crosses_both_ways,
        large_objects_cross_both_ways,
        a_list_of_16_mib_crosses_both_ways,
        what_is_not_known_here_comes_back_as_it_was,
        exceptions_made_here_are_exceptions_there,
        what_is_shared_is_shared_at_the_other_end,
        values_made_at_random_come_back,
        nothing_that_a_pickle_names_is_called,
    ]
}

/// What it has to talk with.
const OLDEST: (u32, u32) = (3, 8);

/// Answers each task with one object.
const PEER: &str = r#"
import collections, datetime, decimal, enum, functools, os, pickle, struct
from multiprocessing.connection import Connection

class Color(enum.Enum):
    RED = 1
class Plain:
    def __init__(self, **attributes): self.__dict__.update(attributes)
    def __eq__(self, other): return type(self) is type(other) and self.__dict__ == other.__dict__
class Slots(Plain):
    __slots__ = ('x',)
    def __eq__(self, other): return self.x == other.x
def slots(x):
    made = Slots(); made.x = x
    return made
class Keyword(Plain):
    def __new__(cls, *, k): made = super().__new__(cls); made.k = k; return made
    def __init__(self, *, k): pass
    def __getnewargs_ex__(self): return (), {'k': self.k}
class Numbers(list): pass
class Harm:
    def __init__(self, path): self.path = path
    def __reduce__(self): return os.mkdir, (self.path,)

def same(a, b):
    if type(a) is not type(b): return False
    if isinstance(a, float): return struct.pack('d', a) == struct.pack('d', b)
    if isinstance(a, (list, tuple)): return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict): return same(list(a.items()), list(b.items()))
    if isinstance(a, BaseException): return same(a.args, b.args) and same(a.__dict__, b.__dict__)
    if isinstance(a, functools.partial): return same((a.func, a.args, a.keywords), (b.func, b.args, b.keywords))
    return a == b

conn = Connection(0)
while True:
    try: task, detail, *rest = conn.recv()
    except EOFError: break
    if task == 'is': conn.send(same(eval(detail), rest[0]))
    if task == 'does': conn.send(eval(detail, globals(), {'x': rest[0]}))
    if task == 'give': conn.send_bytes(pickle.dumps(eval(detail), rest[0])) if rest else conn.send(eval(detail))
    if task == 'echo': conn.send_bytes(pickle.dumps(detail, rest[0]))
"#;

struct Peer {
    connection: Connection,
    process: Child,
    version: (u32, u32, u32),
}

impl Peer {
    fn of(python: &Python) -> Peer {
        let (here, there) = stream_pair().unwrap();
        let process = python.script(PEER).stdin(Stdio::from(there)).spawn().unwrap();
        Peer { connection: Connection::from_fd(here), process, version: python.version }
    }

    fn ask(&self, task: &[Value]) -> Value {
        self.connection.send_pickle(&Value::Tuple(task.into())).unwrap();
        self.connection.recv_pickle().unwrap_or_else(|error| panic!("{:?}, {task:?}: {error}", self.version))
    }

    /// What an expression is, by every protocol and by Python's own choice of one.
    fn gives(&self, expression: &str) -> Vec<Value> {
        let by = |protocol: Option<u32>| {
            let task = ["give".into(), expression.into()];
            self.ask(&task.into_iter().chain(protocol.map(Value::from)).collect::<Vec<_>>())
        };
        [Some(2), Some(3), Some(4), Some(5), None].map(by).to_vec()
    }

    /// Whether it is what the expression is over there.
    #[track_caller]
    fn finds(&self, value: &Value, expression: &str) {
        let answer = self.ask(&["is".into(), expression.into(), value.clone()]);
        assert_eq!(answer, Value::Bool(true), "{:?}: {expression} as {value:?}", self.version);
    }

    fn done(mut self) {
        self.connection.close();
        assert!(self.process.wait().unwrap().success(), "{:?}", self.version);
    }
}

fn every_python(test: impl Fn(&Peer)) {
    for python in pythons(OLDEST) {
        let peer = Peer::of(&python);
        test(&peer);
        peer.done();
    }
}

/// Whether two values are the same to Python: floats by their bits, sets in any order.
fn same(one: &Value, two: &Value) -> bool {
    let each = |one: &[Value], two: &[Value]| {
        one.len() == two.len() && one.iter().zip(two).all(|(one, two)| same(one, two))
    };
    match (one, two) {
        (Value::Float(one), Value::Float(two)) => one.to_bits() == two.to_bits(),
        (Value::List(one), Value::List(two)) | (Value::Tuple(one), Value::Tuple(two)) => each(one, two),
        (Value::Dict(one), Value::Dict(two)) => {
            one.len() == two.len()
                && one.iter().zip(&**two).all(|(one, two)| same(&one.0, &two.0) && same(&one.1, &two.1))
        }
        (Value::Set(one), Value::Set(two)) | (Value::FrozenSet(one), Value::FrozenSet(two)) => {
            one.len() == two.len() && one.iter().all(|one| two.iter().any(|two| same(one, two)))
        }
        (Value::Object(one), Value::Object(two)) => {
            // No other parts are made at random.
            one.callable == two.callable && one.made == two.made && each(&one.args, &two.args)
        }
        _ => one == two,
    }
}

fn every_object_crosses_both_ways() {
    let objects: &[(&str, Value)] = &[
        ("None", Value::None),
        ("[True, False]", Value::list([true.into(), false.into()])),
        ("[0, 255, 256, 65535, 65536, -1]", Value::list([0, 255, 256, 65535, 65536, -1].map(Value::from))),
        ("[2**31 - 1, 2**31, -2**31, -2**31 - 1]", {
            Value::list([(1_i64 << 31) - 1, 1 << 31, -(1 << 31), -(1 << 31) - 1].map(Value::from))
        }),
        ("[2**63 - 1, -2**63]", Value::list([i64::MAX.into(), i64::MIN.into()])),
        ("[2**63, -2**63 - 1]", Value::list([(1_u64 << 63).into(), (i128::from(i64::MIN) - 1).into()])),
        ("[7**5000, -7**5000]", {
            Value::list([BigInt::from(7).pow(5000).into(), (-BigInt::from(7).pow(5000)).into()])
        }),
        ("[0.0, -0.0, 1.5, 5e-324]", Value::list([0.0, -0.0, 1.5, 5e-324].map(Value::from))),
        ("[float('inf'), -float('inf')]", {
            Value::list([f64::INFINITY, f64::NEG_INFINITY].map(Value::from))
        }),
        ("['', 'grün', '🦀', '\\0', 'x' * 300]", {
            Value::list(["", "grün", "🦀", "\0", &"x".repeat(300)].map(Value::from))
        }),
        ("['\\udc80', os.fsdecode(b'a\\xff')]", {
            let texts = [&b"\xed\xb2\x80"[..], b"a\xed\xb3\xbf"];
            Value::list(texts.map(|bytes| Value::Surrogates(bytes.into())))
        }),
        ("[b'', b'\\0\\xff', b'y' * 300]", {
            Value::list([&b""[..], b"\0\xff", &[b'y'; 300]].map(Value::bytes))
        }),
        ("[bytearray(), bytearray(b'\\0\\xff')]", {
            Value::list([&b""[..], b"\0\xff"].map(|bytes| Value::ByteArray(bytes.into())))
        }),
        ("[[], [[]], (), ((),), (1, 2), (1, 2, 3), (1, 2, 3, 4)]", {
            let upto = |n: i32| Value::tuple((1..=n).map(Value::from));
            let lists = [Value::list([]), Value::list([Value::list([])])];
            Value::list(lists.into_iter().chain([
                upto(0),
                Value::tuple([upto(0)]),
                upto(2),
                upto(3),
                upto(4),
            ]))
        }),
        ("[{}, {'a': {2: None}, (1, b'k'): 3}]", {
            let key = Value::tuple([1.into(), Value::bytes(b"k")]);
            let dict = [("a".into(), Value::dict([(2, Value::None)])), (key, 3.into())];
            Value::list([Value::Dict([].into()), Value::Dict(dict.into())])
        }),
        ("[set(), {7}, frozenset(), frozenset(['f'])]", {
            let frozen = [Value::frozenset([]), Value::frozenset(["f".into()])];
            Value::list([Value::set([]), Value::set([7.into()])].into_iter().chain(frozen))
        }),
        ("list(range(2501))", Value::list((0..2501).map(Value::from))),
        ("{n: str(n) for n in range(2501)}", {
            Value::dict((0..2501).map(|n| (n, Value::from(n.to_string()))))
        }),
        ("set(range(2501))", Value::set((0..2501).map(Value::from))),
        ("functools.reduce(lambda inside, _: [inside], range(100), [])", {
            (0..100).fold(Value::list([]), |inside, _| Value::list([inside]))
        }),
        ("datetime.date", Global::new("datetime", "date").into()),
    ];
    every_python(|peer| {
        for (expression, value) in objects {
            for given in peer.gives(expression) {
                assert!(same(&given, value), "{:?}: {expression} came as {given:?}", peer.version);
            }
            peer.finds(value, expression);
        }
    });
}

fn large_objects_cross_both_ways() {
    const MIB: usize = 1 << 20;
    let objects = [
        ("b'x' * 70_000", Value::bytes(&[b'x'; 70_000])),
        ("'ü' * 35_000", "ü".repeat(35_000).into()),
        ("list(range(25_000))", Value::list((0..25_000).map(Value::from))),
        ("b'x' * (16 << 20)", Value::bytes(&vec![b'x'; 16 * MIB])),
        ("'x' * (16 << 20)", "x".repeat(16 * MIB).into()),
        ("[n / 8 for n in range(100_000)]", {
            Value::list((0..100_000).map(|n| Value::from(f64::from(n) / 8.0)))
        }),
        ("1 << (8 << 20)", (BigInt::from(1) << (8 * MIB)).into()),
    ];
    every_python(|peer| objects.iter().for_each(|(expression, value)| crosses(peer, expression, value)));
}

fn a_list_of_16_mib_crosses_both_ways() {
    let count = (16 << 20) / 9;
    let value = Value::list((0..count).map(|n| Value::from(f64::from(n) / 8.0)));
    let peer = Peer::of(pythons(OLDEST).last().unwrap());
    crosses(&peer, &format!("[n / 8 for n in range({count})]"), &value);
    peer.done();
}

/// As [`Peer::finds`], without printing it.
fn crosses(peer: &Peer, expression: &str, value: &Value) {
    let given = peer.ask(&["give".into(), expression.into()]);
    assert!(same(&given, value), "{:?}: {expression}", peer.version);
    let found = peer.ask(&["is".into(), expression.into(), value.clone()]);
    assert_eq!(found, Value::Bool(true), "{:?}: {expression}", peer.version);
}

fn what_is_not_known_here_comes_back_as_it_was() {
    let expressions = [
        ("datetime.date(2026, 11, 21)", "datetime.date"),
        ("datetime.datetime(2026, 1, 2, tzinfo=datetime.timezone.utc)", "datetime.datetime"),
        ("decimal.Decimal('1.10')", "decimal.Decimal"),
        ("3 - 4j", "builtins.complex"),
        ("range(2, 30, 4)", "builtins.range"),
        ("collections.OrderedDict(b=1, a=2)", "collections.OrderedDict"),
        ("collections.defaultdict(list, k=[1])", "collections.defaultdict"),
        ("collections.deque([1, [2]], 9)", "collections.deque"),
        ("KeyError('missing')", "builtins.KeyError"),
        ("Plain(a=[1], b={2})", "__main__.Plain"),
        ("slots(5)", "__main__.Slots"),
        ("Numbers([1, 2, 3])", "__main__.Numbers"),
    ];
    every_python(|peer| {
        for (expression, class) in expressions {
            for given in peer.gives(expression) {
                let name = given.class().map(ToString::to_string);
                assert_eq!(name.as_deref(), Some(class), "{:?}: {given:?}", peer.version);
                peer.finds(&given, expression);
            }
        }
        // By whatever they are made: the first by functools.partial before protocol 4, the second by a function of
        // multiprocessing where it is sent and not only pickled, the third by getattr in Python 3.11.
        for expression in ["Keyword(k=[5])", "functools.partial(int, '7', base=8)", "Color.RED"] {
            peer.gives(expression).iter().for_each(|given| peer.finds(given, expression));
        }
    });
}

fn exceptions_made_here_are_exceptions_there() {
    every_python(|peer| {
        let missing = Object::call("builtins", "KeyError", ["missing".into()]);
        peer.finds(&missing.into(), "KeyError('missing')");
        let mut noted = Object::call("builtins", "ValueError", [1.into(), 2.into()]);
        noted.state = Some(Value::dict([("hint", "later".into())]));
        let does = "isinstance(x, ValueError) and (x.args, x.hint) == ((1, 2), 'later')";
        assert_eq!(peer.ask(&["does".into(), does.into(), noted.into()]), Value::Bool(true));
        let plain = Object::with_state("__main__", "Plain", Value::dict([("a", 1.into())]));
        peer.finds(&plain.into(), "Plain(a=1)");
    });
}

fn what_is_shared_is_shared_at_the_other_end() {
    every_python(|peer| {
        let one = Value::list([1.into()]);
        let twice = Value::list([one.clone(), one, Value::list([1.into()])]);
        let does = "[x[0] is x[1], x[0] is x[2]]";
        let answer = Value::list([true.into(), false.into()]);
        assert_eq!(peer.ask(&["does".into(), does.into(), twice]), answer);
        let empty = Value::list([]);
        let twice = Value::list([empty.clone(), empty, Value::list([])]);
        assert_eq!(peer.ask(&["does".into(), does.into(), twice]), answer);
        for given in
            ["(lambda l: [l, l, [9]])([9])", "(lambda l: [l, l, []])([])"].map(|given| peer.gives(given))
        {
            for given in given {
                let Some([Value::List(one), Value::List(two), Value::List(other)]) = given.items() else {
                    panic!("{given:?}")
                };
                assert!(Arc::ptr_eq(one, two) && !Arc::ptr_eq(one, other));
                // And through us, back again.
                assert_eq!(peer.ask(&["does".into(), does.into(), given.clone()]), answer);
            }
        }
    });
}

fn nothing_that_a_pickle_names_is_called() {
    let folder = std::env::temp_dir().join(format!("mp-pipe-harm-{}", std::process::id()));
    every_python(|peer| {
        let harm = Value::from(folder.to_str().unwrap());
        let expression = format!("Harm({:?})", folder.to_str().unwrap());
        for given in peer.gives(&expression) {
            let Value::Object(object) = &given else { panic!("{given:?}") };
            assert_eq!(*object.args, *std::slice::from_ref(&harm));
        }
        assert!(!folder.exists());
        // The same bytes, read by Python, do it.
        let does = "pickle.loads(pickle.dumps(Harm(x))) or os.path.isdir(x) and not os.rmdir(x)";
        assert_eq!(peer.ask(&["does".into(), does.into(), harm]), Value::Bool(true));
        assert!(matches!(peer.connection.try_recv_pickle(), Err(RecvError::Empty)));
    });
}

fn surrogates() -> impl Strategy<Value = Value> {
    let one = (0xa0..=0xbf_u8, 0x80..=0xbf_u8, "[a-zü]{0,3}");
    prop::collection::vec(one, 1..4).prop_map(|parts| {
        let bytes = parts
            .iter()
            .flat_map(|(second, third, text)| [&[0xed, *second, *third], text.as_bytes()].concat());
        Value::Surrogates(bytes.collect())
    })
}

/// What can be a key; no two are equal to Python that are not equal here.
fn key() -> impl Strategy<Value = Value> {
    let simple = prop_oneof![
        any::<i64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        prop::collection::vec(any::<u8>(), 0..300).prop_map(Value::from),
        surrogates(),
    ];
    simple.prop_recursive(2, 6, 3, |inner| prop::collection::vec(inner, 0..4).prop_map(Value::tuple))
}

fn keys() -> impl Strategy<Value = Vec<Value>> {
    prop::collection::vec(key(), 0..6).prop_map(|keys| {
        let mut distinct: Vec<Value> = Vec::new();
        for key in keys {
            if !distinct.contains(&key) {
                distinct.push(key);
            }
        }
        distinct
    })
}

fn value() -> impl Strategy<Value = Value> {
    let simple = prop_oneof![
        Just(Value::None),
        any::<bool>().prop_map(Value::from),
        (any::<i64>(), 0..64_u32).prop_map(|(int, shift)| Value::from(int >> shift)),
        prop::collection::vec(any::<u8>(), 0..300)
            .prop_map(|bytes| BigInt::from_signed_bytes_le(&bytes).into()),
        prop::num::f64::ANY.prop_map(Value::from),
        prop::collection::vec(any::<u8>(), 0..300).prop_map(|bytes| Value::ByteArray(bytes.into())),
        key(),
    ];
    simple.prop_recursive(4, 64, 8, |inner| {
        let some = || prop::collection::vec(inner.clone(), 0..8);
        prop_oneof![
            some().prop_map(Value::list),
            some().prop_map(Value::tuple),
            (keys(), some()).prop_map(|(keys, values)| Value::dict(keys.into_iter().zip(values))),
            keys().prop_map(Value::set),
            keys().prop_map(Value::frozenset),
            inner.clone().prop_map(|value| Value::list([value.clone(), value])),
            some().prop_map(|args| Object::call("builtins", "KeyError", args).into()),
        ]
    })
}

fn runner(cases: u32) -> TestRunner {
    TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() })
}

fn what_is_written_is_read_again() {
    let property = |value: Value| {
        let pickle = dumps(&value).unwrap();
        let again = loads(&pickle).unwrap();
        prop_assert!(same(&value, &again), "{:?}", again);
        // A value does not grow by being read and written.
        prop_assert!(dumps(&again).unwrap().len() <= pickle.len());
        Ok(())
    };
    runner(500).run(&value(), property).unwrap_or_else(|error| panic!("{error}"));
}

fn values_made_at_random_come_back() {
    every_python(|peer| {
        let property = |(value, protocol): (Value, u32)| {
            let again = peer.ask(&["echo".into(), value.clone(), protocol.into()]);
            prop_assert!(same(&value, &again), "{:?}: {:?}", peer.version, again);
            Ok(())
        };
        runner(60).run(&(value(), 2..=5_u32), property).unwrap_or_else(|error| panic!("{error}"));
    });
}
