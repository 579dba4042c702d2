//! The files of listeners (fault row 32): which users may open them, which process removes them, and which are
//! replaced.

use mp_core::sys::signal::SIGKILL;
use mp_core::{Child, JoinError, Process};
use mp_pipe::{
    AcceptError, Address, BindError, Client, Connection, Listener, Receiver, Sender, pipe_simplex,
};
use mp_testing::{Fate, filter, parent_in_role, role};
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::{Path, PathBuf};
use std::thread;

mp_testing::cases! {
    plain: [
        only_this_user_may_open_it_whatever_the_umask,
        it_goes_with_the_listener,
        it_goes_with_the_process,
        it_goes_also_from_another_directory,
        a_living_listeners_file_stays_and_it_notices_nothing,
        a_file_of_another_kind_stays,
        a_strangers_file_at_the_same_path_stays,
        a_forked_copy_takes_nothing_away,
        directories_of_the_dead_are_swept_and_no_others,
        a_long_temporary_directory_is_passed_over,
        no_lock_of_a_shared_directory_is_waited_for,
    ],
    every_method: [
        a_killed_listeners_address_can_be_used_at_once,
        of_many_that_replace_a_dead_ones_file_one_listens,
    ],
}

fn path(of: &str) -> PathBuf {
    std::env::temp_dir().join(format!("mp-pipe-file-{}-{of}", std::process::id()))
}

fn file_of(listener: &Listener) -> PathBuf {
    let Address::Path(path) = listener.address() else { panic!("{listener:?} has no file") };
    path.clone()
}

fn connects(listener: &Listener) -> bool {
    thread::scope(|scope| {
        let client = scope.spawn(|| Client::connect::<(), ()>(listener.address()).is_ok());
        listener.accept::<(), ()>().is_ok() && client.join().unwrap()
    })
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

fn only_this_user_may_open_it_whatever_the_umask() {
    // (umask, what it leaves of 0600)
    for (umask, left) in [(0o000, 0o600), (0o022, 0o600), (0o077, 0o600), (0o200, 0o400)] {
        nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(umask));
        let (made_up, chosen) = (Listener::new().unwrap(), Listener::bind(path("umask")).unwrap());
        for listener in [&made_up, &chosen] {
            let file = file_of(listener);
            assert!(fs::symlink_metadata(&file).unwrap().file_type().is_socket());
            assert_eq!(mode(&file), left, "{umask:o}");
        }
        assert_eq!(mode(file_of(&made_up).parent().unwrap()), 0o700 & !umask);
    }
}

fn it_goes_with_the_listener() {
    let (made_up, chosen) = (Listener::new().unwrap(), Listener::bind(path("goes")).unwrap());
    let (one, two) = (file_of(&made_up), file_of(&chosen));
    assert!(one.exists() && two.exists());
    made_up.close();
    chosen.close();
    assert!(!one.exists() && !one.parent().unwrap().exists() && !two.exists());
    // And the path can be used again.
    assert!(connects(&Listener::bind(two).unwrap()));
}

/// A role that listens, says where, and ends without dropping anything.
fn listen_and_exit() -> ! {
    let (made_up, chosen) = (Listener::new().unwrap(), Listener::bind(path("exit")).unwrap());
    println!("{}\n{}", made_up.address(), chosen.address());
    assert!(file_of(&made_up).exists() && file_of(&chosen).exists());
    std::process::exit(3)
}

fn it_goes_with_the_process() {
    if role().is_some() {
        listen_and_exit();
    }
    let output = parent_in_role("listen").output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    let files: Vec<_> = std::str::from_utf8(&output.stdout).unwrap().lines().map(PathBuf::from).collect();
    assert_eq!(files.len(), 2);
    assert!(!files.iter().any(|file| file.exists()) && !files[0].parent().unwrap().exists());
}

fn it_goes_also_from_another_directory() {
    let directory = path("directory");
    fs::create_dir(&directory).unwrap();
    std::env::set_current_dir(&directory).unwrap();
    let listener = Listener::bind("socket").unwrap();
    std::env::set_current_dir("/").unwrap();
    assert!(directory.join("socket").exists());
    listener.close();
    fs::remove_dir(directory).unwrap();
}

fn a_living_listeners_file_stays_and_it_notices_nothing() {
    for backlog in [1, 128] {
        let listener = Listener::builder().address(path("living")).backlog(backlog).bind().unwrap();
        let before = fs::symlink_metadata(path("living")).unwrap().ino();
        for _ in 0..5 {
            let again = Listener::bind(path("living"));
            assert!(matches!(again, Err(BindError::InUse(_))), "{again:?}");
        }
        assert_eq!(fs::symlink_metadata(path("living")).unwrap().ino(), before);
        assert!(matches!(listener.try_accept::<(), ()>(), Err(AcceptError::WouldBlock)));
        assert!(connects(&listener));
    }
    // One that does not listen yet, and one of another kind.
    let bound = UnixDatagram::bind(path("living")).unwrap();
    assert!(matches!(Listener::bind(path("living")), Err(BindError::InUse(_))));
    drop(bound);
    assert!(connects(&Listener::bind(path("living")).unwrap()));
}

fn a_file_of_another_kind_stays() {
    let place = path("other");
    let in_use = || assert!(matches!(Listener::bind(&*place), Err(BindError::InUse(_))));
    fs::write(&place, "text").unwrap();
    in_use();
    assert_eq!(fs::read_to_string(&place).unwrap(), "text");
    fs::remove_file(&place).unwrap();
    // A link to a stale socket, which is not a socket itself.
    drop(UnixListener::bind(path("dead")).unwrap());
    symlink(path("dead"), &place).unwrap();
    in_use();
    assert!(path("dead").exists());
    fs::remove_file(&place).unwrap();
    fs::remove_file(path("dead")).unwrap();
    fs::create_dir(&place).unwrap();
    in_use();
    fs::remove_dir(&place).unwrap();
}

/// Another process has removed our file and put its own there.
fn a_strangers_file_at_the_same_path_stays() {
    let listener = Listener::bind(path("stranger")).unwrap();
    fs::remove_file(path("stranger")).unwrap();
    let strangers = UnixListener::bind(path("stranger")).unwrap();
    listener.close();
    assert!(path("stranger").exists());
    drop(strangers);
    // And one that was moved is not looked for.
    fs::remove_file(path("stranger")).unwrap();
    let listener = Listener::bind(path("stranger")).unwrap();
    fs::rename(path("stranger"), path("moved")).unwrap();
    listener.close();
    fs::remove_file(path("moved")).unwrap();
}

fn a_forked_copy_takes_nothing_away() {
    let (made_up, chosen) = (Listener::new().unwrap(), Listener::bind(path("forked")).unwrap());
    let files = [file_of(&made_up), file_of(&chosen)];
    let (receiver, sender) = pipe_simplex::<bool>().unwrap();
    // The child owns copies, drops them, and comes to an orderly end.
    let mut both = Some((made_up, chosen));
    mp_core::scope(|scope| {
        let drop_both = || {
            drop(both.take());
            sender.send(&files.iter().all(|file| file.exists())).unwrap();
        };
        scope.fork(drop_both).unwrap().join().unwrap();
    });
    assert!(receiver.recv().unwrap());
    assert!(files.iter().all(|file| file.exists()));
    assert!(connects(&both.as_ref().unwrap().0));
    drop(both);
    assert!(!files.iter().any(|file| file.exists()));
}

fn listen_for_ever(addresses: Vec<Address>, say: Sender<Vec<Address>>) {
    let listeners: Vec<_> = addresses.into_iter().map(|address| Listener::bind(address).unwrap()).collect();
    let all = listeners.iter().map(|listener| listener.address().clone()).collect();
    say.send(&all).unwrap();
    // A client that is connected when it is killed: the port is not free at once.
    let _connection: Connection = listeners[0].accept().unwrap();
    say.send(&vec![]).unwrap();
    let _forever: Connection = listeners[0].accept().unwrap();
}

fn killed_while_it_listens(addresses: Vec<Address>) -> Vec<Address> {
    let (receiver, sender) = pipe_simplex().unwrap();
    let child: Child<()> = Process::new(listen_for_ever, (addresses, sender.clone())).start().unwrap();
    sender.close();
    let all: Vec<Address> = receiver.recv().unwrap();
    let _client: Connection = Client::connect(&all[0]).unwrap();
    receiver.recv().unwrap();
    child.kill().unwrap();
    assert!(matches!(child.join(), Err(JoinError::Killed(SIGKILL))));
    all
}

fn a_killed_listeners_address_can_be_used_at_once() {
    let name = format!("\0mp-pipe-file-{}", std::process::id());
    let addresses = vec![Address::loopback(), Address::from(path("killed")), Address::from(&*name)];
    let all = killed_while_it_listens(addresses);
    assert!(path("killed").exists());
    for address in &all {
        let listener = Listener::bind(address).unwrap();
        assert_eq!(listener.address(), address);
        assert!(connects(&listener));
    }
}

fn bind_when_told(path: PathBuf, gate: Receiver<()>, say: Sender<bool>) {
    gate.recv().unwrap();
    let listener = Listener::bind(path);
    say.send(&listener.is_ok()).unwrap();
    // Until all have tried.
    gate.recv().unwrap();
    if let Err(error) = listener {
        assert!(matches!(error, BindError::InUse(_)), "{error}");
    }
}

fn of_many_that_replace_a_dead_ones_file_one_listens() {
    const MANY: usize = 6;
    for _ in 0..5 {
        drop(UnixListener::bind(path("race")).unwrap());
        let (answers, answer) = pipe_simplex().unwrap();
        let start = |_| {
            let (gate, open) = pipe_simplex::<()>().unwrap();
            let arguments = (path("race"), gate, answer.clone());
            (Process::new(bind_when_told, arguments).start().unwrap(), open)
        };
        let children: Vec<_> = (0..MANY).map(start).collect();
        children.iter().for_each(|(_, open)| open.send(&()).unwrap());
        let listening = (0..MANY).filter(|_| answers.recv().unwrap()).count();
        assert_eq!(listening, 1);
        children.iter().for_each(|(_, open)| open.send(&()).unwrap());
        children.into_iter().for_each(|(child, _)| child.join().unwrap());
        assert!(!path("race").exists());
    }
}

/// In the role of one that is killed: listens at a made-up address, says where, and waits.
fn listen_and_wait() {
    let listener = Listener::new().unwrap();
    println!("{}", listener.address());
    std::io::stdout().flush().unwrap();
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}

fn directories_of_the_dead_are_swept_and_no_others() {
    if role().is_some() {
        return listen_and_wait();
    }
    let temporary = path("temporary");
    fs::create_dir(&temporary).unwrap();
    let start = || {
        let mut child = parent_in_role("listen").env("TMPDIR", &temporary).spawn().unwrap();
        let mut line = String::new();
        let mut output = std::io::BufReader::new(child.stdout.take().unwrap());
        std::io::BufRead::read_line(&mut output, &mut line).unwrap();
        (child, PathBuf::from(line.trim_end()))
    };
    let (mut killed, dead) = start();
    killed.kill().unwrap();
    killed.wait().unwrap();
    assert!(dead.exists() && dead.starts_with(&temporary));
    // What is not to be touched: a directory that any user can enter, one with something else in it, one of another
    // name.
    let open = temporary.join("mp-listener-000000000000");
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o755)).unwrap();
    let full = temporary.join("mp-listener-000000000001");
    fs::create_dir(&full).unwrap();
    fs::set_permissions(&full, fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(full.join("notes"), "mine").unwrap();
    let other = temporary.join("other");
    fs::create_dir(&other).unwrap();

    let (mut living, alive) = start();
    assert!(!dead.exists() && !dead.parent().unwrap().exists());
    assert!(alive.exists() && open.exists() && full.join("notes").exists() && other.exists());
    let (mut second, next) = start();
    assert!(alive.exists() && next.exists());
    for child in [&mut living, &mut second] {
        drop(child.stdin.take());
        assert!(child.wait().unwrap().success());
    }
    assert!(!alive.parent().unwrap().exists() && !next.parent().unwrap().exists());
    fs::remove_dir_all(temporary).unwrap();
}

fn a_long_temporary_directory_is_passed_over() {
    if role().is_some() {
        return listen_and_wait();
    }
    let long = path(&"x".repeat(100));
    fs::create_dir(&long).unwrap();
    let output =
        parent_in_role("listen").env("TMPDIR", &long).stdin(std::process::Stdio::null()).output().unwrap();
    assert!(output.status.success() && output.stdout.starts_with(b"/tmp/mp-listener-"), "{output:?}");
    fs::remove_dir(long).unwrap();
}

/// Another user may hold the lock of a directory that it can read. From here on to lock one ends this process.
fn no_lock_of_a_shared_directory_is_waited_for() {
    let path = path("unlocked");
    let stale = UnixListener::bind(&path).unwrap();
    drop(stale);
    filter(libc::SYS_flock, &[], Fate::Kills);
    // One that replaces a file, and one that binds where nothing is.
    for _ in 0..2 {
        let listener = Listener::bind(path.as_path()).unwrap();
        assert!(connects(&listener));
        drop(listener);
        assert!(!path.exists());
    }
}
