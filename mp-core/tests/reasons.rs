//! Why a value did not cross: what its own code said, what the format cannot carry, what the system lacked.

use mp_core::sys::fd::pipe;
use mp_core::transfer::Handle;
use mp_core::{JoinError, Process, StartError, StartMethod};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

mp_testing::cases! {
    plain: [
        a_refused_argument_says_why,
        a_refused_result_says_why,
        a_field_that_is_left_out_is_refused_at_the_start,
        a_type_that_must_be_described_is_refused_at_the_start,
        a_result_that_must_be_described_is_refused_in_the_child,
        a_call_that_does_not_arrive_says_why,
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
