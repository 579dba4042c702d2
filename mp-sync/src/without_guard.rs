//! What a condition cannot do without its lock, so that the compiler says what to do instead.

use crate::condition::Condition;

/// Implemented by nothing: a bound that says why it is not met.
#[diagnostic::on_unimplemented(
    message = "a condition is notified and waited for by the guard of its lock, and not by itself",
    label = "the guard has this method",
    note = "`let mut guard = condition.acquire()?;` and then `guard.notify_all()` or `guard.wait()?`"
)]
#[doc(hidden)]
pub trait HasTheLock {}

macro_rules! refused {
    ($($name:ident($($argument:ident: $type:ty)?);)*) => {
        /// Each is a method of [`ConditionGuard`](crate::ConditionGuard); none of these can be called.
        impl<L> Condition<L> {
            $(
                #[doc(hidden)]
                pub fn $name(&self $(, $argument: $type)?)
                where
                    Condition<L>: HasTheLock,
                {
                    $(let _ = $argument;)?
                }
            )*
        }
    };
}
refused! { notify_one(); notify(count: u32); notify_all(); wait(); }
