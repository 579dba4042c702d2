//! The slots in the model checker: every schedule with a few preemptions, and a client killed before each of its
//! accesses, or the server.
//!
//! A lost wake is a deadlock, which loom reports; no timed look stands in for it. Requests and replies are words that
//! are read and written without an ordering, so a missing Acquire or Release is an old value that is read.

use super::{Answer, Asked, Client, Partner, Shape, Slots};
use mp_core::word::{Ordering, Word};
use mp_model::thorough::{Atomic, AtomicU32, Fuse, Life, live_here, spawn, yield_now};
use mp_model::{AnyOwned, AnyWord};
use std::sync::Arc;

const SHAPE: Shape = Shape { slots: 2, apart: 2, slot: 1, life: 1 };

/// The slots, what is in them, and the doorbell: a count, as an eventfd has one.
struct World<W> {
    slots: Slots<Vec<W>>,
    bodies: Vec<W>,
    doorbell: W,
}

type Shared<W> = Arc<World<W>>;

fn world<W: AnyWord>() -> Shared<W> {
    world_with(W::default())
}

fn world_with<W: AnyWord>(life: W) -> Shared<W> {
    let words = |count| (0..count).map(|_| W::default()).collect::<Vec<W>>();
    let mut of_slots = words(SHAPE.words());
    of_slots[SHAPE.life] = life;
    let slots = Slots::new(of_slots, SHAPE).expect("as many words as it takes");
    Arc::new(World { slots, bodies: words(SHAPE.slots as usize), doorbell: W::default() })
}

impl<W: Word> World<W> {
    fn ring(&self) {
        // ORDERING: AcqRel: a system call.
        self.doorbell.fetch_add(1, Ordering::AcqRel);
        self.doorbell.wake(1);
    }

    /// Client: a call, whose reply is its argument and one more.
    fn call(&self, slot: u32, argument: u32) {
        assert_eq!(self.try_call(slot, argument), Answer::Here(2));
    }

    /// The same, where the server may end.
    fn try_call(&self, slot: u32, argument: u32) -> Answer {
        // ORDERING: Relaxed, here and below: bytes have none either.
        self.bodies[slot as usize].store(argument, Ordering::Relaxed);
        self.slots.ask(slot, 1, || self.ring());
        let answer = self.slots.wait(slot, Partner::Apart, None, || false);
        let answer = answer.expect("without a deadline there is one");
        if let Answer::Here(_) = answer {
            let reply = self.bodies[slot as usize].load(Ordering::Relaxed);
            assert_eq!(reply, argument + 1, "a reply that is not there");
            self.slots.leave(slot);
        }
        answer
    }

    /// Server: serves until it has served so many calls of each slot; of the first one none, once its owner has died.
    fn serve(&self, calls: [u32; 2], is_dead: impl Fn() -> bool) {
        let (mut seen, mut served) = (0, [0, 0]);
        let mut owed = Vec::new();
        while served[1] < calls[1] || served[0] < calls[0] && !is_dead() {
            let mut bits = self.slots.take(0);
            if bits == 0 {
                owed.drain(..).for_each(|slot| self.slots.wake(slot));
            }
            if bits == 0 && self.slots.begin_sleep(SHAPE.slots) {
                self.doorbell.wait(seen, None);
                self.slots.end_sleep();
                // ORDERING: AcqRel, as above.
                seen = self.doorbell.fetch_add(0, Ordering::AcqRel);
            }
            while bits != 0 {
                let slot = bits.trailing_zeros() as usize;
                bits &= bits - 1;
                if self.slots.request(slot as u32) == Some(Asked::Waits(1)) {
                    let argument = self.bodies[slot].load(Ordering::Relaxed);
                    assert_ne!(argument, 0, "a request that is not there");
                    self.bodies[slot].store(argument + 1, Ordering::Relaxed);
                    if self.slots.answer(slot as u32, Answer::Here(2)) == Client::Sleeps {
                        owed.push(slot as u32);
                    }
                    served[slot] += 1;
                }
            }
        }
        owed.into_iter().for_each(|slot| self.slots.wake(slot));
    }

    fn serve_all(&self, calls: [u32; 2]) {
        self.serve(calls, || false);
    }
}

fn client<W: AnyWord>(world: &Shared<W>, slot: u32, calls: u32, fuse: &Fuse) -> Life<()> {
    let world = Arc::clone(world);
    spawn(fuse, move || (1..=calls).for_each(|call| world.call(slot, 10 * call)))
}

fn a_call_is_answered<W: AnyWord>() {
    let world = world::<W>();
    let client = client(&world, 0, 1, &Fuse::never());
    world.serve_all([1, 0]);
    client.join().unwrap();
}

fn a_slot_is_used_again<W: AnyWord>() {
    let world = world::<W>();
    let client = client(&world, 0, 2, &Fuse::never());
    world.serve_all([2, 0]);
    client.join().unwrap();
}

fn both_clients_are_answered<W: AnyWord>() {
    let world = world::<W>();
    let clients = [0, 1].map(|slot| client(&world, slot, 1, &Fuse::never()));
    world.serve_all([1, 1]);
    clients.into_iter().for_each(|client| client.join().unwrap());
}

/// Either the client has the answer or the server undoes the call; then the slot is used again.
fn a_call_that_is_given_up_is_answered_or_undone<W: AnyWord>() {
    let world = world::<W>();
    let asking = Arc::clone(&world);
    let client = spawn(&Fuse::never(), move || {
        asking.bodies[0].store(10, Ordering::Relaxed);
        asking.slots.ask(0, 1, || asking.ring());
        let answer = asking.slots.wait(0, Partner::Apart, mp_model::soon(), || false);
        let is_left = answer.is_none() && asking.slots.give_up(0);
        if !is_left {
            let answer = answer.or_else(|| asking.slots.wait(0, Partner::Apart, None, || false));
            assert_eq!(answer, Some(Answer::Here(2)));
            assert_eq!(asking.bodies[0].load(Ordering::Relaxed), 11, "a reply that is not there");
        }
        is_left
    });
    let mut undone = None;
    while undone.is_none() {
        if world.slots.take(0) == 0 {
            yield_now();
            continue;
        }
        undone = Some(match world.slots.request(0) {
            Some(Asked::Left(_)) => world.slots.answer(0, Answer::Over) == Client::Left,
            _ => {
                world.bodies[0].store(11, Ordering::Relaxed);
                let client = world.slots.answer(0, Answer::Here(2));
                if client == Client::Sleeps {
                    world.slots.wake(0);
                }
                client == Client::Left
            }
        });
    }
    assert_eq!(client.join(), undone, "answered and undone, or neither");
    assert!(world.slots.is_answered(0));
}

/// The kernel ends the victim's connection, which wakes a server that sleeps.
fn a_killed_client_strands_no_other<W: AnyWord>(fuse: &Fuse) {
    let world = world::<W>();
    let dead = Arc::new(AtomicU32::default());
    let victim = client(&world, 0, 1, fuse);
    let (served, is_dead) = (Arc::clone(&world), Arc::clone(&dead));
    let server = spawn(&Fuse::never(), move || {
        // ORDERING: Acquire, pairs with the Release below: a system call.
        served.serve([1, 1], || Atomic::load(&*is_dead, Ordering::Acquire) == 1);
    });
    world.call(1, 10);
    victim.join();
    // ORDERING: Release, as above.
    Atomic::store(&*dead, 1, Ordering::Release);
    world.ring();
    server.join().unwrap();
}

fn the_next_owner_of_a_slot_is_answered<W: AnyWord>(fuse: &Fuse) {
    let world = world::<W>();
    let asking = Arc::clone(&world);
    spawn(fuse, move || asking.slots.ask(0, 1, || asking.ring())).join();
    world.slots.clear(0);
    let next = client(&world, 0, 1, &Fuse::never());
    world.serve_all([1, 0]);
    next.join().unwrap();
}

/// The kernel writes the life word and wakes one, which wakes the other.
fn a_killed_server_is_noticed_by_all<O: AnyOwned<Word: Clone>>(fuse: &Fuse) {
    let life = O::default();
    let world = world_with(life.word().clone());
    let mut clients = Vec::new();
    let server = live_here(fuse, || {
        super::life::begin(&life);
        for slot in [0, 1] {
            let world = Arc::clone(&world);
            clients.push(spawn(&Fuse::never(), move || world.try_call(slot, 10)));
        }
        world.serve_all([1, 1]);
        super::life::end(&life);
    });
    for client in clients {
        let answer = client.join().unwrap();
        assert!(server.is_none() || answer == Answer::Here(2), "an answer that is lost");
    }
}

/// Each model a test of its name, as `how name to bound;`.
macro_rules! models {
    ($($how:ident $name:ident to $effort:expr;)*) => {
        mod walk {
            use mp_model::thorough::bound;
            $(
                #[test]
                fn $name() {
                    let report = mp_model::thorough::$how($effort, super::$name::<mp_model::thorough::ModelWord>);
                    println!("{:<60} {report}", stringify!($name));
                }
            )*
        }
    };
}

models! {
    explore a_call_is_answered to bound();
    explore a_slot_is_used_again to bound() - 1;
    explore a_call_that_is_given_up_is_answered_or_undone to bound();
    explore both_clients_are_answered to bound() - 2;
    sweep a_killed_client_strands_no_other to bound() - 2;
    sweep the_next_owner_of_a_slot_is_answered to bound() - 1;
}

#[test]
fn the_kernel_tells_all_of_a_killed_server() {
    use mp_model::thorough::{ModelOwned, bound, sweep};
    println!("{}", sweep(bound() - 3, a_killed_server_is_noticed_by_all::<ModelOwned>));
}

/// Words with one fault each, with which a model must fail for the reason that the fault is.
mod mutants {
    use super::*;
    use mp_model::thorough::{Faulty, FaultyOwned, bound, explore, sweep};
    use mp_model::{AcquireIsRelaxed, NeverEnlisted, NoFences, NoneIsWoken, ReleaseIsRelaxed};

    macro_rules! mutants {
        ($($model:ident in $fault:ty: $says:literal;)* => $($swept:ident in $in:ty: $tells:literal;)*) => {
            const MUTANTS: &[mp_model::Mutant] = &[$(mp_model::Mutant {
                name: concat!(stringify!($model), " in ", stringify!($fault)),
                says: $says,
                run: || {
                    explore(bound() - 1, $model::<Faulty<$fault>>);
                },
            },)* $(mp_model::Mutant {
                name: concat!(stringify!($swept), " in ", stringify!($in)),
                says: $tells,
                run: || {
                    sweep(bound() - 2, $swept::<FaultyOwned<$in>>);
                },
            }),*];

            mp_model::mutant_tests!(MUTANTS);
        };
    }

    mutants! {
        a_call_is_answered in NoFences: "deadlock";
        a_call_is_answered in NoneIsWoken: "deadlock";
        a_call_is_answered in ReleaseIsRelaxed: "not there";
        a_call_is_answered in AcquireIsRelaxed: "not there";
        =>
        a_killed_server_is_noticed_by_all in NeverEnlisted: "deadlock";
    }
}
