//! Functions that work on a state of their process: the value of a pool's initializer, or what a fork has copied.
//!
//! ```text
//!  worker's start:  keep(initializer) ──call──► the thread's STATE
//!  each task:       with_state(function) ──call──► function(&mut STATE, arguments)
//! ```
//!
//! Both are functions of no size, as all that cross. Their type says which state they want, so what submits one can
//! compare it with the state that its workers have ([`Target::state`]).
//!
//! # When a process dies
//! The state is in its own memory, and ends with it. Its successor makes a new one.

use super::func::{StateType, Target};
use std::any::Any;
use std::cell::RefCell;
use std::fmt;
use std::marker::PhantomData;

thread_local! {
    static STATE: RefCell<Option<Box<dyn Any>>> = const { RefCell::new(None) };
}

/// A function whose first argument is the state of the worker that calls it. Made by [`with_state`].
pub struct Stateful<F, S> {
    function: F,
    state: PhantomData<fn(&mut S)>,
}

/// Makes a task of a function whose first argument is a `&mut S`: the state that its worker has, which is the value of
/// the pool's `initializer_value`, or what its workers were forked from. The other arguments are the task's own.
///
/// ```no_run
/// # struct Model;
/// # impl Model { fn predict(&mut self, x: u64) -> u64 { x } }
/// use mp_core::transfer::with_state;
///
/// fn predict(model: &mut Model, x: u64) -> u64 {
///     model.predict(x)
/// }
///
/// let task = with_state(predict);
/// # let _: mp_core::transfer::Stateful<_, Model> = task;
/// ```
///
/// It goes wherever a function goes that a pool calls. A pool whose workers have another state, or none, refuses it
/// when it is submitted. A task that panics leaves the state as it is at that moment.
///
/// # Panics
/// Called outside a worker that has such a state.
///
/// Python has no counterpart; mpire calls it `use_worker_state`.
#[doc(alias = "worker_state")]
pub fn with_state<F, S>(function: F) -> Stateful<F, S> {
    Stateful { function, state: PhantomData }
}

impl<F: Copy, S> Clone for Stateful<F, S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<F: Copy, S> Copy for Stateful<F, S> {}

impl<F, S> fmt::Debug for Stateful<F, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::any::type_name::<Self>())
    }
}

macro_rules! stateful {
    ($(($($name:ident),*))*) => {$(
        impl<Func, S, Out, $($name),*> Target<($($name,)*)> for Stateful<Func, S>
        where
            Func: Fn(&mut S, $($name),*) -> Out + Copy + Send + 'static,
            S: 'static,
        {
            type Output = Out;
            #[allow(non_snake_case, reason = "one name serves as type and as variable")]
            fn call(&self, ($($name,)*): ($($name,)*)) -> Out {
                on_state(|state: &mut S| (self.function)(state, $($name),*))
            }
            fn state() -> Option<StateType> {
                Some(StateType::of::<S>())
            }
        }
    )*};
}
stateful! {
    () (A) (A, B) (A, B, C) (A, B, C, D) (A, B, C, D, E) (A, B, C, D, E, F) (A, B, C, D, E, F, G)
}

/// A task that calls the closure that its worker was forked with. Given by `fork_from_closure` of a pool's builder.
pub struct StateCall<C>(PhantomData<fn(&C)>);

/// A task that calls the worker's state, which is a closure.
#[doc(hidden)]
pub fn call_state<C>() -> StateCall<C> {
    StateCall(PhantomData)
}

impl<C> Clone for StateCall<C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<C> Copy for StateCall<C> {}

impl<C> fmt::Debug for StateCall<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::any::type_name::<Self>())
    }
}

macro_rules! state_call {
    ($(($($name:ident),*))*) => {$(
        impl<Closure, Out, $($name),*> Target<($($name,)*)> for StateCall<Closure>
        where
            Closure: Fn($($name),*) -> Out + 'static,
        {
            type Output = Out;
            #[allow(non_snake_case, reason = "one name serves as type and as variable")]
            fn call(&self, ($($name,)*): ($($name,)*)) -> Out {
                on_state(|closure: &mut Closure| closure($($name),*))
            }
            fn state() -> Option<StateType> {
                Some(StateType::of::<Closure>())
            }
        }
    )*};
}
state_call! {
    () (A) (A, B) (A, B, C) (A, B, C, D) (A, B, C, D, E) (A, B, C, D, E, F) (A, B, C, D, E, F, G)
    (A, B, C, D, E, F, G, H)
}

fn on_state<S: 'static, R>(work: impl FnOnce(&mut S) -> R) -> R {
    STATE.with(|cell| {
        let mut state = cell.try_borrow_mut().expect("a task does not call another task of its worker");
        match state.as_mut().and_then(|state| state.downcast_mut::<S>()) {
            Some(state) => work(state),
            None => panic!(
                "the task works on a `{}`, and this thread is of no worker that has one",
                std::any::type_name::<S>()
            ),
        }
    })
}

/// A function whose value becomes the state of the calling thread.
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
pub struct Keep<F>(F);

/// An initializer: what `function` returns stays in the worker, and never crosses.
#[doc(hidden)]
pub fn keep<F>(function: F) -> Keep<F> {
    Keep(function)
}

impl<F, A> Target<A> for Keep<F>
where
    F: Target<A>,
    F::Output: 'static,
{
    type Output = ();
    fn call(&self, arguments: A) {
        set_state(self.0.call(arguments));
    }
    fn state() -> Option<StateType> {
        F::state()
    }
}

/// Gives the calling thread its state.
#[doc(hidden)]
pub fn set_state<S: 'static>(state: S) {
    STATE.set(Some(Box::new(state)));
}

/// Drops the calling thread's state.
#[doc(hidden)]
pub fn drop_state() {
    drop(STATE.take());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::CodecError;
    use crate::transfer::{Code, pack};

    fn count(counter: &mut u64, by: u64) -> u64 {
        *counter += by;
        *counter
    }

    #[test]
    fn the_initializers_value_is_what_tasks_work_on() {
        let begin = Code::of::<_, (u64,)>(&keep(|from: u64| from)).unwrap();
        begin.call(&pack(&(40_u64,)).unwrap().bytes, vec![]).unwrap();
        let task = with_state(count);
        assert_eq!(Target::<(u64,)>::call(&task, (1,)), 41);
        let closure = with_state(|counter: &mut u64, by: u64, times: u64| count(counter, by * times));
        assert_eq!(Target::<(u64, u64)>::call(&closure, (2, 3)), 47);
        drop_state();
        assert!(std::panic::catch_unwind(|| Target::<(u64,)>::call(&task, (1,))).is_err());
    }

    #[test]
    fn a_closure_may_be_the_state() {
        let table = [10_u64, 20, 30];
        fn task_for<C: Fn(usize) -> u64 + 'static>(_: &C) -> impl Target<(usize,), Output = u64> {
            call_state::<C>()
        }
        let look_up = move |at: usize| table[at];
        let task = task_for(&look_up);
        set_state(look_up);
        assert_eq!(task.call((2,)), 30);
    }

    #[test]
    fn code_says_which_state_it_wants() {
        let task = with_state(count);
        assert!(matches!(Code::of::<_, (u64,)>(&task), Err(CodecError::WantsState(_))));
        let wanted = StateType::of::<u64>();
        Code::with_state::<_, (u64,)>(&task, Some(wanted)).unwrap();
        for other in [None, Some(StateType::of::<i64>())] {
            let refused = Code::with_state::<_, (u64,)>(&task, other);
            assert!(matches!(refused, Err(CodecError::WantsState(name)) if name == "u64"), "{refused:?}");
        }
        Code::with_state::<_, (u64,)>(&|x: u64| x, None).unwrap();
    }
}
