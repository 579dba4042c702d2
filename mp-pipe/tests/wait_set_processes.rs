//! Sets of things to wait for, with children: messages and ends of processes; and a set that a forked child has from
//! its parent.

use mp_core::sys::fd::pipe as system_pipe;
use mp_core::transfer::Handle;
use mp_core::{Process, StartMethod, Waitable};
use mp_pipe::{Connection, PollError, Receiver, Sender, WaitSet, pipe, pipe_simplex};
use std::sync::Mutex;

mp_testing::cases! {
    plain: [
        a_forked_childs_set_is_its_own,
        a_closed_member_of_which_a_child_has_a_copy_is_not_heard_of,
    ],
    every_method: [
        messages_and_sentinels_are_waited_for_together,
        children_are_served_as_they_come,
        a_killed_childs_end_is_ready,
    ],
}

fn send_one_and_wait(sender: Sender<u32>, until: Receiver<()>) {
    sender.send(&3).expect("the parent listens");
    until.recv().expect("the parent says when to stop");
}

fn messages_and_sentinels_are_waited_for_together() {
    let ((receiver, sender), (until, stop)) = (pipe_simplex().unwrap(), pipe_simplex().unwrap());
    let child = Process::new(send_one_and_wait, (sender.clone(), until)).start().unwrap();
    let sentinel = child.sentinel();
    let mut set: WaitSet<&str, &dyn Waitable> = WaitSet::new().unwrap();
    set.add("sentinel", &sentinel).unwrap();
    set.add("receiver", &receiver).unwrap();
    assert_eq!(set.wait().unwrap(), ["receiver"]);
    assert_eq!(receiver.recv().unwrap(), 3);
    assert!(matches!(set.try_wait(), Err(PollError::WouldBlock)));
    stop.send(&()).unwrap();
    assert_eq!(set.wait().unwrap(), ["sentinel"], "the sender is still open here");
    assert_eq!(set.try_wait().unwrap(), ["sentinel"], "an end lasts");
    child.join().unwrap();
}

fn double(connection: Connection<u32, u32>) {
    while let Ok(number) = connection.recv() {
        connection.send(&(2 * number)).expect("the parent listens");
    }
}

fn children_are_served_as_they_come() {
    let mut set: WaitSet<u32, Connection<u32, u32>> = WaitSet::new().unwrap();
    let start = |key| {
        let (here, there) = pipe().unwrap();
        let child = Process::new(double, (there.clone(),)).daemon().start().unwrap();
        here.send(&key).unwrap();
        set.add(key, here).unwrap();
        child
    };
    let _children: Vec<_> = (1..=3).map(start).collect();
    let mut heard = [0; 3];
    while heard != [10; 3] {
        for key in set.wait().unwrap() {
            let connection = set.get(&key).unwrap();
            assert_eq!(connection.recv().unwrap(), 2 * key);
            heard[key as usize - 1] += 1;
            if heard[key as usize - 1] < 10 {
                connection.send(&key).unwrap();
            }
        }
    }
}

fn a_killed_childs_end_is_ready() {
    let mut set = WaitSet::new().unwrap();
    let (here, there) = pipe::<u32, u32>().unwrap();
    let (idle, _other) = pipe::<u32, u32>().unwrap();
    let child = Process::new(double, (there.clone(),)).start().unwrap();
    there.close();
    set.add("idle", idle).unwrap();
    set.add("child", here).unwrap();
    assert!(matches!(set.try_wait(), Err(PollError::WouldBlock)));
    child.kill().unwrap();
    assert_eq!(set.wait().unwrap(), ["child"]);
    assert!(child.join().is_err());
}

/// What a forked child finds as its parent left it.
static SET: Mutex<Option<WaitSet<u8, Receiver<u8>>>> = Mutex::new(None);

/// Changes the set it has, and says what it hears of before and after it has taken the last one out.
fn change_and_hear() -> (Vec<u8>, Vec<u8>) {
    let mut set = SET.lock().unwrap().take().expect("the parent's, copied");
    set.remove(&1).expect("it was there");
    // In the other one's place.
    let (idle, _sender) = pipe_simplex().unwrap();
    set.add(3, idle).unwrap();
    let before = set.wait().unwrap();
    set.remove(&2).expect("it was there");
    let after = set.try_wait();
    (before, if let Err(PollError::WouldBlock) = after { vec![] } else { after.unwrap() })
}

fn a_forked_childs_set_is_its_own() {
    let (mut set, pipes) = (WaitSet::new().unwrap(), [(); 2].map(|()| pipe_simplex::<u8>().unwrap()));
    for (key, (receiver, sender)) in [1, 2].into_iter().zip(&pipes) {
        set.add(key, receiver.clone()).unwrap();
        sender.send(&0).unwrap();
    }
    *SET.lock().unwrap() = Some(set);
    let child = Process::new(change_and_hear, ()).method(StartMethod::Fork).start().unwrap();
    assert_eq!(child.join().unwrap(), (vec![2], vec![]));
    let mut set = SET.lock().unwrap().take().unwrap();
    let mut ready = set.try_wait().unwrap();
    ready.sort_unstable();
    assert_eq!(ready, [1, 2]);
}

fn hold(_copy: Handle, until: Receiver<()>) {
    until.recv().expect("the parent says when to stop");
}

/// The system forgets a descriptor only when no process has it open any more.
fn a_closed_member_of_which_a_child_has_a_copy_is_not_heard_of() {
    let ((read, write), (until, stop)) = (system_pipe().unwrap(), pipe_simplex().unwrap());
    let read = Handle::new(read);
    let holder = Process::new(hold, (read.clone(), until)).method(StartMethod::ForkServer).start().unwrap();
    let mut set = WaitSet::new().unwrap();
    set.add("read", read).unwrap();
    drop(write);
    assert_eq!(set.wait().unwrap(), ["read"]);
    drop(set.remove("read"));
    // Which has its place.
    let (idle, _other) = system_pipe().unwrap();
    set.add("idle", Handle::new(idle)).unwrap();
    assert!(matches!(set.try_wait(), Err(PollError::WouldBlock)));
    stop.send(&()).unwrap();
    holder.join().unwrap();
}
