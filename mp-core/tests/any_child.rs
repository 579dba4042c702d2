//! Handles without the type of the value: a list of children of several kinds, `active_children`, and the parent.

use mp_core::CodecError;
use mp_core::sys::fd::pipe;
use mp_core::sys::poll::{Interest, poll};
use mp_core::transfer::{Function, Handle};
use mp_core::{AnyChild, Child, JoinError, Process, active_children, parent_process};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsFd;
use std::time::Duration;

mp_testing::cases! {
    plain: [a_main_process_has_no_parent],
    every_method: [
        children_of_several_types_stand_in_one_list,
        active_children_can_be_ended_and_joined,
        an_untyped_handle_leaves_the_value_to_the_typed_one,
        a_child_waits_for_its_parents_end_beside_other_things,
        functions_cross_as_values,
        a_panic_of_a_function_goes_on_through,
    ]
}

fn stay() {
    mp_testing::stay();
}

/// The next line of what a process says.
fn line(from: &mut BufReader<File>) -> String {
    let mut line = String::new();
    from.read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

fn exit_with(code: i32) -> u8 {
    std::process::exit(code)
}

fn children_of_several_types_stand_in_one_list() {
    let panics = || -> String { panic!("on purpose") };
    let children: Vec<AnyChild> = vec![
        Process::new(|| 7_u64, ()).name("number").start().unwrap().into(),
        Process::new(|| "seven".to_owned(), ()).start().unwrap().into(),
        Process::new(panics, ()).start().unwrap().into(),
        Process::new(exit_with, (3,)).start().unwrap().into(),
    ];
    let ends: Vec<Result<(), JoinError>> = children.iter().map(AnyChild::join).collect();
    assert!(ends[0].is_ok() && ends[1].is_ok(), "{ends:?}");
    assert!(matches!(&ends[2], Err(JoinError::Panicked { message, .. }) if message == "on purpose"));
    assert!(matches!(ends[3], Err(JoinError::Exited(3))));
    let codes: Vec<Option<i32>> = children.iter().map(AnyChild::exitcode).collect();
    assert_eq!(codes, [Some(0), Some(0), Some(101), Some(3)]);
    assert_eq!((children[0].name(), children[0].is_alive()), ("number", false));
}

/// Python's `for p in active_children(): p.terminate()`.
fn active_children_can_be_ended_and_joined() {
    let started: Vec<Child<()>> = (0..3).map(|_| Process::new(stay, ()).start().unwrap()).collect();
    let active = active_children();
    assert!(active.iter().eq(started.iter().map(AnyChild::from).collect::<Vec<_>>().iter()));
    for child in &active {
        assert!(child.is_alive() && matches!(child.try_join(), Err(JoinError::WouldBlock)));
        child.terminate().unwrap();
        assert!(matches!(child.join(), Err(JoinError::Killed(15))));
    }
    assert!(active_children().is_empty());
    assert_eq!(started[2].exitcode(), Some(-15));
}

fn an_untyped_handle_leaves_the_value_to_the_typed_one() {
    let child = Process::new(|| vec![1_u8, 2], ()).start().unwrap();
    let any = AnyChild::from(&child);
    assert!(any.join().is_ok() && any.clone().join().is_ok());
    assert_eq!(child.join().unwrap(), [1, 2]);
}

fn a_main_process_has_no_parent() {
    assert!(parent_process().is_none());
}

fn wait_for_either(mut report: File, never: &File) {
    let parent = parent_process().unwrap();
    let either = [(never.as_fd(), Interest::Read), (parent.sentinel(), Interest::Read)];
    assert_eq!(poll(&either, mp_core::word::Deadline::after(Duration::ZERO)).unwrap(), []);
    writeln!(report, "waits {}", parent.is_alive()).unwrap();
    let ready = poll(&either, None).unwrap();
    writeln!(report, "{ready:?} {}", parent.is_alive()).unwrap();
}

fn watch(report: Handle) {
    let (read, _write) = pipe().unwrap();
    wait_for_either(File::from(report.into_fd().unwrap()), &File::from(read));
}

fn parent_of_a_watcher(report: Handle) {
    let _watcher = Process::new(watch, (report,)).not_daemon().start().unwrap();
    stay();
}

fn a_child_waits_for_its_parents_end_beside_other_things() {
    // What outlives its parent is this case's to reap.
    mp_core::sys::process::become_subreaper().unwrap();
    let (read, write) = pipe().unwrap();
    let middle = Process::new(parent_of_a_watcher, (Handle::new(write),)).not_daemon().start().unwrap();
    let mut report = BufReader::new(File::from(read));
    assert_eq!(line(&mut report), "waits true");
    middle.kill().unwrap();
    assert_eq!(line(&mut report), "[1] false");
    assert!(middle.join().is_err());
}

fn mul(a: i32, b: i32) -> i32 {
    a * b
}

type Op = Function<(i32, i32), i32>;

fn calculate(operations: Vec<(Op, (i32, i32))>) -> (Vec<i32>, Op) {
    let results = operations.iter().map(|(operation, arguments)| operation.call(*arguments).unwrap());
    (results.collect(), operations[0].0)
}

/// Python's pool example: a function as an argument of a function.
fn functions_cross_as_values() {
    let (mul, plus) = (Op::new(mul).unwrap(), Op::new(|a, b| a + b).unwrap());
    let child = Process::new(calculate, (vec![(mul, (6, 7)), (plus, (6, 7))],)).start().unwrap();
    let (results, back) = child.join().unwrap();
    assert_eq!(results, [42, 13]);
    assert!(back == mul && back != plus);
    assert_eq!(back.call((2, 3)).unwrap(), 6);
}

fn call(function: Function<(), ()>) -> Result<(), String> {
    function.call(()).map_err(|error: CodecError| error.to_string())
}

fn fail() {
    panic!("in the function");
}

fn a_panic_of_a_function_goes_on_through() {
    let child = Process::new(call, (Function::new(fail).unwrap(),)).start().unwrap();
    assert!(matches!(child.join(), Err(JoinError::Panicked { message, .. }) if message == "in the function"));
}
