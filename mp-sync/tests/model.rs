//! Row 38 of what may go wrong: releasing what is not held, closing twice, in any order, by any actor.
//! Sequences of calls by two threads and a child, against a model; and the model against CPython itself.
//!
//! Use after the last close is no case: a handle that was dropped cannot be named. Where the two differ on
//! purpose is in one place, `Rules`: here a lock has an owner. `MP_SEQUENCES=5000` tries so many, of up to 60
//! calls each.

#[path = "model/actors.rs"]
mod actors;
#[path = "model/machine.rs"]
mod machine;

use actors::{ACTORS, Actors, What};
use machine::{Answer, Lockable, Meeting, Model, Op, PERMITS, Rules};
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, prop_oneof};
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use std::io::{BufRead, BufReader, Write};

mp_testing::cases! {
    plain: [
        the_model_answers_as_cpython_does,
        a_wrong_model_is_found_out,
    ],
    every_method: [
        every_answer_is_the_models,
    ]
}

/// The actor, its action, and the handle that it uses.
type Step = (usize, usize, What);

fn lockables() -> impl Strategy<Value = Lockable> {
    select(&[Lockable::Lock, Lockable::RLock, Lockable::Semaphore, Lockable::Bounded])
}

fn meetings() -> impl Strategy<Value = Meeting> {
    select(&[Meeting::One, Meeting::Two])
}

fn ops() -> impl Strategy<Value = Op> {
    prop_oneof![
        3 => lockables().prop_map(Op::TryAcquire),
        2 => lockables().prop_map(Op::AcquireZero),
        2 => lockables().prop_map(Op::Acquire),
        6 => lockables().prop_map(Op::Release),
        1 => lockables().prop_map(Op::Locked),
        2 => select(&[Op::Value, Op::BoundedValue, Op::Depth]),
        3 => select(&[Op::Set, Op::Clear, Op::IsSet, Op::Wait]),
        2 => meetings().prop_map(Op::Meet),
        1 => meetings().prop_map(Op::Abort),
        2 => meetings().prop_map(Op::Reset),
        2 => meetings().prop_map(Op::Broken),
        1 => meetings().prop_map(Op::Waiting),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let what = prop_oneof![
        20 => ops().prop_map(What::Op),
        1 => Just(What::Clone),
        1 => Just(What::Travel),
        2 => Just(What::Close),
    ];
    vec((0..ACTORS, 0..8_usize, what), 1..60)
}

/// One that would have to wait only tries.
fn that_comes_back(op: Op, actor: usize, model: &Model) -> Op {
    match op {
        Op::Acquire(which) if model.clone().answer(actor, op) == Answer::No => Op::TryAcquire(which),
        other => other,
    }
}

/// Compares each answer with the model's.
fn play(actors: &Actors, mut model: Model, steps: &[Step]) -> Result<(), TestCaseError> {
    let objects = actors.begin();
    let wrong = steps.iter().find_map(|(actor, handle, what)| {
        let (what, expected) = match what {
            What::Op(op) => {
                let op = that_comes_back(*op, *actor, &model);
                (What::Op(op), model.answer(*actor, op))
            }
            other => (*other, Answer::Done),
        };
        let answer = actors.answer(*actor, *handle, what);
        (answer != expected).then(|| format!("actor {actor}, {what:?}: {answer}, and not {expected}"))
    });
    actors.end(&objects);
    wrong.map_or(Ok(()), |wrong| Err(TestCaseError::fail(wrong)))
}

fn sequences() -> u32 {
    std::env::var("MP_SEQUENCES").map_or(200, |number| number.parse().unwrap())
}

fn runner() -> TestRunner {
    TestRunner::new(Config { cases: sequences(), failure_persistence: None, ..Config::default() })
}

fn every_answer_is_the_models() {
    let actors = Actors::new();
    let played = runner().run(&steps(), |steps| play(&actors, Model::new(Rules::Ours), &steps));
    played.unwrap_or_else(|failure| panic!("{failure}"));
    actors.join();
}

/// That such sequences do find a difference: that of the rules.
fn a_wrong_model_is_found_out() {
    let actors = Actors::new();
    let played = runner().run(&steps(), |steps| play(&actors, Model::new(Rules::Python), &steps));
    let failure = played.unwrap_err().to_string();
    assert!(failure.contains("Release(Lock)): refused, and not None"), "{failure}");
    actors.join();
}

/// As `python.py` reads it.
fn line(actor: usize, op: Op) -> String {
    let text = format!("{op:?}");
    let (name, object) = text.trim_end_matches(')').split_once('(').unwrap_or((
        &text,
        match op {
            Op::Value => "Semaphore",
            Op::BoundedValue => "Bounded",
            Op::Depth => "RLock",
            _ => "Event",
        },
    ));
    format!("{actor} {name} {object}\n")
}

/// Where there is a CPython that can read the script, which has a `match`.
fn the_model_answers_as_cpython_does() {
    let newest = mp_testing::pythons((3, 10)).pop().expect("one at least");
    let mut python = newest.script(include_str!("model/python.py")).arg(PERMITS.to_string()).spawn().unwrap();
    let mut asked = python.stdin.take().unwrap();
    let mut answers = BufReader::new(python.stdout.take().unwrap()).lines();
    let (mut model, mut runner) = (Model::new(Rules::Python), runner());
    for _ in 0..30 * sequences() {
        let (actor, op) = (0..ACTORS, ops()).new_tree(&mut runner).unwrap().current();
        let op = that_comes_back(op, actor, &model);
        asked.write_all(line(actor, op).as_bytes()).unwrap();
        let answer = answers.next().expect("python3 ended").unwrap();
        assert_eq!(answer, model.answer(actor, op).to_string(), "actor {actor}, {op:?}, {model:?}");
    }
    drop(asked);
    assert!(python.wait().unwrap().success());
}
