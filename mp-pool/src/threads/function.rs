//! What a pool of threads calls: functions and closures, with a tuple of arguments.

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
