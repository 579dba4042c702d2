//! What queues cost in descriptors, what is said where there are none left, and how many items with handles
//! one holds.

use mp_core::Process;
use mp_core::sys::fd::pipe;
use mp_core::transfer::Handle;
use mp_pipe::{PollError, try_wait, wait};
use mp_queue::{GetError, NotPutError, PutError, Queue};
use mp_testing::{limited, open_descriptors};
use nix::sys::resource::Resource;
use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::time::Duration;

mp_testing::cases! {
    plain: [
        a_queue_is_three_descriptors,
        copies_that_arrive_share_what_is_here,
        a_copy_outlives_the_first_handle,
        without_descriptors_the_error_names_the_limit,
        items_with_handles_have_a_limit_of_their_own,
        a_waiter_for_room_for_handles_gets_it,
    ],
    every_method: [
        a_childs_copies_share_what_it_has,
    ]
}

fn open() -> usize {
    open_descriptors(std::process::id()).len()
}

/// Mappings of queues' memory.
fn mapped() -> usize {
    fs::read_to_string("/proc/self/maps").unwrap().matches("memfd:mp-queue").count()
}

fn a_queue_is_three_descriptors() {
    let before = open();
    let queues: Vec<Queue<u32>> = (0..10).map(|_| Queue::new().unwrap()).collect();
    assert_eq!(open() - before, 30);
    let clones = queues.clone();
    assert_eq!(open() - before, 30);
    drop((queues, clones));
    assert_eq!(open(), before);
}

/// The same queue received again and again.
fn copies_of(queue: &Queue<u32>, count: usize) -> Vec<Queue<u32>> {
    let carrier = Queue::new().unwrap();
    (0..count)
        .map(|_| {
            carrier.put(queue.clone()).unwrap();
            carrier.get().unwrap()
        })
        .collect()
}

fn copies_that_arrive_share_what_is_here() {
    let queue = Queue::new().unwrap();
    queue.put(0).unwrap();
    let before = (open(), mapped());
    let copies = copies_of(&queue, 20);
    assert_eq!((open(), mapped()), before);
    for (number, copy) in copies.iter().enumerate() {
        copy.put(number as u32 + 1).unwrap();
        assert_eq!(queue.get().unwrap(), number as u32);
        assert_eq!(wait(&[copy]).unwrap(), [0]);
    }
    // Each handle is closed by itself.
    copies[0].close();
    assert!(matches!(copies[0].get(), Err(GetError::Closed)));
    assert_eq!(copies[1].get().unwrap(), 20);
    assert!(matches!(try_wait(&[&queue, &copies[1]]), Err(PollError::WouldBlock)));
}

fn a_copy_outlives_the_first_handle() {
    let before = (open(), mapped());
    for round in 0..3 {
        let queue = Queue::new().unwrap();
        let copies = copies_of(&queue, 2);
        drop(queue);
        copies[0].put(round).unwrap();
        let later = copies_of(&copies[1], 2);
        drop(copies);
        assert_eq!(later[1].get().unwrap(), round);
    }
    assert_eq!((open(), mapped()), before);
}

fn use_all(queues: Vec<Queue<u32>>, carrier: Queue<Queue<u32>>) -> usize {
    let before = open();
    let more: Vec<Queue<u32>> = (0..10).map(|_| carrier.get().unwrap()).collect();
    let grown = open() - before;
    for queue in queues.iter().chain(&more) {
        queue.put(1).unwrap();
    }
    grown
}

fn a_childs_copies_share_what_it_has() {
    let (queue, carrier) = (Queue::new().unwrap(), Queue::new().unwrap());
    (0..10).for_each(|_| carrier.put(queue.clone()).unwrap());
    let child = Process::new(use_all, (vec![queue.clone(); 5], carrier)).start().unwrap();
    assert_eq!(child.join().unwrap(), 0);
    assert_eq!(queue.qsize(), 15);
}

fn without_descriptors_the_error_names_the_limit() {
    let before = open();
    let free = File::open("/dev/null").unwrap().as_raw_fd() as u64;
    for room in 0..4 {
        let made = limited(Resource::RLIMIT_NOFILE, free + room, Queue::<u32>::new);
        match made {
            Ok(_queue) => assert_eq!(room, 3),
            Err(error) => {
                let error = error.to_string();
                assert!(error.contains("RLIMIT_NOFILE") && error.contains("ulimit -n"), "{error}");
            }
        }
        assert_eq!(open(), before);
    }
}

type Item = (u32, Option<Handle>);

/// Puts items with handles until there is no room for more.
fn fill(queue: &Queue<Item>) -> u32 {
    let handle = Handle::new(pipe().unwrap().0);
    let full = |number| match queue.try_put((number, Some(handle.clone()))) {
        Ok(()) => false,
        Err(NotPutError { reason: PutError::HandlesFull, .. }) => true,
        Err(error) => panic!("{error}"),
    };
    (0..1 << 20).find(|number| full(*number)).expect("the kernel keeps no million")
}

fn items_with_handles_have_a_limit_of_their_own() {
    let queue = Queue::new().unwrap();
    let count = fill(&queue);
    // As much as the kernel gives on request; without a request it gives half of that.
    let bytes: u32 = fs::read_to_string("/proc/sys/net/core/wmem_max").unwrap().trim().parse().unwrap();
    assert!(count >= bytes / 512, "{count} items in {bytes} bytes");
    let handle = || Some(Handle::new(pipe().unwrap().0));
    let late = queue.put_timeout((count, handle()), Duration::from_millis(50)).unwrap_err();
    assert!(matches!(late.reason, PutError::HandlesFull), "{late}");
    assert!(late.to_string().contains("net.core.wmem_max"), "{late}");
    // Others have room, and each item that is taken makes room for one.
    queue.try_put((count, None)).unwrap();
    assert_eq!(queue.get().unwrap().0, 0);
    queue.try_put((count + 1, handle())).unwrap();
    let rest: Vec<u32> = (0..count + 1).map(|_| queue.get().unwrap().0).collect();
    assert_eq!(rest, (1..count + 2).collect::<Vec<u32>>());
}

fn put_three(queue: Queue<Item>) {
    (0..3).for_each(|number| queue.put((number, Some(Handle::new(pipe().unwrap().0)))).unwrap());
}

fn a_waiter_for_room_for_handles_gets_it() {
    let queue = Queue::new().unwrap();
    let count = fill(&queue);
    let child = Process::new(put_three, (queue.clone(),)).start().unwrap();
    for number in (0..count).chain(0..3) {
        assert_eq!(queue.get().unwrap().0, number);
    }
    child.join().unwrap();
}
