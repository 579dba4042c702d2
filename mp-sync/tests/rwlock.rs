//! Many read or one writes, also after deaths.

use mp_core::{Child, Process};
use mp_sync::{AcquireError, Event, RwLock, Semaphore};
use std::time::{Duration, Instant};

mp_testing::cases! {
    plain: [
        readers_are_in_together,
        a_timeout_ends_the_wait,
        a_waiting_writer_keeps_readers_out,
        a_panic_while_writing_is_told,
    ],
    every_method: [
        reads_see_whole_writes,
        a_killed_reader_lets_the_writer_in,
        a_killed_writer_is_told_to_all,
        what_a_thread_leaked_is_free_when_its_process_has_ended,
    ]
}

fn readers_are_in_together() {
    let lock = RwLock::new(7_u32).unwrap();
    let barrier = mp_sync::Barrier::new(8).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let guard = lock.read().unwrap();
                barrier.wait().unwrap();
                assert_eq!(*guard, 7);
            });
        }
    });
    *lock.write().unwrap() += 1;
    assert_eq!(*lock.read().unwrap(), 8);
}

fn a_timeout_ends_the_wait() {
    let lock = RwLock::new(0_u32).unwrap();
    let reader = lock.read().unwrap();
    assert!(lock.try_read().is_ok());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (began, timeout) = (Instant::now(), Duration::from_millis(60));
            assert!(matches!(lock.write_timeout(timeout), Err(AcquireError::Timeout)));
            assert!(began.elapsed() >= timeout);
            assert!(matches!(lock.try_write(), Err(AcquireError::WouldBlock)));
            // Its claim is gone with its patience.
            assert!(lock.try_read().is_ok());
        });
    });
    drop(reader);
    let writer = lock.try_write().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| assert!(matches!(lock.try_read(), Err(AcquireError::WouldBlock))));
    });
    drop(writer);
}

fn a_waiting_writer_keeps_readers_out() {
    let lock = RwLock::new(0_u32).unwrap();
    std::thread::scope(|scope| {
        let reader = lock.read().unwrap();
        let writer = scope.spawn(|| *lock.write().unwrap() = 1);
        while lock.try_read().is_ok() {
            std::thread::yield_now();
        }
        drop(reader);
        // A read after the writer sees what it wrote.
        let late = scope.spawn(|| *lock.read().unwrap());
        assert_eq!(late.join().unwrap(), 1);
        writer.join().unwrap();
    });
}

fn a_panic_while_writing_is_told() {
    let lock = RwLock::new(0_u32).unwrap();
    std::thread::scope(|scope| {
        let reads = scope.spawn(|| {
            let _guard = lock.read().unwrap();
            panic!("on purpose");
        });
        assert!(reads.join().is_err() && lock.read().is_ok());
        let writes = scope.spawn(|| {
            let _guard = lock.write().unwrap();
            panic!("on purpose");
        });
        assert!(writes.join().is_err());
    });
    assert!(lock.read().is_err());
    lock.write().unwrap_or_else(|died| died.into_guard()).clear_owner_died();
    assert!(lock.read().is_ok());
}

fn write_pairs(lock: RwLock<[u64; 2]>) {
    for _ in 0..500 {
        let mut pair = lock.write().unwrap();
        pair[0] += 1;
        pair[1] += 1;
    }
}

fn read_pairs(lock: RwLock<[u64; 2]>) -> bool {
    (0..500).all(|_| {
        let pair = lock.read().unwrap();
        pair[0] == pair[1]
    })
}

fn reads_see_whole_writes() {
    let lock = RwLock::new([0_u64; 2]).unwrap();
    let writers: Vec<_> =
        (0..2).map(|_| Process::new(write_pairs, (lock.clone(),)).start().unwrap()).collect();
    let readers: Vec<_> =
        (0..2).map(|_| Process::new(read_pairs, (lock.clone(),)).start().unwrap()).collect();
    assert!(readers.iter().all(|reader| reader.join().unwrap()));
    writers.iter().for_each(|writer| writer.join().unwrap());
    assert_eq!(*lock.read().unwrap(), [1000, 1000]);
}

fn hold(lock: RwLock<u32>, write: bool, there: Event) {
    let guards = (!write).then(|| lock.read().unwrap());
    let writer = write.then(|| lock.write().unwrap());
    there.set();
    // No thread releases this permit.
    Semaphore::new(0).unwrap().acquire().keep();
    drop((guards, writer));
}

fn holding(lock: &RwLock<u32>, write: bool) -> Child<()> {
    let there = Event::new().unwrap();
    let child = Process::new(hold, (lock.clone(), write, there.clone())).daemon().start().unwrap();
    there.wait();
    child
}

fn a_killed_reader_lets_the_writer_in() {
    let lock = RwLock::new(1_u32).unwrap();
    let child = holding(&lock, false);
    assert!(lock.try_write().is_err() && lock.try_read().is_ok());
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| *lock.write().unwrap() = 2);
        child.kill().unwrap();
        writer.join().unwrap();
    });
    assert_eq!(*lock.read().unwrap(), 2);
    let _ = child.join();
}

fn a_killed_writer_is_told_to_all() {
    let lock = RwLock::new(1_u32).unwrap();
    let child = holding(&lock, true);
    assert!(matches!(lock.try_read(), Err(AcquireError::WouldBlock)));
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| lock.read().is_err());
        child.kill().unwrap();
        assert!(reader.join().unwrap());
    });
    let _ = child.join();
    let writer = lock.write().unwrap_err().into_guard();
    writer.clear_owner_died();
    drop(writer);
    assert_eq!(*lock.read().unwrap(), 1);
}

fn leak_and_wait(read: RwLock<u32>, written: RwLock<u32>, leaked: Event) {
    let thread = std::thread::spawn(move || std::mem::forget((read.read(), written.write())));
    thread.join().unwrap();
    leaked.set();
    loop {
        std::thread::park();
    }
}

/// Its process has it then, of which the kernel says nothing.
fn what_a_thread_leaked_is_free_when_its_process_has_ended() {
    let (read, written) = (RwLock::new(1_u32).unwrap(), RwLock::new(1_u32).unwrap());
    let leaked = Event::new().unwrap();
    let child = Process::new(leak_and_wait, (read.clone(), written.clone(), leaked.clone())).start().unwrap();
    leaked.wait();
    assert!(read.try_write().is_err() && matches!(written.try_read(), Err(AcquireError::WouldBlock)));
    child.kill().unwrap();
    assert!(child.join().is_err());
    assert!(read.write().is_ok());
    assert!(written.read().is_err());
}
