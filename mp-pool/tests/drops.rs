//! What is dropped where: values whose `drop` panics, what a panic carried, and calls in destructors of a thread's
//! locals.

use mp_pool::{
    Buffer, BufferMut, Pool, SubmitError, TaskError, ThreadPool, ThreadPoolExecutor, buffer, with_state,
};
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

mp_testing::cases! {
    plain: [
        an_unread_value_that_panics_ends_no_thread,
        a_state_that_panics_ends_no_process,
        what_a_panic_carried_is_dropped,
        a_payload_that_panics_is_one_tasks_error,
        buffers_cross_in_a_threads_destructors,
    ],
}

const MIB: usize = 1 << 20;

/// Says that it is dropped, and panics.
struct Bomb(Sender<()>);

impl Drop for Bomb {
    fn drop(&mut self) {
        self.0.send(()).unwrap();
        panic!("a deliberate panic in a drop");
    }
}

fn bombs() -> (impl Fn() -> Bomb, Receiver<()>) {
    let (said, dropped) = channel();
    (move || Bomb(said.clone()), dropped)
}

/// The only handle of a value is that of the thread which made it, since the task's own was dropped before.
fn an_unread_value_that_panics_ends_no_thread() {
    let (pool, (bomb, dropped)) = (ThreadPool::new(2).unwrap(), bombs());
    for _ in 0..4 {
        let (opened, gate) = channel::<()>();
        let bomb = bomb();
        let task = move || {
            let _ = gate.recv();
            bomb
        };
        drop(pool.apply_async(task, ()).unwrap());
        drop(opened);
        dropped.recv().unwrap();
    }
    assert_eq!(pool.map(|x: u64| x + 1, 0..100).unwrap().len(), 100);
    assert_eq!(pool.statistics().restarts(), 0);
    pool.close();
    pool.join().unwrap();
    let executor = ThreadPoolExecutor::new(1).unwrap();
    let bomb = bomb();
    executor.submit(move || bomb, ()).unwrap().add_done_callback(drop);
    dropped.recv().unwrap();
    assert_eq!(executor.submit(|| 5, ()).unwrap().result(), Ok(5));
}

fn a_state_that_panics_ends_no_process() {
    let (said, dropped) = channel();
    let pool = ThreadPool::builder().threads(2).initializer_value(Bomb, (said,)).build().unwrap();
    assert_eq!(pool.apply(with_state(|_: &mut Bomb, x: u64| x + 1), (1,)).unwrap(), 2);
    pool.close();
    pool.join().unwrap();
    assert_eq!(dropped.iter().take(2).count(), 2);
}

fn filled(pool: &Pool, len: usize) -> Buffer<u64> {
    let mut buffer = pool.buffer(len).unwrap();
    (0..).zip(buffer.iter_mut()).for_each(|(at, element)| *element = at);
    buffer.freeze()
}

fn is_filled(buffer: &[u64], len: usize) -> bool {
    buffer.len() == len && (0..).zip(buffer).all(|(at, element)| *element == at)
}

fn panic_with(argument: Buffer<u64>) {
    std::panic::panic_any(argument);
}

fn one() -> u64 {
    1
}

fn what_a_panic_carried_is_dropped() {
    let pool = Pool::new(1).unwrap();
    for _ in 0..40 {
        let ended = pool.apply(panic_with, (filled(&pool, MIB / 8),));
        assert!(matches!(ended, Err(SubmitError::Task(TaskError::Panicked { .. }))), "{ended:?}");
    }
    assert_eq!(pool.apply(one, ()).unwrap(), 1);
    // All of the pool's memory that is for buffers is free: none of these has memory of its own.
    let all: Vec<BufferMut<u8>> = (0..31).map(|_| pool.buffer(MIB).unwrap()).collect();
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    assert!(!maps.contains("mp-buffer"), "the workers keep what their panics carried");
    drop(all);
}

fn panic_with_a_bomb() -> u64 {
    std::panic::panic_any(Bomb(channel().0))
}

fn a_payload_that_panics_is_one_tasks_error() {
    let (threads, workers) = (ThreadPool::new(1).unwrap(), Pool::new(1).unwrap());
    for _ in 0..3 {
        let ended = threads.apply(panic_with_a_bomb, ());
        assert!(matches!(ended, Err(SubmitError::Task(TaskError::Panicked { .. }))), "{ended:?}");
        let ended = workers.apply(panic_with_a_bomb, ());
        assert!(matches!(ended, Err(SubmitError::Task(TaskError::Panicked { .. }))), "{ended:?}");
    }
    assert_eq!((threads.apply(one, ()).unwrap(), workers.apply(one, ()).unwrap()), (1, 1));
    assert_eq!(workers.statistics().restarts(), 0);
}

fn doubled(argument: Buffer<u64>) -> Buffer<u64> {
    let mut double = buffer(argument.len()).unwrap();
    double.iter_mut().zip(&*argument).for_each(|(to, from)| *to = 2 * from);
    double.freeze()
}

struct AtEnd {
    pool: Arc<Pool>,
    argument: Buffer<u64>,
    done: Sender<u64>,
}

impl Drop for AtEnd {
    fn drop(&mut self) {
        let double = self.pool.apply(doubled, (self.argument.clone(),)).unwrap();
        let again = self.pool.map(doubled, [double.clone(), filled(&self.pool, 3000)]).unwrap();
        assert!(is_filled(&self.argument, 5000) && again[1].iter().eq(&double[..3000]));
        self.done.send(again[0][4999]).unwrap();
    }
}

/// The destructor runs after those of the locals that the calls used before it was there, and before theirs.
fn buffers_cross_in_a_threads_destructors() {
    thread_local! {
        static AT_END: RefCell<Option<AtEnd>> = const { RefCell::new(None) };
    }
    let pool = Arc::new(Pool::new(2).unwrap());
    for used_before in [false, true] {
        let (pool, (done, value)) = (Arc::clone(&pool), channel());
        let thread = std::thread::spawn(move || {
            AT_END.with_borrow_mut(|at_end| *at_end = None);
            if used_before {
                pool.apply(doubled, (filled(&pool, 5000),)).unwrap();
            }
            let argument = filled(&pool, 5000);
            AT_END.replace(Some(AtEnd { pool, argument, done }));
        });
        thread.join().unwrap();
        assert_eq!(value.recv(), Ok(4 * 4999));
    }
}
