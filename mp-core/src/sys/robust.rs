//! The C library's robust list: how the kernel finds the locks of a thread that has died.
//!
//! ```text
//!  thread ──► robust_list_head (in the C library's thread descriptor)
//!               list ──► newest held word ──► … ──► oldest ──► back to the head
//!               futex_offset          from a list entry to its 32-bit word
//!               list_op_pending ──► the word that is being acquired or released right now
//! ```
//!
//! At a thread's end, however it comes, the kernel walks that list: each word that holds the thread's id gets
//! `FUTEX_OWNER_DIED`, and one sleeper is woken. The list belongs to the C library, which keeps its own robust
//! mutexes on it, so a [`RobustWord`] has the shape of a `pthread_mutex_t`: the C library patches the
//! *neighbour's* links, and we patch its.
//!
//! # Safety
//! The one invariant: an entry is on the list of exactly the thread that wrote it there, from `enlist` to
//! `delist`, and its memory stays mapped that long ([`any_held_in`] is how a mapping knows).
//! The links lie in memory that other processes map. Before a link is followed it is compared with a copy in
//! private memory; a difference ends the process (`abort`), since no way back is safe. Links to the C
//! library's own mutexes have no copy here and are not checked.
#![allow(unsafe_code)]

mod end;

pub use end::leave_to_process;

use super::fork_handler::ForkHandler;
use super::futex::FutexWord;
use super::identity::{IDS, Liveness, thread_liveness};
use super::inherited;
use crate::word::{Ordering, Owned};
use std::cell::Cell;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize, compiler_fence};
use std::sync::{Mutex, PoisonError};

/// Which of the leading 32-bit lanes the kernel reads: the C library fixes the distance from the link.
const LANE: usize = if cfg!(target_env = "musl") { 1 } else { 0 };
const LANES: usize = 6;
const LINK_OFFSET: isize = 32;

/// Locks that one thread may hold with the kernel knowing of them; the kernel itself stops at 2,048.
pub const MOST_HELD: usize = 1024;

/// The kernel's `struct robust_list_head`.
#[repr(C)]
struct Head {
    list: AtomicPtr<AtomicUsize>,
    futex_offset: isize,
    pending: AtomicPtr<AtomicUsize>,
}

/// A futex word that the kernel marks when its owner dies. Shaped like `pthread_mutex_t`; all zero is free.
#[repr(C)]
#[derive(Debug, Default)]
pub struct RobustWord {
    lanes: [FutexWord; LANES],
    /// Address, in the owner's process, of the link of the entry enlisted after this one, or of the head.
    prev: AtomicUsize,
    /// Address, in the owner's process, of the link of the entry enlisted before this one, or of the head.
    /// The kernel's list runs through these.
    next: AtomicUsize,
}

/// A thread's private copy of its list, in memory that no other process writes.
struct Thread {
    tid: AtomicU32,
    head: AtomicPtr<Head>,
    count: AtomicUsize,
    /// Oldest first. Written by the thread alone; read by others when they unmap memory.
    held: Box<[HeldWord; MOST_HELD]>,
}

#[derive(Debug, Default)]
struct HeldWord {
    link: AtomicUsize,
    next: AtomicUsize,
}

static THREADS: Mutex<Vec<&'static Thread>> = Mutex::new(Vec::new());

/// Held over a fork beside other threads.
pub fn hold() -> impl Sized {
    THREADS.lock().unwrap_or_else(PoisonError::into_inner)
}

thread_local! {
    static THIS: Cell<Option<&'static Thread>> = const { Cell::new(None) };
}

#[inline]
fn this() -> &'static Thread {
    match THIS.get() {
        Some(thread) => thread,
        None => register(),
    }
}

#[cold]
fn register() -> &'static Thread {
    static AT_FORK: ForkHandler = ForkHandler::new(after_fork);
    AT_FORK.register();
    let held: Box<[HeldWord]> = (0..MOST_HELD).map(|_| HeldWord::default()).collect();
    let held = held.try_into().expect("as many as were made");
    let thread: &'static Thread = Box::leak(Box::new(Thread {
        tid: AtomicU32::new(id()),
        head: AtomicPtr::new(find_head()),
        count: AtomicUsize::new(0),
        held,
    }));
    let mut threads = THREADS.lock().unwrap_or_else(PoisonError::into_inner);
    threads.push(thread);
    THIS.set(Some(thread));
    // Under the lock, which is held over forks: a forked child must not find the key half made. Without a key the
    // record simply stays, and the kernel walks the list.
    super::thread_end::watch(end::ended);
    thread
}

/// The calling thread's id, as it stands in words.
fn id() -> u32 {
    super::process::gettid() | inherited::tag()
}

/// The calling thread's list head, or null where it is not of the shape this file knows, or where ids have a tag,
/// which the kernel does not know.
fn find_head() -> *mut Head {
    if inherited::tag() == 0 { kernels_head() } else { ptr::null_mut() }
}

fn kernels_head() -> *mut Head {
    let mut head: *mut Head = ptr::null_mut();
    let mut size: libc::size_t = 0;
    // SAFETY: writes the two results, both on this stack.
    let failed = unsafe { libc::syscall(libc::SYS_get_robust_list, 0, &raw mut head, &raw mut size) } != 0;
    if failed || head.is_null() || size != size_of::<Head>() {
        return ptr::null_mut();
    }
    // SAFETY: the kernel just named it as this thread's list head, of the right size.
    let offset = unsafe { (*head).futex_offset };
    if offset == (LANE * size_of::<FutexWord>()) as isize - LINK_OFFSET { head } else { ptr::null_mut() }
}

/// In a forked child: the C library has emptied the list, the thread has a new id, and other threads' locks
/// are not this thread's.
extern "C" fn after_fork() {
    if let Some(thread) = THIS.get() {
        // ORDERING: Relaxed: one thread only, just after fork.
        thread.tid.store(id(), Ordering::Relaxed);
        thread.head.store(find_head(), Ordering::Relaxed);
        thread.count.store(0, Ordering::Relaxed);
        // SAFETY: null, or this thread's own head in the C library's descriptor.
        if let Some(head) = unsafe { kernels_head().as_ref() } {
            // What the parent's thread had announced: this one does not hold it, also where its id is the same
            // number, as in another pid namespace.
            head.pending.store(ptr::null_mut(), Ordering::Relaxed);
        }
    }
    // Records of threads that do not exist here stay in the table: their locks may still be mapped, and to
    // keep such a mapping costs nothing. The table's own lock may have been held by one of them, so it is left
    // alone; `Fork` with other threads running is refused one floor up.
}

/// In a child that was forked into another pid namespace: these addresses are its parent's.
pub(crate) fn forbid(ranges: Vec<std::ops::Range<usize>>) {
    inherited::forbid(ranges);
    after_fork();
}

/// Whether any thread of this process holds a word that lies in these addresses.
pub fn any_held_in(addresses: std::ops::Range<usize>) -> bool {
    let threads = THREADS.lock().unwrap_or_else(PoisonError::into_inner);
    threads.iter().any(|thread| {
        // ORDERING: Acquire, pairs with the Release in `enlist`: the entries below `count` are seen.
        let count = thread.count.load(Ordering::Acquire).min(MOST_HELD);
        // ORDERING: Relaxed: each entry was published by `count`.
        thread.held[..count].iter().any(|held| addresses.contains(&held.link.load(Ordering::Relaxed)))
    })
}

impl RobustWord {
    /// Where its word is, in bytes from its beginning: for those that see the memory and not the type.
    pub const WORD_AT: usize = LANE * size_of::<FutexWord>();

    fn link(&self) -> *mut AtomicUsize {
        ptr::from_ref(&self.next).cast_mut()
    }

    /// Wherever on the list it is, and if it is there at all; with every link that is followed compared.
    #[cold]
    fn delist_from_between(&self, thread: &Thread, head: &Head) {
        // ORDERING: Relaxed throughout, as in `enlist`.
        let count = thread.count.load(Ordering::Relaxed);
        let me = self.link() as usize;
        let newest_first = thread.held[..count].iter().rposition(|e| e.link.load(Ordering::Relaxed) == me);
        let Some(at) = newest_first else { return };
        let next = thread.held[at].next.load(Ordering::Relaxed);
        let seen_next = self.next.load(Ordering::Relaxed);
        let seen_prev = self.prev.load(Ordering::Relaxed);
        let top = head.list.load(Ordering::Relaxed) as usize;
        // Our copy of `next` is exact unless the C library has taken its own mutex from between.
        let next_is_known =
            is_head(head, next) || thread.held[..at].iter().any(|e| e.link.load(Ordering::Relaxed) == next);
        let known_prev = if top == me {
            Some(ptr::from_ref(head) as usize)
        } else if at + 1 < count && thread.held[at + 1].next.load(Ordering::Relaxed) == me {
            Some(thread.held[at + 1].link.load(Ordering::Relaxed))
        } else {
            None
        };
        if next_is_known && seen_next != next || known_prev.is_some_and(|prev| prev != seen_prev) {
            overwritten();
        }
        unlink(head, seen_prev, seen_next);
        if at + 1 < count && thread.held[at + 1].next.load(Ordering::Relaxed) == me {
            thread.held[at + 1].next.store(seen_next, Ordering::Relaxed);
        }
        for i in at..count - 1 {
            let (to, from) = (&thread.held[i], &thread.held[i + 1]);
            to.link.store(from.link.load(Ordering::Relaxed), Ordering::Relaxed);
            to.next.store(from.next.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        // ORDERING: Release, pairs with the Acquire in `any_held_in`.
        thread.count.store(count - 1, Ordering::Release);
        compiler_fence(Ordering::SeqCst);
    }
}

impl Owned for RobustWord {
    type Word = FutexWord;

    #[inline]
    fn word(&self) -> &FutexWord {
        &self.lanes[LANE]
    }

    #[inline]
    fn me() -> u32 {
        // ORDERING: Relaxed: a thread reads its own record.
        this().tid.load(Ordering::Relaxed)
    }

    #[inline]
    fn announce(&self) {
        if let Some(head) = head(this()) {
            // ORDERING: Relaxed, for the same thread's kernel to read at its death; the compiler fence keeps
            // the store before the word is touched.
            head.pending.store(self.link(), Ordering::Relaxed);
            compiler_fence(Ordering::SeqCst);
        } else {
            inherited::refuse(self);
        }
    }

    #[inline]
    fn enlist(&self) {
        let thread = this();
        let Some(head) = head(thread) else { return };
        // ORDERING: Relaxed throughout: the list is read by this thread and, at its death, by the kernel on its
        // behalf. The compiler fences keep the order that the kernel's walk needs.
        let count = thread.count.load(Ordering::Relaxed);
        if count >= MOST_HELD {
            // The kernel will not be told of this one, not by what was announced either, since its memory may be
            // unmapped while it is held: a sleeper's timed look at the owner has to find out.
            return self.retract();
        }
        let old = head.list.load(Ordering::Relaxed);
        self.next.store(old as usize, Ordering::Relaxed);
        self.prev.store(ptr::from_ref(head) as usize, Ordering::Relaxed);
        compiler_fence(Ordering::SeqCst);
        if !is_head(head, old as usize) {
            // SAFETY: `old` is the newest entry of this thread's own list.
            unsafe { set_prev(old as usize, self.link() as usize) };
        }
        let entry = &thread.held[count];
        entry.link.store(self.link() as usize, Ordering::Relaxed);
        entry.next.store(old as usize, Ordering::Relaxed);
        // ORDERING: Release, pairs with the Acquire in `any_held_in`.
        thread.count.store(count + 1, Ordering::Release);
        head.list.store(self.link(), Ordering::Relaxed);
        compiler_fence(Ordering::SeqCst);
    }

    #[inline]
    fn delist(&self) {
        let thread = this();
        let Some(head) = head(thread) else { return };
        // ORDERING: Relaxed throughout, as in `enlist`.
        let count = thread.count.load(Ordering::Relaxed);
        let me = self.link();
        let next = self.next.load(Ordering::Relaxed);
        // Most often it is the newest, and nothing has changed around it.
        let newest = thread.held.get(count.wrapping_sub(1)).is_some_and(|newest| {
            newest.link.load(Ordering::Relaxed) == me as usize && newest.next.load(Ordering::Relaxed) == next
        });
        let first =
            head.list.load(Ordering::Relaxed) == me && is_head(head, self.prev.load(Ordering::Relaxed));
        if !newest || !first {
            return self.delist_from_between(thread, head);
        }
        unlink(head, ptr::from_ref(head) as usize, next);
        // ORDERING: Release, pairs with the Acquire in `any_held_in`.
        thread.count.store(count - 1, Ordering::Release);
        compiler_fence(Ordering::SeqCst);
    }

    #[inline]
    fn retract(&self) {
        if let Some(head) = head(this()) {
            compiler_fence(Ordering::SeqCst);
            // ORDERING: Relaxed, for the same thread's kernel; the fence keeps it after the word.
            head.pending.store(ptr::null_mut(), Ordering::Relaxed);
        }
    }

    fn kernel_tells() -> bool {
        let thread = this();
        // ORDERING: Relaxed: this thread alone writes its count.
        head(thread).is_some() && thread.count.load(Ordering::Relaxed) < MOST_HELD
    }

    fn is_dead(owner: u32) -> bool {
        thread_liveness(owner % IDS) == Liveness::Dead
    }
}

#[inline]
fn head(thread: &Thread) -> Option<&'static Head> {
    // ORDERING: Relaxed: a thread reads its own record.
    let head = thread.head.load(Ordering::Relaxed);
    // SAFETY: null, or this thread's own head in the C library's descriptor, which outlives the thread's code.
    unsafe { head.as_ref() }
}

fn is_head(head: &Head, link: usize) -> bool {
    link == ptr::from_ref(head) as usize
}

/// Takes the entry between `prev` and `next` out of the list.
#[inline]
fn unlink(head: &Head, prev: usize, next: usize) {
    // ORDERING: Relaxed, as in `enlist`: first the kernel's direction, so that its walk never meets the entry
    // by a link that is half undone.
    // SAFETY: `prev` was checked against the private copy, or is the C library's: the link of a living entry of
    // this thread, or the head, whose first field is the list.
    let prev_next = unsafe { &*(prev as *const AtomicUsize) };
    prev_next.store(next, Ordering::Relaxed);
    compiler_fence(Ordering::SeqCst);
    if !is_head(head, next) {
        // SAFETY: as above.
        unsafe { set_prev(next, prev) };
    }
}

/// Writes the backward link of the entry whose forward link is at `link`: it lies just before it, in the shape
/// that all entries share.
///
/// # Safety
/// `link` is that of a living entry of this thread's list.
#[inline]
unsafe fn set_prev(link: usize, to: usize) {
    let prev = (link - size_of::<usize>()) as *const AtomicUsize;
    // SAFETY: the caller vouches that the entry is there.
    let prev = unsafe { &*prev };
    // ORDERING: Relaxed, as in `enlist`.
    prev.store(to, Ordering::Relaxed);
}

#[cold]
fn overwritten() -> ! {
    super::process::write_stderr(
        b"mp-core: the memory of a held lock was overwritten; cannot go on safely\n",
    );
    std::process::abort()
}
