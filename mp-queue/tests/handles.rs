//! Items that carry descriptors, and processes that die with them in hand: nothing stays open, nothing is in
//! the way.
//!
//! Each victim is killed where it is to be, next to a system call of its put or get. The witness is a pipe:
//! its reader sees the end when nothing has the other end open any more, no process and no packet.
//! Instruction by instruction: mp-sweep's `queue.handles`.

use mp_core::sys::fd::pipe;
use mp_core::sys::poll::{Interest, wait_for};
use mp_core::transfer::{Handle, pack};
use mp_core::word::Deadline;
use mp_core::{Child, JoinError, Process};
use mp_pipe::{PollError, try_wait, wait};
use mp_queue::{GetError, JoinableQueue, Producer, PutError, Queue, TasksError};
use mp_sync::Event;
use mp_testing::{At, kill_at, random, wait_a_random_moment};
use nix::libc;
use nix::sys::socket::{setsockopt, sockopt};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

mp_testing::cases! {
    plain: [
        a_killed_putters_descriptors_are_closed_by_the_next_process,
        a_waiter_comes_by,
        a_killed_putters_descriptors_go_with_the_items_in_front_of_them,
        a_queue_that_is_never_empty_is_rid_of_them_too,
        killed_putters_leave_room_for_packets,
        a_getter_killed_before_it_has_the_descriptors_leaves_the_item,
        a_getter_killed_with_the_descriptors_takes_the_item_along,
        what_a_killed_getter_takes_along_makes_room,
        a_join_is_told_of_what_went_with_its_descriptors,
        a_packet_that_finds_no_room_leaves_nothing,
        a_queue_that_holds_itself_ends_with_its_last_user,
        killed_at_any_moment_they_leave_nothing,
    ],
    every_method: [
        producers_killed_while_they_start_end_the_stream,
    ]
}

type Item = (u32, Option<Handle>);

/// The reader of a pipe, and the other end, as it travels.
struct Witness(File);

impl Witness {
    fn new() -> (Witness, Handle) {
        let (read, write) = pipe().unwrap();
        (Witness(File::from(read)), Handle::new(write))
    }

    /// Whether no process and no packet has the other end.
    fn sees_the_end(&self) -> bool {
        wait_for(self.0.as_fd(), Interest::Hangup, Deadline::after(Duration::ZERO)).unwrap()
    }

    fn waits_for_the_end(mut self) {
        let mut nothing = Vec::new();
        self.0.read_to_end(&mut nothing).unwrap();
        assert!(nothing.is_empty());
    }
}

/// Between the packet and the commit.
const SENT: At = At::After(libc::SYS_sendmsg);
/// With copies of the descriptors, while the packet is there.
const COPIED: At = At::Before(libc::SYS_recvfrom);
/// With the packet, and before the commit.
const RECEIVED: At = At::After(libc::SYS_recvfrom);

/// A child that does this, and is killed there.
fn killed_in(work: impl FnOnce(), at: At) {
    let (here, go) = (Event::new().unwrap(), Event::new().unwrap());
    let its = (here.clone(), go.clone());
    let child = Process::fork(move || {
        its.0.set();
        its.1.wait();
        work();
    });
    let child = child.start().unwrap();
    here.wait();
    kill_at(child.pid(), at, || go.set());
    assert!(matches!(child.join(), Err(JoinError::Killed(9))));
}

fn killed_putter_of(queue: &Queue<Item>, item: Item) {
    let queue = queue.clone();
    killed_in(move || queue.put(item).unwrap(), SENT);
}

fn killed_getter(queue: &Queue<Item>, at: At) {
    killed_in(|| drop(queue.get().unwrap()), at);
}

/// A producer was killed between the packet of its item and the commit. The packet is there: the witness says
/// so.
fn killed_putter(queue: &Queue<Item>) -> Witness {
    let (witness, handle) = Witness::new();
    killed_putter_of(queue, (7, Some(handle)));
    assert!(!witness.sees_the_end(), "it was killed too early");
    witness
}

fn a_killed_putters_descriptors_are_closed_by_the_next_process() {
    let (_, another) = Witness::new();
    type Comer<'a> = (&'a str, &'a dyn Fn(&Queue<Item>));
    let comers: [Comer<'_>; 12] = [
        ("try_get", &|queue| assert!(matches!(queue.try_get(), Err(GetError::Empty)))),
        ("get_timeout", &|queue| assert!(queue.get_timeout(Duration::from_millis(1)).is_err())),
        ("try_get_many", &|queue| assert!(matches!(queue.try_get_many(3), Err(GetError::Empty)))),
        ("qsize", &|queue| assert_eq!(queue.qsize(), 0)),
        ("empty", &|queue| assert!(queue.empty())),
        ("wait", &|queue| assert!(matches!(try_wait(&[queue]), Err(PollError::WouldBlock)))),
        ("put", &|queue| queue.put((1, None)).unwrap()),
        ("try_put", &|queue| queue.try_put((1, None)).unwrap()),
        ("put_many", &|queue| queue.put_many([(1, None), (2, None)]).unwrap()),
        ("put with a handle", &|queue| queue.put((1, Some(another.clone()))).unwrap()),
        ("shutdown", &|queue| queue.shutdown()),
        ("put, killed as well", &|queue| drop(killed_putter(queue))),
    ];
    for (name, come_by) in comers {
        let queue = Queue::new().unwrap();
        let witness = killed_putter(&queue);
        come_by(&queue);
        assert!(witness.sees_the_end(), "after {name}");
    }
}

fn get_one(queue: Queue<Item>) -> u32 {
    queue.get().unwrap().0
}

fn poll_one(queue: Queue<Item>) -> u32 {
    loop {
        assert_eq!(wait(&[&queue]).unwrap(), [0]);
        if let Ok((number, _)) = queue.try_get() {
            return number;
        }
    }
}

/// And no other process does: both sleep when the producer dies.
fn a_waiter_comes_by() {
    for wait in [get_one as fn(Queue<Item>) -> u32, poll_one] {
        let queue = Queue::new().unwrap();
        let its = queue.clone();
        let waits = Process::fork(move || wait(its)).daemon().start().unwrap();
        let (witness, handle) = Witness::new();
        killed_putter_of(&queue, (7, Some(handle)));
        witness.waits_for_the_end();
        queue.put((1, None)).unwrap();
        assert_eq!(waits.join().unwrap(), 1);
    }
}

fn a_killed_putters_descriptors_go_with_the_items_in_front_of_them() {
    for behind in [0, 1, 5] {
        let queue = Queue::new().unwrap();
        let (first, handle) = Witness::new();
        queue.put((1, Some(handle))).unwrap();
        queue.put((2, None)).unwrap();
        let witness = killed_putter(&queue);
        (0..behind).for_each(|number| queue.put((3 + number, None)).unwrap());
        let (number, handle) = queue.get().unwrap();
        assert!(number == 1 && handle.is_some() && !first.sees_the_end());
        drop(handle);
        assert!(first.sees_the_end());
        (0..=behind).for_each(|number| assert_eq!(queue.get().unwrap().0, 2 + number));
        assert!(matches!(queue.try_get(), Err(GetError::Empty)));
        assert!(witness.sees_the_end(), "{behind} behind it");
    }
}

fn a_queue_that_is_never_empty_is_rid_of_them_too() {
    let queue = Queue::new().unwrap();
    queue.put((0, None)).unwrap();
    let (first, second) = (killed_putter(&queue), killed_putter(&queue));
    for number in 1..=4 {
        queue.put((number, None)).unwrap();
        assert_eq!(queue.get().unwrap().0, number - 1);
    }
    assert!(first.sees_the_end() && second.sees_the_end());
    // What comes later has its own.
    let (third, handle) = Witness::new();
    queue.put((5, Some(handle))).unwrap();
    assert_eq!(queue.get().unwrap().0, 4);
    let (number, handle) = queue.get().unwrap();
    assert!(number == 5 && !third.sees_the_end());
    drop(handle);
    third.waits_for_the_end();
}

/// The socket holds few packets, and no process gets.
fn killed_putters_leave_room_for_packets() {
    let queue = Queue::new().unwrap();
    // What travels: the memory, the socket that sends, and others.
    let sender = pack(&queue).unwrap().handles.swap_remove(1);
    setsockopt(&sender, sockopt::SndBuf, &1).unwrap();
    let (_witness, handle) = Witness::new();
    let mut room = 0;
    while queue.try_put((room, Some(handle.clone()))).is_ok() {
        room += 1;
    }
    assert!((1..50).contains(&room), "room for {room}");
    (0..room).for_each(|number| assert_eq!(queue.get().unwrap().0, number));
    for _ in 0..room + 2 {
        killed_putter(&queue);
    }
    (0..room).for_each(|number| queue.try_put((number, Some(handle.clone()))).unwrap());
    (0..room).for_each(|number| assert_eq!(queue.get().unwrap().0, number));
}

fn a_getter_killed_before_it_has_the_descriptors_leaves_the_item() {
    let queue = Queue::new().unwrap();
    let (witness, handle) = Witness::new();
    queue.put((1, Some(handle))).unwrap();
    killed_getter(&queue, COPIED);
    assert!(queue.qsize() == 1 && !witness.sees_the_end());
    let (number, handle) = queue.try_get().unwrap();
    assert!(number == 1 && handle.is_some());
    drop(handle);
    assert!(witness.sees_the_end() && queue.empty());
}

/// Nothing is left of it, although no further call is made; and the next packet is the next item's.
fn a_getter_killed_with_the_descriptors_takes_the_item_along() {
    let queue = Queue::new().unwrap();
    let (first, handle) = Witness::new();
    queue.put((1, Some(handle))).unwrap();
    let (second, handle) = Witness::new();
    queue.put((2, Some(handle))).unwrap();
    queue.put((3, None)).unwrap();
    killed_getter(&queue, RECEIVED);
    assert!(first.sees_the_end() && !second.sees_the_end());
    let (number, handle) = queue.get().unwrap();
    assert_eq!(number, 2);
    drop(handle);
    assert!(second.sees_the_end());
    assert_eq!(queue.get().unwrap().0, 3);
    assert!(queue.empty());
    // Also as the last item, and for a get of many.
    for many in [false, true] {
        let (witness, handle) = Witness::new();
        queue.put((4, Some(handle))).unwrap();
        killed_getter(&queue, RECEIVED);
        assert!(witness.sees_the_end());
        let got = if many { queue.try_get_many(5).err() } else { queue.try_get().err() };
        assert!(matches!(got, Some(GetError::Empty)));
        assert!(queue.empty());
    }
}

fn put_one(queue: Queue<Item>) {
    queue.put((2, None)).unwrap();
}

fn what_a_killed_getter_takes_along_makes_room() {
    let queue = Queue::bounded(1).unwrap();
    queue.put((1, Some(Witness::new().1))).unwrap();
    killed_getter(&queue, RECEIVED);
    assert!(matches!(queue.try_put((2, None)).unwrap_err().reason, PutError::Full));
    let waits = Process::new(put_one, (queue.clone(),)).start().unwrap();
    assert_eq!(queue.get().unwrap().0, 2);
    waits.join().unwrap();
}

fn a_join_is_told_of_what_went_with_its_descriptors() {
    let queue = JoinableQueue::new().unwrap();
    for round in 1..4 {
        queue.put((1, Some(Witness::new().1))).unwrap();
        queue.put((2, None)).unwrap();
        killed_in(|| drop(queue.get().unwrap()), RECEIVED);
        // It is still in the queue, as far as other processes know.
        assert_eq!(queue.join_timeout(Duration::ZERO), Err(TasksError::Timeout));
        assert_eq!(queue.get_task().unwrap().0, 2);
        assert_eq!(queue.join(), Err(TasksError::Lost { items: 1 }), "round {round}");
        assert_eq!(queue.join(), Ok(()));
        assert!(queue.task_done().is_err());
    }
}

/// And every other packet is its item's.
fn a_packet_that_finds_no_room_leaves_nothing() {
    let queue = Queue::new().unwrap();
    let sender = pack(&queue).unwrap().handles.swap_remove(1);
    setsockopt(&sender, sockopt::SndBuf, &1).unwrap();
    for _ in 0..20 {
        let mut witnesses = Vec::new();
        loop {
            let (witness, handle) = Witness::new();
            match queue.try_put((witnesses.len() as u32, Some(handle))) {
                Ok(()) => witnesses.push(witness),
                Err(error) => {
                    assert!(matches!(error.reason, PutError::HandlesFull), "{error}");
                    drop(error);
                    assert!(witness.sees_the_end());
                    break;
                }
            }
        }
        for (number, witness) in witnesses.into_iter().enumerate() {
            let (got, handle) = queue.get().unwrap();
            assert!(got == number as u32 && !witness.sees_the_end());
            drop(handle);
            witness.waits_for_the_end();
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Knot(Queue<Knot>, Handle);

/// The kernel finds that no process can reach it any more. It looks when some other socket of that kind is
/// closed.
fn a_queue_that_holds_itself_ends_with_its_last_user() {
    let queue = Queue::new().unwrap();
    let (witness, handle) = Witness::new();
    queue.put(Knot(queue.clone(), handle)).unwrap();
    assert!(!witness.sees_the_end());
    drop(queue);
    drop(UnixStream::pair().unwrap());
    witness.waits_for_the_end();
}

fn produce_for_ever(producer: Producer<u32>) {
    for number in 0.. {
        producer.put(number).unwrap();
        std::thread::yield_now();
    }
}

/// With the last producer in their hands, or on its way to them.
fn producers_killed_while_they_start_end_the_stream() {
    for _ in 0..30 {
        let (producer, queue) = Queue::counted().unwrap();
        let child = Process::new(produce_for_ever, (producer,)).start().unwrap();
        wait_a_random_moment(Duration::from_millis(3));
        child.kill().unwrap();
        let got: Vec<u32> = queue.iter().collect::<Result<_, _>>().unwrap();
        assert!(got.iter().copied().eq(0..got.len() as u32), "{got:?}");
        let _ = child.join();
    }
}

/// Two put and two get, each item with the same pipe's end; one of them is killed, and another takes its
/// place. A queue that goes through this and is drained then holds that end no more.
fn killed_at_any_moment_they_leave_nothing() {
    let queue = Queue::<Item>::bounded(8).unwrap();
    for _ in 0..4 {
        let (witness, handle) = Witness::new();
        let start = |at: usize| -> Child<()> {
            let (queue, handle) = (queue.clone(), handle.clone());
            let work = move || {
                for number in 0.. {
                    if at < 2 {
                        queue.put((number, Some(handle.clone()))).unwrap();
                    } else {
                        assert!(queue.get().unwrap().1.is_some());
                    }
                }
            };
            Process::fork(work).start().unwrap()
        };
        let end = |child: &Child<()>| {
            child.kill().unwrap();
            assert!(matches!(child.join(), Err(JoinError::Killed(9))));
        };
        let mut children = [0, 1, 2, 3].map(start);
        for _ in 0..50 {
            wait_a_random_moment(Duration::from_millis(1));
            let at = random(4) as usize;
            end(&children[at]);
            children[at] = start(at);
        }
        children.iter().for_each(end);
        drop(handle);
        while let Ok((_, handle)) = queue.try_get() {
            assert!(handle.is_some());
        }
        assert!(queue.empty() && witness.sees_the_end());
    }
}
