//! Waitable: objects that can be waited for together.

use std::os::fd::{AsFd, BorrowedFd};

/// An object that `wait()` can wait for. An object with a descriptor is ready when the descriptor is readable. Other
/// objects, such as queues, report their readiness themselves, and wake waiters by their descriptor.
///
/// Python: an object with `fileno()`.
#[doc(alias = "fileno")]
pub trait Waitable {
    /// A descriptor that is readable when the object is ready, or may be.
    fn descriptor(&self) -> BorrowedFd<'_>;

    /// Whether it is ready; `None`: exactly when its descriptor is readable. Called before each sleep, and now and then
    /// during one.
    fn is_ready(&self) -> Option<bool> {
        None
    }

    /// Makes its descriptor agree with [`is_ready`](Waitable::is_ready).
    fn resync(&self) {}
}

impl<T: AsFd + ?Sized> Waitable for T {
    fn descriptor(&self) -> BorrowedFd<'_> {
        self.as_fd()
    }
}

/// For pointers, so that objects of several types can be in one list or set.
macro_rules! waitable_by_what_it_points_at {
    ($($pointer:ty),+) => {$(
        impl Waitable for $pointer {
            fn descriptor(&self) -> BorrowedFd<'_> {
                (**self).descriptor()
            }
            fn is_ready(&self) -> Option<bool> {
                (**self).is_ready()
            }
            fn resync(&self) {
                (**self).resync();
            }
        }
    )+};
}
waitable_by_what_it_points_at!(&(dyn Waitable + '_), Box<dyn Waitable + '_>, Box<dyn Waitable + Send + '_>);
