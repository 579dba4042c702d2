//! Python programs, of every CPython of this machine, as clients of our server: with `SyncManager`'s own proxies.
//! Ignored, for that reason, where there is no CPython.

use mp_core::process::AuthKey;
use mp_manager::Manager;
use mp_pipe::Address;
use mp_shm::SharedMemory;
use mp_testing::{Python, pythons};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command};

mp_testing::cases! {
    plain: [
        containers_behave_as_pythons_own,
        waiting_objects_behave_as_pythons_own,
        errors_arrive_as_pythons_exceptions,
        values_of_every_kind_come_back,
        nested_proxies_keep_their_objects,
        references_come_back_to_nothing,
        what_a_killed_program_held_is_given_back,
        what_was_published_is_found_by_its_name,
        named_memory_ends_with_the_manager,
    ]
}

const KEY: &[u8] = b"a key for this test alone";

/// What each script begins with.
const PRELUDE: &str = r#"
import multiprocessing, os, queue, sys, threading, time
from multiprocessing.managers import BaseManager, SyncManager, RemoteError
kind, where = sys.argv[1:3]
address = where if kind == 'path' else (where.rsplit(':', 1)[0], int(where.rsplit(':', 1)[1]))
m = SyncManager(address, authkey=b'a key for this test alone')
m.connect()
multiprocessing.current_process().authkey = b'a key for this test alone'
def raises(error, call, *args, **kwds):
    try:
        call(*args, **kwds)
    except error as e:
        return e
    raise AssertionError('no %r' % error)
def eq(a, b):
    assert type(a) is type(b) and a == b, (a, b)
"#;

fn path(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("mp-manager-{name}-{}", std::process::id()))
}

fn started(address: impl Into<Address>) -> Manager {
    let key = AuthKey::new(KEY);
    let native = format!("\0mp-manager-native-{}", std::process::id());
    Manager::builder().address(&*native).python_address(address).authkey(key).start().unwrap()
}

fn command(python: &Python, manager: &Manager, script: &str) -> Command {
    let mut command = python.script(&format!("{PRELUDE}{script}"));
    match manager.python_address().unwrap() {
        Address::Path(path) => command.args(["path", path.to_str().unwrap()]),
        address => command.args(["tcp", &address.to_string()]),
    };
    command
}

fn ends_well(python: &Python, child: Child) {
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{python:?}: {output:?}");
}

/// A local socket for every CPython, and TCP for the newest one.
fn places(name: &str) -> Vec<(Address, Python)> {
    let pythons = pythons((3, 8));
    let newest = pythons.last().cloned();
    let local = pythons.into_iter().map(|python| (Address::from(path(name)), python));
    local.chain(newest.map(|python| (Address::loopback(), python))).collect()
}

/// Runs a script at each of these places. It leaves no object.
fn everywhere(name: &str, script: &str) {
    for (address, python) in places(name) {
        let manager = started(address);
        ends_well(&python, command(&python, &manager, script).spawn().unwrap());
        assert_eq!(manager.number_of_objects().unwrap(), 0, "{python:?}");
    }
}

fn containers_behave_as_pythons_own() {
    everywhere(
        "containers",
        r#"
a, b = m.list(range(10)), m.list()
eq(a[:], list(range(10))); eq(a[2], 2); eq(a[-1], 9); eq(a[1:20:3], [1, 4, 7]); eq(a[::-1], list(range(9, -1, -1)))
eq(list(a), list(range(10))); eq(len(a), 10); eq(3 in a, True); eq(3.0 in a, True); eq('3' in a, False)
b.extend([3, 1.5, 2]); b += [True]; b.sort(); eq(b[:], [True, 1.5, 2, 3]); b.sort(reverse=True)
eq(b[:], [3, 2, 1.5, True]); b.reverse(); b.insert(1, 'x'); b.remove('x'); eq(b.pop(), 3); eq(b.pop(0), True)
b *= 2; eq(b[:], [1.5, 2, 1.5, 2]); eq(b + [1], [1.5, 2, 1.5, 2, 1]); eq(b * 2, [1.5, 2] * 4)
b[1:3] = [7, 8, 9]; eq(b[:], [1.5, 7, 8, 9, 2]); b[::2] = ['a', 'b', 'c']; del b[1]; del b[1:3]
eq(b[:], ['a', 'c']); eq(b.index('c'), 1); eq(b.count('a'), 1); eq(list(reversed(b)), ['c', 'a'])
eq(str(b), "['a', 'c']"); b[0] = [b'\x00"', None, 1e100, (1,), {2: {3}}, -0.0]
eq(str(b), str(b._getvalue()))

d = m.dict({'x': 1}, y=2)
d[1] = 'one'; d[True] = 'uno'; d[1.0] += '!'
eq(d.copy(), {'x': 1, 'y': 2, 1: 'uno!'}); eq(d.keys(), ['x', 'y', 1]); eq(d.items()[-1], (1, 'uno!'))
eq(type(d.keys()[-1]), int); eq(d.get('z'), None); eq(d.get('z', 5), 5); eq(d.setdefault('x', 9), 1)
eq(d.setdefault('w', 9), 9); eq(d.pop('w'), 9); eq(d.pop('w', 0), 0); d.update([('p', 1)], q=2)
eq(d.popitem(), ('q', 2)); eq(list(d), ['x', 'y', 1, 'p']); eq('x' in d, True); del d['x']; eq(len(d), 3)
eq(d.values(), [2, 'uno!', 1]); d[(1, frozenset({2.0}))] = 'deep'; eq(d[(True, frozenset({2}))], 'deep')
it = iter(d); next(it); d.clear(); raises(RuntimeError, next, it); eq(str(d), '{}')
for n in range(1000): d[n] = n
for n in range(0, 1000, 2): del d[n]
eq(d.keys(), list(range(1, 1000, 2)))

n = m.Namespace(name='Bob'); n.job = 'Builder'; n._hidden = 1
eq((n.name, n.job), ('Bob', 'Builder')); del n.job; eq(hasattr(n, 'job'), False); eq(str(n), "Namespace(name='Bob')")
v = m.Value('i', 10); v.value += 1; eq(v.get(), 11); eq(str(v), "Value('i', 11)")
r = m.Array('i', range(5)); r[0] = -1; eq(list(r), [-1, 1, 2, 3, 4]); eq(len(r), 5); eq(r[1:3].tolist(), [1, 2])
eq(r._getvalue().tolist(), [-1, 1, 2, 3, 4]); eq(str(r), "array('i', [-1, 1, 2, 3, 4])")
raises(OverflowError, r.__setitem__, 0, 1 << 40); raises(TypeError, r.__setitem__, 0, 'x')
eq(m.Array('d', [1, 2.5])[:].tolist(), [1.0, 2.5])
"#,
    );
}

fn waiting_objects_behave_as_pythons_own() {
    everywhere(
        "waiting",
        r#"
def later(call, *args):
    done = queue.Queue()
    t = threading.Thread(target=lambda: done.put(call(*args)), daemon=True); t.start()
    return lambda: (done.get(), t.join())[0]
def blocks(object, method, n=1):
    while object(method) != n: time.sleep(0.001)

l = m.Lock()
eq(l.acquire(), True); eq(l.acquire(False), False); eq(l.acquire(True, 0.01), False)
got = later(l.acquire); l.release(); eq(got(), True); raises(OSError, l.acquire).errno == 130
eq(l.acquire(), True); l.release(); raises(RuntimeError, l.release)
with l: eq(l.acquire(False), False)

# Any thread may release it, as in Python.
l.acquire(); later(l.release)(); eq(l.acquire(False), True); l.release()

r = m.RLock(); eq(r.acquire(), True); eq(r.acquire(), True); eq(later(r.acquire, False)(), False)
r.release(); r.release(); raises(RuntimeError, r.release)

s = m.Semaphore(2); eq([s.acquire(False) for _ in range(3)], [True, True, False]); eq(s.acquire(True, 0.01), False)
got = later(s.acquire); s.release(); eq(got(), True)
b = m.BoundedSemaphore(1); raises(ValueError, b.release); raises(ValueError, m.Semaphore().acquire, False, 1)

e = m.Event(); eq(e.is_set(), False); eq(e.wait(0), False); eq(e.wait(0.01), False)
got = later(e.wait); e.set(); eq(got(), True); eq(e.wait(), True); e.clear(); eq(e.is_set(), False)

q = m.Queue(2); q.put('a'); q.put({'b': [1]}); raises(queue.Full, q.put, 0, False); raises(queue.Full, q.put, 0, True, 0.01)
eq(q.full(), True); eq(q.qsize(), 2); got = later(q.put, 'c'); eq(q.get(), 'a'); eq(got(), None)
eq(q.get(), {'b': [1]}); eq(q.get_nowait(), 'c'); raises(queue.Empty, q.get, False); raises(queue.Empty, q.get, timeout=0.01)
eq(q.empty(), True); got = later(q.get); q.put(None); eq(got(), None)
j = m.JoinableQueue(); j.put(1); got = later(j.join); j.get(); j.task_done(); eq(got(), None); raises(ValueError, j.task_done)

c = m.Condition(); n = m.Value('i', 0)
def worker():
    with c:
        n.value += 1
        return c.wait(), c.wait(0.01)
waiting = [later(worker) for _ in range(3)]
while n.value < 3: time.sleep(0.001)
c.acquire(); eq(c.wait(0), False); c.notify(); c.notify_all(); c.release()
eq([w() for w in waiting], [(True, False)] * 3)
raises(RuntimeError, c.wait); raises(RuntimeError, c.notify)

# Two over one lock, which the user made: each wakes its own, and a Lock's holder may be another thread.
for k in m.Lock(), m.RLock():
    x, y = m.Condition(k), m.Condition(k); n.value = 0
    def worker(c):
        with c:
            n.value += 1
            return c.wait()
    waiting = [later(worker, c) for c in (x, y)]
    while n.value < 2: time.sleep(0.001)
    with k: y.notify()
    eq(waiting[1](), True)
    with y: x.notify_all()
    eq(waiting[0](), True); eq(k.acquire(False), True); k.release()
    raises(RuntimeError, x.wait); raises(RuntimeError, x.notify)
raises(RemoteError, m.Condition, m.Event()); raises(RemoteError, m.Condition, 7)

b = m.Barrier(3); eq((b.parties, b.n_waiting, b.broken), (3, 0, False))
waiting = [later(b.wait) for _ in range(2)]; eq(sorted([b.wait()] + [w() for w in waiting]), [0, 1, 2])
raises(threading.BrokenBarrierError, b.wait, 0.01); eq(b.broken, True); b.reset(); eq(b.broken, False)
"#,
    );
}

fn errors_arrive_as_pythons_exceptions() {
    everywhere(
        "errors",
        r#"
d, l = m.dict(), m.list([1])
eq(raises(KeyError, d.__getitem__, 'missing').args, ('missing',))
eq(raises(KeyError, d.pop, (1, 'a')).args, ((1, 'a'),))
raises(KeyError, d.popitem); raises(TypeError, d.__setitem__, [], 1); raises(TypeError, d.__setitem__, (1, {}), 1)
raises(IndexError, l.__getitem__, 5); raises(IndexError, l.__getitem__, -2); raises(IndexError, m.list().pop)
raises(TypeError, l.__getitem__, 'x'); raises(ValueError, l.remove, 7); raises(ValueError, l.index, 7)
raises(TypeError, l.extend, 5); raises(TypeError, m.list([1, 'a']).sort); raises(ValueError, l.__getitem__, slice(0, 1, 0))
raises(TypeError, l.append); raises(TypeError, l.append, 1, 2); raises(TypeError, l.append, x=1)
raises(AttributeError, lambda: m.Namespace().missing)
raises(MemoryError, l.extend, range(1 << 40)); raises(MemoryError, lambda: l * (1 << 40))
eq(l[:], [1])
for bad in (lambda: l._callmethod('no_such_method'), lambda: l._callmethod('__class__'), lambda: l._callmethod('__init__'),
            lambda: m.Semaphore(-1), lambda: m.Barrier(0), lambda: m.Array('x', []), lambda: m.Pool(), lambda: m.dict(5)):
    raises(RemoteError, bad)
raises(TypeError, m.Queue()._getvalue)
e = raises(RemoteError, l._callmethod, 'no_such_method')
assert "'no_such_method' of 'list' object is not exposed" in str(e), e
class Own: pass
class Cycle(list): pass
cycle = []; cycle.append(cycle)
import pickle
raises(pickle.UnpicklingError, l.append, cycle)
eq(l[:], [1])
"#,
    );
}

fn values_of_every_kind_come_back() {
    everywhere(
        "values",
        r#"
import array, collections, datetime, decimal, enum, fractions, uuid
class Color(enum.Enum): RED = 1
class Plain:
    def __init__(self, x): self.x = x
    def __eq__(self, other): return type(other) is Plain and self.x == other.x
values = [None, True, False, 0, -1, 255, 1 << 31, -(1 << 63), 1 << 63, 10 ** 300, 0.0, -0.0, 1.5, float('inf'), '', 'ü\U0001f600',
    '\ud800', b'', b'\xff\x00', bytearray(b'x'), [], [1, [2]], (), (1,), (1, 2, 3, 4), {}, {'a': {1: (2,)}}, set(), {1, 'a'},
    frozenset(), frozenset({1}), 3 - 4j, range(2, 30, 4), datetime.date(2026, 11, 30), decimal.Decimal('1.10'),
    fractions.Fraction(1, 3), uuid.UUID(int=5), collections.OrderedDict(b=1, a=2), collections.deque([1, 2], 9),
    collections.defaultdict(list, k=[1]), collections.Counter('aab'), array.array('i', [1, 2]), KeyError('x'), Color.RED,
    Plain([1, 2]), int, len, 'x' * 300000, list(range(5000))]
l = m.list(); q = m.Queue(); d = m.dict(); n = m.Namespace()
for at, value in enumerate(values):
    l.append(value); q.put(value); d[at] = value; n.x = value
    for back in (l[-1], q.get(), d[at], n.x):
        assert type(back) is type(value) and (repr(back) == repr(value) or back == value), (value, back)
eq(len(l[:]), len(values))
keys = [None, 1 << 80, -2.5, 'a', '\ud800', b'a', (1, (2,)), frozenset({1}), datetime.date(2026, 1, 1), Color.RED, int]
d = m.dict({key: at for at, key in enumerate(keys)})
for at, key in enumerate(keys): eq(d[key], at)
"#,
    );
}

fn nested_proxies_keep_their_objects() {
    everywhere(
        "nested",
        r#"
import gc
a = m.list([m.list(range(3)) for _ in range(3)])
eq([inner[:] for inner in a], [[0, 1, 2]] * 3); a[0][-1] = 55; eq(a[0][:], [0, 1, 55]); eq(a[1].pop(), 2)
d = m.dict(pets=m.dict(ferrets=2)); d['pets']['cats'] = 1; eq(d['pets'].copy(), {'ferrets': 2, 'cats': 1})
inner = d.pop('pets'); eq(inner['cats'], 1)
outer = m.list([[88, {'deep': (inner,)}]]); del inner; gc.collect(); eq(outer[0][1]['deep'][0]['cats'], 1)
q = m.Queue(); q.put(m.list([7])); gc.collect(); l = q.get(); eq(l[0], 7); del l
a.append(m.Queue()); a[-1].put(1); eq(a[-1].get(), 1)
n = m.Namespace(l=m.list([1])); eq(n.l[0], 1); v = m.Value('x', m.list([2])); eq(v.value[0], 2)
eq(m._number_of_objects(), 13)
a[:] = []; gc.collect(); eq(m._number_of_objects(), 9)
assert 'refcount=1' in m._debug_info(), m._debug_info()
"#,
    );
}

fn references_come_back_to_nothing() {
    everywhere(
        "references",
        r#"
import gc, pickle
eq(m._number_of_objects(), 0)
l = m.list(); it = iter(m.dict(a=1)); gc.collect(); eq(m._number_of_objects(), 2)
del it; gc.collect(); eq(m._number_of_objects(), 1)
context = multiprocessing.get_context('fork')
def child(l): l.append(os.getpid())
children = [context.Process(target=child, args=(l,)) for _ in range(3)]
for c in children: c.start()
for c in children: c.join()
eq(sorted(l[:]), sorted(c.pid for c in children))
copy = pickle.loads(pickle.dumps(l)); del l; gc.collect(); eq(len(copy), 3); eq(m._number_of_objects(), 1)
raises(RemoteError, copy._callmethod, 'x'); del copy; gc.collect(); eq(m._number_of_objects(), 0)
"#,
    );
}

fn what_a_killed_program_held_is_given_back() {
    let script = r#"
def victim(lock, q, ready):
    own = m.list([m.dict()])
    lock.acquire(); ready.put(m._number_of_objects())
    q.get()
lock, q, ready = m.Lock(), m.Queue(), m.Queue()
p = multiprocessing.get_context('fork').Process(target=victim, args=(lock, q, ready))
p.start(); eq(ready.get(), 5); p.kill(); p.join()
# The one that the server sees the end of is told of, and its wait for an item is over.
eq(raises(OSError, lock.acquire).errno, 130); eq(lock.acquire(False), True)
q.put('kept'); eq(q.get(), 'kept')
# Over TCP the kernel does not say which process it was.
while kind == 'path' and m._number_of_objects() != 3: time.sleep(0.001)
"#;
    for (address, python) in places("killed") {
        let manager = started(address.clone());
        ends_well(&python, command(&python, &manager, script).spawn().unwrap());
        let left = manager.number_of_objects().unwrap();
        assert_eq!(left > 0, matches!(address, Address::Tcp(..)), "{python:?}: {left}");
    }
}

fn what_was_published_is_found_by_its_name() {
    everywhere(
        "published",
        r#"
from multiprocessing.managers import dispatch, DictProxy
jobs, shared = m.Queue(), m.dict(a=1)
def ask(*request): return dispatch(m._Client(m._address, authkey=m._authkey), None, *request)
ask('publish', ('get_jobs', jobs._id)); ask('publish', ('get_shared', shared._id))
class Other(BaseManager): pass
Other.register('get_jobs'); Other.register('get_shared', proxytype=DictProxy); Other.register('get_none')
other = Other(address, authkey=b'a key for this test alone'); other.connect()
other.get_jobs().put(5); eq(jobs.get(), 5); eq(other.get_shared()['a'], 1); raises(RemoteError, other.get_none)
del jobs, shared; eq(other.get_shared().copy(), {'a': 1}); eq(other._number_of_objects(), 2)
eq([ask('unpublish', (name,)) for name in ('get_jobs', 'get_shared', 'get_none')], [True, True, False])
raises(RemoteError, other.get_jobs)
"#,
    );
}

fn named_memory_ends_with_the_manager() {
    for (address, python) in places("memory") {
        let manager = started(address);
        let script = r#"
from multiprocessing.managers import SharedMemoryManager
from multiprocessing.shared_memory import SharedMemory, ShareableList
s = SharedMemoryManager(address, authkey=b'a key for this test alone'); s.connect()
block, items = s.SharedMemory(100), s.ShareableList([1, 'two', None])
block.buf[:3] = b'abc'
def ask(method, *args):
    from multiprocessing.managers import dispatch
    connection = s._Client(s._address, authkey=s._authkey)
    try: return dispatch(connection, None, method, args)
    finally: connection.close()
eq(sorted(ask('list_segments')), sorted([block.name, items.shm.name]))
raises(RemoteError, ask, 'track_segment', 'psm_no_such_block'); raises(RemoteError, ask, 'release_segment', 'none')
ask('release_segment', items.shm.name); raises(FileNotFoundError, SharedMemory, items.shm.name)
eq(ask('list_segments'), [block.name])
print(block.name, flush=True); sys.stdin.readline()
"#;
        let mut program = command(&python, &manager, script).spawn().unwrap();
        let mut name = String::new();
        BufReader::new(program.stdout.as_mut().unwrap()).read_line(&mut name).unwrap();
        let block = SharedMemory::open(name.trim_end()).unwrap();
        let mut text = [0; 3];
        block.read(0, &mut text).unwrap();
        assert_eq!((&text, manager.memory_names().unwrap()), (b"abc", vec![block.name().to_owned()]));
        manager.shutdown();
        assert!(SharedMemory::open(block.name()).is_err());
        // Its resource tracker complains of names that are gone: of no concern here.
        drop(program.stdin.take());
        assert!(program.wait().unwrap().success());
    }
}
