//! Why a value did not cross: what its own code said, what the format cannot carry, what the system lacked.

use mp_core::sys::fd::{pipe, put_at_standard};
use mp_core::transfer::Handle;
use mp_core::{JoinError, Process, StartError, StartMethod};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fs::OpenOptions;
use std::os::fd::AsFd;

mp_testing::cases! {
    plain: [
        a_refused_argument_says_why,
        a_refused_result_says_why,
        a_field_that_is_left_out_is_refused_at_the_start,
        a_type_that_must_be_described_is_refused_at_the_start,
        a_result_that_must_be_described_is_refused_in_the_child,
        a_call_that_does_not_arrive_says_why,
        a_result_that_finds_no_memory_says_why,
        a_long_message_of_a_panic_that_finds_no_memory_is_cut,
    ]
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "i32", into = "i32")]
struct Positive(i32);

impl TryFrom<i32> for Positive {
    type Error = String;
    fn try_from(number: i32) -> Result<Self, String> {
        if number > 0 { Ok(Positive(number)) } else { Err(format!("{number} is not positive")) }
    }
}

impl From<Positive> for i32 {
    fn from(Positive(number): Positive) -> i32 {
        number
    }
}

fn both() -> [StartMethod; 2] {
    [StartMethod::ForkServer, StartMethod::Spawn]
}

fn give<T>(value: T) -> T {
    value
}

fn a_refused_argument_says_why() {
    for method in both() {
        let child = Process::new(give::<Positive>, (Positive(-3),)).method(method).start().unwrap();
        let error = child.join().unwrap_err();
        assert!(matches!(error, JoinError::Failed(_)), "{error:?}");
        assert!(error.to_string().contains("-3 is not positive"), "{error}");
    }
}

fn negative() -> Positive {
    Positive(-4)
}

fn a_refused_result_says_why() {
    for method in both() {
        let error = Process::new(negative, ()).method(method).start().unwrap().join().unwrap_err();
        assert!(matches!(error, JoinError::Value(_)), "{error:?}");
        assert!(error.to_string().contains("-4 is not positive"), "{error}");
    }
}

fn refused_at_the_start<T: Serialize + DeserializeOwned + 'static>(value: T) -> String {
    let error = Process::new(give::<T>, (value,)).method(StartMethod::ForkServer).start().unwrap_err();
    assert!(matches!(error, StartError::Arguments(_)), "{error:?}");
    error.to_string()
}

#[derive(Debug, Serialize, Deserialize)]
struct Order {
    #[serde(skip_serializing_if = "Option::is_none", default)]
    discount: Option<u8>,
    lines: Option<Vec<u8>>,
}

fn a_field_that_is_left_out_is_refused_at_the_start() {
    let text = refused_at_the_start(Order { discount: None, lines: Some(vec![0]) });
    assert!(text.contains("`discount` of Order") && text.contains("SelfDescribing"), "{text}");
    // With a value it is there, and crosses.
    let order = Order { discount: Some(1), lines: None };
    let back = Process::new(give::<Order>, (order,)).start().unwrap().join().unwrap();
    assert_eq!((back.discount, back.lines), (Some(1), None));
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Either {
    Number(i64),
    Text(String),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "kind")]
enum Tagged {
    One { x: i32 },
}

fn a_type_that_must_be_described_is_refused_at_the_start() {
    for text in [
        refused_at_the_start(Either::Number(1)),
        refused_at_the_start(vec![Either::Text("x".into())]),
        refused_at_the_start(Some(Tagged::One { x: 1 })),
    ] {
        assert!(text.contains("describes itself") && text.contains("SelfDescribing"), "{text}");
    }
}

fn tagged() -> Tagged {
    Tagged::One { x: 1 }
}

fn a_result_that_must_be_described_is_refused_in_the_child() {
    let error = Process::new(tagged, ()).start().unwrap().join().unwrap_err();
    assert!(matches!(error, JoinError::Failed(_)), "{error:?}");
    assert!(
        error.to_string().contains("the result of the function: ") && error.to_string().contains("Tagged"),
        "{error}"
    );
}

fn count(handles: Vec<Handle>) -> usize {
    handles.len()
}

/// A template began with a low limit, and so its forks have it until they know what to do.
fn a_call_that_does_not_arrive_says_why() {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, 40, most).unwrap();
    let few = Process::new(count, (vec![],)).method(StartMethod::ForkServer).start().unwrap();
    assert_eq!(few.join().unwrap(), 0);
    setrlimit(Resource::RLIMIT_NOFILE, most.min(4096), most).unwrap();
    let handles: Vec<Handle> = (0..60).map(|_| Handle::new(pipe().unwrap().0)).collect();
    let error =
        Process::new(count, (handles,)).method(StartMethod::ForkServer).start().unwrap().join().unwrap_err();
    assert!(matches!(error, JoinError::Failed(_)), "{error:?}");
    assert!(error.to_string().contains("RLIMIT_NOFILE"), "{error}");
}

/// From here on the child can make no file, or has no descriptor for one.
fn allow(none_of: usize) {
    let which = [Resource::RLIMIT_FSIZE, Resource::RLIMIT_NOFILE][none_of];
    let (_, most) = getrlimit(which).unwrap();
    setrlimit(which, 0, most).unwrap();
}

fn long_result(none_of: usize) -> Vec<u8> {
    allow(none_of);
    vec![7; 1 << 20]
}

fn long_panic(none_of: usize) {
    // The panic is printed, which to a file would end the process by SIGXFSZ.
    put_at_standard(OpenOptions::new().write(true).open("/dev/null").unwrap().as_fd(), 2).unwrap();
    allow(none_of);
    panic!("{}", "x".repeat(1 << 20))
}

const LIMITS: [&str; 2] = ["RLIMIT_FSIZE", "RLIMIT_NOFILE"];

fn a_result_that_finds_no_memory_says_why() {
    for method in [StartMethod::ForkServer, StartMethod::Spawn, StartMethod::Fork] {
        for (none_of, limit) in LIMITS.into_iter().enumerate() {
            let error =
                Process::new(long_result, (none_of,)).method(method).start().unwrap().join().unwrap_err();
            assert!(matches!(error, JoinError::Failed(_)), "{method:?} {limit}: {error:?}");
            let text = error.to_string();
            assert!(text.contains("cannot send its result") && text.contains(limit), "{method:?}: {text}");
        }
    }
}

fn a_long_message_of_a_panic_that_finds_no_memory_is_cut() {
    for (none_of, limit) in LIMITS.into_iter().enumerate() {
        match Process::new(long_panic, (none_of,)).start().unwrap().join().unwrap_err() {
            JoinError::Panicked { message, location } => {
                let kept = message.trim_start_matches('x');
                assert!(kept.starts_with(" [cut") && message.len() > 10_000, "{limit}: {kept}");
                assert!(location.contains("reasons.rs"), "{location}");
            }
            other => panic!("{limit}: {other:?}"),
        }
    }
}
