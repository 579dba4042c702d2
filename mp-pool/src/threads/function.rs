//! What a pool of threads calls: functions and closures, with a tuple of arguments, and those that
//! [work on a state](crate::with_state) of their thread.

use mp_core::transfer::{StateType, Stateful, Target};

/// A function or closure that is called once, in a thread, with its arguments as a tuple of up to eight. It may
/// capture.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no function that can be called in a thread with these arguments",
    note = "arguments are a tuple of up to eight, as many as the function takes: `(a,)` is a tuple of one"
)]
pub trait ThreadTarget<A>: Send + 'static {
    /// What the function returns.
    type Output;
    /// Calls it.
    fn call_once(self, arguments: A) -> Self::Output;
    /// The state of its thread that it works on, besides its arguments.
    #[doc(hidden)]
    fn state() -> Option<StateType> {
        None
    }
}

/// A function or closure that is called many times, in several threads at once, with its arguments as a tuple of up to
/// eight. It may capture.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no function that can be called in several threads with these arguments",
    note = "arguments are a tuple of up to eight, as many as the function takes: `(a,)` is a tuple of one"
)]
pub trait ThreadFunction<A>: Send + Sync + 'static {
    /// What the function returns.
    type Output;
    /// Calls it.
    fn call(&self, arguments: A) -> Self::Output;
    /// The state of its thread that it works on, besides its arguments.
    #[doc(hidden)]
    fn state() -> Option<StateType> {
        None
    }
}

macro_rules! targets {
    ($(($($name:ident),*))*) => {$(
        impl<Func, Out, $($name),*> ThreadTarget<($($name,)*)> for Func
        where
            Func: FnOnce($($name),*) -> Out + Send + 'static,
        {
            type Output = Out;
            #[allow(non_snake_case, reason = "one name serves as type and as variable")]
            fn call_once(self, ($($name,)*): ($($name,)*)) -> Out {
                self($($name),*)
            }
        }

        impl<Func, Out, $($name),*> ThreadFunction<($($name,)*)> for Func
        where
            Func: Fn($($name),*) -> Out + Send + Sync + 'static,
        {
            type Output = Out;
            #[allow(non_snake_case, reason = "one name serves as type and as variable")]
            fn call(&self, ($($name,)*): ($($name,)*)) -> Out {
                self($($name),*)
            }
        }
    )*};
}
targets! {
    () (A) (A, B) (A, B, C) (A, B, C, D) (A, B, C, D, E) (A, B, C, D, E, F) (A, B, C, D, E, F, G) (A, B, C, D, E, F, G, H)
}

macro_rules! stateful {
    ($(($($name:ident),*))*) => {$(
        impl<Func, S, Out, $($name),*> ThreadTarget<($($name,)*)> for Stateful<Func, S>
        where
            Func: Fn(&mut S, $($name),*) -> Out + Copy + Send + 'static,
            S: 'static,
        {
            type Output = Out;
            fn call_once(self, arguments: ($($name,)*)) -> Out {
                Target::call(&self, arguments)
            }
            fn state() -> Option<StateType> {
                <Self as Target<($($name,)*)>>::state()
            }
        }

        impl<Func, S, Out, $($name),*> ThreadFunction<($($name,)*)> for Stateful<Func, S>
        where
            Func: Fn(&mut S, $($name),*) -> Out + Copy + Send + Sync + 'static,
            S: 'static,
        {
            type Output = Out;
            fn call(&self, arguments: ($($name,)*)) -> Out {
                Target::call(self, arguments)
            }
            fn state() -> Option<StateType> {
                <Self as Target<($($name,)*)>>::state()
            }
        }
    )*};
}
stateful! {
    () (A) (A, B) (A, B, C) (A, B, C, D) (A, B, C, D, E) (A, B, C, D, E, F) (A, B, C, D, E, F, G)
}
