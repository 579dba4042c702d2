//! A user's crate: it depends on `mp` alone, and on nothing that is underneath. What is derived, and what
//! macros write, must find its way from here too.
#![forbid(unsafe_code)]

extern crate mp as renamed;

use mp::Shareable;

/// Derived by a crate that knows the facade only.
#[derive(Clone, Copy, Debug, PartialEq, Shareable)]
#[repr(C)]
pub struct Reading {
    /// When.
    pub at: u64,
    /// How warm.
    pub degrees: f32,
    /// Where.
    pub sensor: u32,
}

/// Derived by its path, without an import.
#[derive(Clone, Copy, Debug, PartialEq, mp::Shareable)]
#[repr(transparent)]
pub struct Celsius(pub f64);

/// With the facade under another name.
#[derive(Clone, Copy, Debug, PartialEq, renamed::Shareable)]
#[repr(C)]
#[shareable(crate = "renamed")]
pub struct Complex<T: Shareable> {
    /// Real part.
    pub re: T,
    /// Imaginary part.
    pub im: T,
}

/// What is in signatures, and is named in programs of one's own.
pub mod names {
    use std::error::Error;
    use std::os::fd::AsFd;

    /// Things of several kinds to wait for, as [`mp::wait`] and [`mp::WaitSet`] take them.
    pub fn first<'a>(all: &[&'a dyn mp::Waitable]) -> Option<&'a dyn mp::Waitable> {
        all.first().copied()
    }

    /// A connection of which both directions are spelled out.
    pub struct Ends {
        /// It sends.
        pub there: mp::Connection<u32, mp::NoRecv>,
        /// It receives.
        pub here: mp::Connection<mp::NoSend, u32>,
    }

    /// The two ends of a pipe.
    pub fn ends() -> mp::Result<Ends> {
        let (here, there): (mp::Receiver<u32>, mp::Sender<u32>) = mp::pipe_simplex()?;
        Ok(Ends { there, here })
    }

    /// An iterator over a queue that is kept.
    pub struct Rest<'a>(pub mp::QueueIter<'a, u32>);

    /// Any function that another process can call, with any arguments.
    pub fn start<F, A>(function: F, arguments: A) -> Result<mp::Child<F::Output>, mp::StartError>
    where
        F: mp::Target<A, Output: mp::Transferable>,
        A: mp::Transferable,
    {
        mp::Process::new(function, arguments).start()
    }

    /// The same, where the compiler is to tell function pointers from functions.
    pub fn start_checked<F, A, Kind>(
        function: F,
        arguments: A,
    ) -> Result<mp::Child<F::Output>, mp::StartError>
    where
        F: mp::Target<A, Output: mp::Transferable> + mp::Callable<A, Kind>,
        A: mp::Transferable,
    {
        mp::Process::new(function, arguments).start()
    }

    /// A guard, also over what a holder that died has left.
    pub fn hold(value: &mp::Value<u64>) -> mp::ValueGuard<'_, u64> {
        value.lock().unwrap_or_else(mp::OwnerDiedError::into_guard)
    }

    /// Each error by its own type.
    pub fn how(error: &(dyn Error + 'static)) -> &'static str {
        if error.is::<mp::GetError>() || error.is::<mp::NotPutError<u32>>() {
            "of a queue"
        } else if error.is::<mp::RecvError>() || error.is::<mp::SendError>() || error.is::<mp::PollError>() {
            "of a connection"
        } else if error.is::<mp::StartError>() || error.is::<mp::JoinError>() {
            "of a process"
        } else if error.is::<mp::TaskError>() || error.is::<mp::SubmitError>() || error.is::<mp::MapError>() {
            "of a pool"
        } else if error.is::<mp::shared_memory::SharedMemoryError>() {
            "of named memory"
        } else {
            "of the system"
        }
    }

    /// A child's end, and its sentinel.
    pub fn end<R>(child: &mp::Child<R>) -> (impl AsFd + '_, Option<i32>)
    where
        R: mp::Transferable,
    {
        (child.sentinel(), child.exitcode())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mp::{Array, Process, RawValue, Value};

    fn warm(readings: Array<Reading>, last: Value<Reading>, sum: RawValue<Complex<f64>>) -> Option<f32> {
        readings.update(|readings| readings.iter_mut().for_each(|reading| reading.degrees += 1.0));
        last.set(readings.get(1)?);
        sum.set(Complex { re: 1.5, im: -1.5 });
        Some(last.get().degrees)
    }

    #[test]
    fn what_signatures_name_has_a_name() -> mp::Result<()> {
        let ends = names::ends()?;
        ends.there.send(&5)?;
        assert!(names::first(&[&ends.here]).is_some());
        assert_eq!(ends.here.recv()?, 5);
        let queue = mp::Queue::new()?;
        queue.put(7)?;
        assert_eq!(names::Rest(queue.iter()).0.next().unwrap()?, 7);
        assert_eq!(names::start(|x: u32| x + 1, (1,))?.join()?, 2);
        let child = names::start_checked(|x: u32| x + 1, (2,))?;
        assert_eq!(child.join()?, 3);
        assert_eq!(names::end(&child).1, Some(0));
        assert_eq!(*names::hold(&Value::new(9)?), 9);
        assert_eq!(names::how(&queue.try_get().unwrap_err()), "of a queue");
        Ok(())
    }

    #[test]
    fn structures_of_ones_own_are_shared() -> mp::Result<()> {
        let reading = |at| Reading { at, degrees: at as f32, sensor: 7 };
        let readings = Array::from_values((0..3).map(reading))?;
        let last = Value::new(reading(9))?;
        let sum = RawValue::new(Complex { re: 0.0, im: 0.0 })?;
        let child = Process::new(warm, (readings.clone(), last.clone(), sum.clone())).start()?;
        assert_eq!(child.join()?, Some(2.0));
        assert_eq!(readings.get(2), Some(Reading { at: 2, degrees: 3.0, sensor: 7 }));
        assert_eq!(last.get(), Reading { at: 1, degrees: 2.0, sensor: 7 });
        assert_eq!(sum.get(), Complex { re: 1.5, im: -1.5 });
        assert_eq!(Value::new(Celsius(20.5))?.get(), Celsius(20.5));
        Ok(())
    }
}
