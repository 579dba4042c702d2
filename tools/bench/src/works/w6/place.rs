//! Where the caller runs and where its workers do: wherever the system has it, on a CPU each, or all on one.

use super::super::cpus::on;

/// The CPUs of the caller and of its workers, of those that this process may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Free,
    /// The caller on the first, all workers on the second.
    Two,
    One,
}

pub(super) const ALL: [Place; 3] = [Place::Free, Place::Two, Place::One];

impl Place {
    /// A metric's name in this place.
    pub(super) fn metric(self, name: &str) -> String {
        match self {
            Place::Free => name.to_owned(),
            Place::Two => format!("{name}.two"),
            Place::One => format!("{name}.one"),
        }
    }

    /// Makes workers, which begin with the CPUs of the thread that makes them.
    pub(super) fn for_workers<R>(self, make: impl FnOnce() -> Result<R, String>) -> Result<R, String> {
        match self {
            Place::Free => make(),
            Place::Two => on(1, make),
            Place::One => on(0, make),
        }
    }

    pub(super) fn for_caller<R>(self, work: impl FnOnce() -> Result<R, String>) -> Result<R, String> {
        if self == Place::Free { work() } else { on(0, work) }
    }
}
