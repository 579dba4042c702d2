//! Python's names that are not needed here, each with the reason.
//!
//! | Python                                       | not needed here, because                                                  |
//! |----------------------------------------------|---------------------------------------------------------------------------|
//! | `freeze_support`, `if __name__ == "__main__"` | a child is this program, caught before `main`: nothing in `main` runs twice |
//! | `set_executable`                             | there is no interpreter: a child runs this program's own file             |
//! | `allow_connection_pickling`                  | connections, queues and locks cross as they are, in any argument or message |
//! | `reducer`, `reduction.register`              | what crosses is what serde carries; a type opts in by `derive(Serialize)` |
//! | `reduction.DupFd`, `send_handle`, `recv_handle` | a descriptor crosses inside any value: `mp::base::transfer::Handle`    |
//! | `Queue.join_thread`, `cancel_join_thread`    | a queue has no thread: an item that was put is in the queue               |
//! | `resource_tracker`                           | only named memory outlives a process, and it has an owner: [`SharedMemory`](crate::SharedMemory) |
//! | `SharedMemory(track=False)`                  | a process that only opens a block never unlinks its name                  |
//! | `heap.BufferWrapper`, `heap.Arena`           | each object is shared memory of its own, freed with its last handle       |
//! | `util.Finalize`                              | `Drop`; for the end of the process `mp::base::finalize::at_exit`          |
//! | `util.register_after_fork`                   | a child of ForkServer and Spawn has nothing of its parent's; for Fork `mp::base::finalize::register_after_fork` |
//! | `Process(group=None)`                        | Python keeps it for later                                                 |
//! | `Process(kwargs=...)`                        | Rust has no named arguments: a structure is one argument                  |
//! | `lock=False` of `Value` and `Array`          | [`RawValue`](crate::RawValue), [`RawArray`](crate::RawArray), [`Atomic`](crate::Atomic) |
//! | `multiprocessing.dummy`                      | threads are std's: `std::thread::scope`, channels                         |
//! | `ProcessError`                               | each call has an error type of its own; all of them become [`Error`](crate::Error) |
//! | `TimeoutError`                               | what is too late is the variant `Timeout` of the call's error             |
//! | `current_process()._config`, `get_temp_dir`  | no object has a file; `std::env::temp_dir` is std's                       |
//! | `ForkAwareThreadLock`                        | a fork is refused beside other threads, and this library holds its own locks over it |
//! | `CancelledError`, `InvalidStateError`        | `TaskError::Cancelled`; the other state cannot be reached                 |
//! | `BrokenProcessPool`                          | a worker that dies costs one task: `TaskError::WorkerDied`                |
//! | `SyncManager`, `BaseManager`                 | one [`Manager`](crate::Manager) has all types and makes objects of the program's own |
//! | `RemoteError`                                | [`ManagerError`](crate::ManagerError); a panic of a method is its `Panicked` |
#![doc(alias = "freeze_support")]
#![doc(alias = "set_executable")]
#![doc(alias = "allow_connection_pickling")]
#![doc(alias = "reducer")]
#![doc(alias = "send_handle")]
#![doc(alias = "recv_handle")]
#![doc(alias = "join_thread")]
#![doc(alias = "cancel_join_thread")]
#![doc(alias = "resource_tracker")]
#![doc(alias = "Finalize")]
#![doc(alias = "kwargs")]
#![doc(alias = "ProcessError")]
#![doc(alias = "TimeoutError")]
#![doc(alias = "group")]
#![doc(alias = "reduction")]
#![doc(alias = "get_temp_dir")]
#![doc(alias = "ForkAwareThreadLock")]
#![doc(alias = "dummy")]
#![doc(alias = "CancelledError")]
#![doc(alias = "InvalidStateError")]
#![doc(alias = "SyncManager")]
#![doc(alias = "BaseManager")]
#![doc(alias = "BaseProxy")]
#![doc(alias = "Namespace")]
#![doc(alias = "RemoteError")]
#![doc(alias = "serve_forever")]
#![doc(alias = "get_server")]
