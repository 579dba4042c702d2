//! Each public name of Python's `multiprocessing` is found in the documentation by search: as an item, a variant or a
//! method of that name, or as a `#[doc(alias)]`; `mp::not_needed` has those of names without a counterpart.

use mp_testing::sources_below;
use std::collections::HashSet;
use std::fs;
use std::path::Path;

/// Python's names, module by module.
const NAMES: &[(&str, &str)] = &[
    (
        "multiprocessing",
        "Process Queue JoinableQueue SimpleQueue Pipe Lock RLock Semaphore BoundedSemaphore Condition Event Barrier Value \
         Array RawValue RawArray Manager Pool active_children current_process parent_process cpu_count freeze_support \
         get_logger log_to_stderr set_executable set_forkserver_preload get_context get_start_method set_start_method \
         get_all_start_methods allow_connection_pickling reducer ProcessError BufferTooShort TimeoutError \
         AuthenticationError",
    ),
    (
        "Process",
        "group kwargs name daemon run start join is_alive exitcode pid ident authkey sentinel terminate kill interrupt close",
    ),
    (
        "connection, reduction",
        "Connection send recv send_bytes recv_bytes recv_bytes_into poll fileno readable writable Listener accept address \
         last_accepted Client wait deliver_challenge answer_challenge send_handle recv_handle DupFd",
    ),
    (
        "queues",
        "put put_nowait get get_nowait qsize empty full join_thread cancel_join_thread task_done shutdown Empty Full",
    ),
    (
        "synchronize",
        "acquire release locked get_value wait_for notify notify_all is_set set clear parties n_waiting broken abort reset \
         action BrokenBarrierError",
    ),
    ("sharedctypes", "copy synchronized get_lock get_obj value raw"),
    (
        "shared_memory",
        "SharedMemory size buf unlink track ShareableList count index format shm resource_tracker",
    ),
    (
        "managers",
        "BaseManager SyncManager get_server serve_forever connect register Namespace dict list BaseProxy RemoteError \
         SharedMemoryManager",
    ),
    (
        "pool",
        "processes initializer initargs maxtasksperchild apply apply_async map map_async starmap starmap_async chunksize \
         callback error_callback AsyncResult MapResult ready successful MaybeEncodingError ThreadPool imap imap_unordered \
         IMapIterator IMapUnorderedIterator buffersize",
    ),
    ("dummy, util", "dummy Finalize register_after_fork ForkAwareThreadLock get_temp_dir"),
    (
        "concurrent.futures",
        "ProcessPoolExecutor ThreadPoolExecutor thread_name_prefix max_workers mp_context max_tasks_per_child submit Future cancel cancelled running done result \
         exception add_done_callback as_completed BrokenProcessPool BrokenExecutor CancelledError InvalidStateError \
         terminate_workers kill_workers wait return_when FIRST_COMPLETED FIRST_EXCEPTION ALL_COMPLETED \
         DoneAndNotDoneFutures shutdown cancel_futures",
    ),
];

/// The names of a crate's items, of their methods, and of the variants of its enums, by its list in `docs/surface`.
fn listed(surface: &str) -> Vec<String> {
    let (mut names, mut is_enum) = (Vec::new(), false);
    for line in surface.lines() {
        let Some(part) = line.strip_prefix("    ") else {
            is_enum = line.starts_with("enum ");
            names.extend(line.split([' ', ':']).rfind(|word| !["", "of", "another", "crate"].contains(word)));
            continue;
        };
        names.extend(part.split_once("fn ").map(|(_, name)| name));
        names.extend(is_enum.then(|| part.trim()));
    }
    let word = |name: &str| {
        name.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default().to_owned()
    };
    names.into_iter().map(word).collect()
}

#[test]
fn each_name_of_python_is_found() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = HashSet::new();
    for file in fs::read_dir(root.join("docs/surface")).unwrap() {
        found.extend(listed(&fs::read_to_string(file.unwrap().path()).unwrap()));
    }
    for name in ["src", "mp-core", "mp-sync", "mp-shm", "mp-pipe", "mp-queue", "mp-pool", "mp-manager"] {
        for source in sources_below(&root.join(name)) {
            let text = fs::read_to_string(source).unwrap();
            let aliases =
                text.split("doc(alias = \"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned());
            found.extend(aliases);
        }
    }
    let names =
        NAMES.iter().flat_map(|(module, names)| names.split_whitespace().map(move |name| (module, name)));
    let missing: Vec<_> = names.filter(|(_, name)| !found.contains(*name)).collect();
    assert!(missing.is_empty(), "no item and no alias: {missing:?}");
    assert!(!found.contains("no_such_name"));
}
