//! Whatever bytes a client sends, the server goes on: requests that are whole, damaged and made up, over a connection
//! and through a slot. `MP_FUZZ` sets the number of requests, `MP_FUZZ_SEED` where they begin.

use super::entry::{ask, created, is_left_out, objects};
use super::tests::{BySlot, Running, call, value};
use super::*;
use crate::protocol::{
    BarrierCall, Batch, Call, CellCall, ConditionCall, DictCall, EventCall, ListCall, LockCall, Number,
    PoolCall, QueueCall, ResultsCall, SemaphoreCall, SetCall, Wait, Waiting as Stage,
};
use mp_core::transfer::{pack, unpack};
use mp_testing::Chance;
use std::time::Duration;

fn number(name: &str, without: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(without)
}

fn batch() -> Batch {
    let key = |bytes: &mut Vec<u8>| {
        bytes.push(1);
        Ok::<_, Failure>(())
    };
    let mut batch = Batch::default();
    batch.get(key).unwrap();
    batch.insert(key, value(&[7; 300])).unwrap();
    batch.add(key, Number::U8, &[200]).unwrap();
    batch.remove(key).unwrap();
    batch
}

fn calls() -> Vec<Call> {
    let (key, item) = (vec![1], value(&[7]));
    let dict = [
        DictCall::Insert(key.clone(), item.clone()),
        DictCall::Add(key.clone(), Number::U8, vec![200]),
        DictCall::Begin(vec![key.clone(), vec![2]]),
        DictCall::Commit(vec![(key.clone(), Some(item.clone()))]),
        DictCall::Batch(batch()),
        DictCall::CompareExchange { key: key.clone(), expected: Some(vec![7]), new: None },
    ];
    let list = [
        ListCall::Extend(vec![item.clone(); 3]),
        ListCall::Range(0, u64::MAX),
        ListCall::Splice(1, 2, vec![item.clone()]),
        ListCall::Insert(u64::MAX, item.clone()),
        ListCall::Remove(0),
        ListCall::Add(0, Number::I8, vec![127]),
        ListCall::BeginOne(0),
        ListCall::CommitOne(0, item.clone()),
    ];
    let others = [
        Call::Set(SetCall::InsertMany(vec![key.clone(), vec![3]])),
        Call::Set(SetCall::Retain(vec![key])),
        Call::Cell(CellCall::Add(Number::U8, vec![100])),
        Call::Cell(CellCall::Begin),
        Call::Cell(CellCall::Commit(item.clone())),
        Call::Queue(QueueCall::Put(item)),
        Call::Queue(QueueCall::Get),
        Call::Queue(QueueCall::TaskDone),
        Call::Lock(LockCall::Acquire),
        Call::Lock(LockCall::Release),
        Call::Semaphore(SemaphoreCall::Release(u64::MAX)),
        Call::condition(ConditionCall::Acquire),
        Call::condition(ConditionCall::Wait(Stage::Returning { notified: true, depth: u64::MAX })),
        Call::condition(ConditionCall::Notify(u64::MAX)),
        Call::Event(EventCall::Set),
        Call::Barrier(BarrierCall::Wait(Some((u64::MAX, u64::MAX)))),
        Call::Barrier(BarrierCall::Reset),
        Call::Results(ResultsCall::Take(u64::MAX)),
        Call::Results(ResultsCall::Get),
        Call::Results(ResultsCall::Close),
        Call::Pool(PoolCall::Join),
    ];
    let dict = dict.into_iter().map(Call::Dict);
    dict.chain(list.into_iter().map(Call::List)).chain(others).collect()
}

/// Changes, takes away or adds a few bytes, half of the time.
fn damage(chance: &mut Chance, bytes: &mut Vec<u8>) {
    if chance.below(2) == 0 {
        return;
    }
    for _ in 0..=chance.below(3) {
        let at = chance.below(bytes.len() + 1);
        match chance.below(3) {
            0 => bytes.insert(at, chance.below(256) as u8),
            1 => bytes.truncate(at.max(1)),
            _ => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte = chance.below(256) as u8),
        }
    }
}

/// Sends it, and waits for no reply: a call that waits must not hold up the test.
fn by_stream(server: &Running, bytes: &[u8]) -> Connection {
    let stream: Connection = Connection::from_fd(server.end());
    if !unpack::<(u64, Request)>(bytes, Vec::new()).is_ok_and(|(_, request)| is_left_out(&request)) {
        let _ = stream.send_bytes(bytes);
    }
    stream
}

#[test]
fn whatever_a_client_sends_the_server_goes_on() {
    let seed = number("MP_FUZZ_SEED", 1);
    let mut chance = Chance::new(seed);
    let server = Running::new();
    let witness = server.client();
    let (kinds, calls) = (objects(&witness), calls());
    let own = created(ask(&witness, Request::Create { kind: Kind::List, start: Start::Empty }));
    for round in 0..number("MP_FUZZ", 1_500) {
        let object = kinds[chance.below(kinds.len())];
        let request = Request::Call {
            object,
            thread: chance.below(3) as u64,
            wait: [Wait::Never, Wait::Forever, Wait::AtMost(Duration::ZERO)][chance.below(3)],
            call: unpack(&pack(&calls[chance.below(calls.len())]).unwrap().bytes, Vec::new()).unwrap(),
        };
        // Alive until the witness was served: a request is not looked at once its client has gone.
        let (stream, slot);
        if chance.below(2) == 0 {
            let mut bytes = pack(&(round, request)).unwrap().bytes;
            damage(&mut chance, &mut bytes);
            (stream, slot) = (Some(by_stream(&server, &bytes)), None);
        } else {
            let mut bytes = pack(&request).unwrap().bytes;
            damage(&mut chance, &mut bytes);
            let client = BySlot::new(&server);
            client.ask(&bytes);
            (stream, slot) = (None, Some(client));
        }
        let count = round + 1;
        let push = ask(&witness, call(own, Call::List(ListCall::Push(value(&[1])))));
        assert!(matches!(push, Reply::Done), "seed {seed}, round {round}: {push:?}");
        let length = ask(&witness, call(own, Call::List(ListCall::Len)));
        assert!(matches!(length, Reply::Count(found) if found == count), "seed {seed}: {length:?}");
        drop((stream, slot));
    }
}

/// What `tests/seeds.rs` and the fuzzer begin with: a request of each kind that is made here.
#[test]
fn seeds_are_requests() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/dispatcher");
    let object = |call: &Call| match call {
        Call::Dict(_) => 0,
        Call::Set(_) => 1,
        Call::List(_) => 2,
        Call::Cell(_) => 3,
        Call::Queue(_) => 4,
        Call::Lock(_) => 5,
        Call::Semaphore(_) => 6,
        Call::Event(_) => 8,
        Call::Barrier(_) => 9,
        Call::Condition { .. } => 10,
        _ => 11,
    };
    let calls = calls().into_iter().map(|call| Request::Call {
        object: object(&call),
        thread: 1,
        wait: Wait::AtMost(Duration::from_secs(1)),
        call,
    });
    let others = [
        Request::Create { kind: Kind::List, start: Start::Values(vec![value(&[1, 2, 3])]) },
        Request::Hold(7),
        Request::Release(vec![1, 2]),
        Request::Lend { voucher: 1, end: None, object: 2 },
        Request::Publish { name: "name".to_owned(), object: Some(3) },
        Request::Lookup { name: "name".to_owned(), kind: Kind::Dict },
        Request::Iterate(1),
        Request::ReleaseMemory { name: "psm_0".to_owned() },
        Request::Slot { attached: false },
        Request::Received(1),
        Request::Hello,
    ];
    for (at, request) in calls.chain(others).enumerate() {
        let (file, bytes) = (folder.join(format!("{at:02}")), pack(&(1_u64, request)).unwrap().bytes);
        if std::env::var("MP_SEEDS").is_ok_and(|text| text == "write") {
            std::fs::write(&file, &bytes).unwrap();
        }
        assert!(std::fs::read(&file).is_ok_and(|seed| seed == bytes), "{at}: write the seeds anew");
    }
}
