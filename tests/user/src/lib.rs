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
