//! Waits for a client that has to authenticate.

use super::{Scene, Stays};
use mp::{
    AuthKey, Client, Connection, Listener, answer_challenge, answer_challenge_timeout, deliver_challenge,
    deliver_challenge_timeout, pipe,
};
use std::time::Duration;

type Talk = Connection<u8, u8>;

pub(super) fn accept() -> Scene {
    listening(|listener, timeout| listener.accept_timeout::<u8, u8>(timeout).is_ok())
}

pub(super) fn accept_or_refuse() -> Scene {
    listening(|listener, timeout| listener.accept_or_refuse_timeout::<u8, u8>(timeout).is_ok())
}

fn listening(wait: fn(&Listener, Duration) -> bool) -> Scene {
    let listener = Listener::new().unwrap();
    let address = listener.address().clone();
    let come = move || drop(Client::connect::<u8, u8>(address).unwrap());
    Scene::new(move |timeout| wait(&listener, timeout), come).stays(Stays::No)
}

pub(super) fn deliver() -> Scene {
    let (here, there, key) = two_with_a_key();
    let same = key.clone();
    let wait = move |timeout| deliver_challenge_timeout(&here, &key, timeout).is_ok();
    Scene::new(wait, move || answer_challenge(&there, &same).unwrap()).stays(Stays::No)
}

pub(super) fn answer() -> Scene {
    let (here, there, key) = two_with_a_key();
    let same = key.clone();
    let wait = move |timeout| answer_challenge_timeout(&here, &key, timeout).is_ok();
    Scene::new(wait, move || deliver_challenge(&there, &same).unwrap()).stays(Stays::No)
}

fn two_with_a_key() -> (Talk, Talk, AuthKey) {
    let (here, there) = pipe().unwrap();
    (here, there, AuthKey::random().unwrap())
}
