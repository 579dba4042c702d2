//! What the models of all worlds have in common: their table, and what their locks guard.

mod listless;
mod locked;
mod pair;
mod parties;

pub(crate) use listless::Listless;
pub(crate) use locked::*;
pub(crate) use pair::Pair;
pub(crate) use parties::*;

/// A test for each `explore model World;`, of a folder of models, with an effort. `-- --nocapture` shows what it cost.
macro_rules! models {
    ($from:ident, $effort:expr; $($how:ident $name:ident $world:ty;)*) => {$(
        #[test]
        fn $name() {
            let report = $how($effort, crate::$from::$name::<$world>);
            println!("{:<40} {report}", stringify!($name));
        }
    )*};
}
pub(crate) use models;
