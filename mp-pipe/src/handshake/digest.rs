//! The digests that a handshake may use, by the names they have on the wire.

use hmac::{Hmac, KeyInit, Mac, SimpleHmac};
#[cfg(feature = "md5")]
use md5::Md5;
use mp_core::AuthKey;
use sha2::{Sha256, Sha384};
use sha3::{Sha3_256, Sha3_384};

/// A digest that CPython allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Digest {
    /// On request only, so [`Digest::split`] does not know it.
    #[cfg(feature = "md5")]
    Md5,
    Sha256,
    Sha384,
    Sha3_256,
    Sha3_384,
}

/// Evaluates an expression with `$mac` being the digest's HMAC type.
macro_rules! with_mac {
    ($digest:expr, $mac:ident => $use:expr) => {
        match $digest {
            #[cfg(feature = "md5")]
            Digest::Md5 => {
                type $mac = Hmac<Md5>;
                $use
            }
            Digest::Sha256 => {
                type $mac = Hmac<Sha256>;
                $use
            }
            Digest::Sha384 => {
                type $mac = Hmac<Sha384>;
                $use
            }
            Digest::Sha3_256 => {
                type $mac = SimpleHmac<Sha3_256>;
                $use
            }
            Digest::Sha3_384 => {
                type $mac = SimpleHmac<Sha3_384>;
                $use
            }
        }
    };
}

impl Digest {
    /// Those that need no permission.
    const ALLOWED: [Digest; 4] = [Digest::Sha256, Digest::Sha384, Digest::Sha3_256, Digest::Sha3_384];

    pub(super) fn name(self) -> &'static str {
        match self {
            #[cfg(feature = "md5")]
            Digest::Md5 => "md5",
            Digest::Sha256 => "sha256",
            Digest::Sha384 => "sha384",
            Digest::Sha3_256 => "sha3_256",
            Digest::Sha3_384 => "sha3_384",
        }
    }

    /// `{name}`, as it stands before a challenge or an answer.
    pub(super) fn prefix(self) -> Vec<u8> {
        format!("{{{}}}", self.name()).into_bytes()
    }

    /// The allowed digest that a message names at its beginning, and what follows the name.
    pub(super) fn split(message: &[u8]) -> Option<(Digest, &[u8])> {
        Digest::ALLOWED.iter().find_map(|digest| Some((*digest, message.strip_prefix(&*digest.prefix())?)))
    }

    /// HMAC(key, parts one after the other).
    pub(super) fn mac(self, key: &AuthKey, parts: &[&[u8]]) -> Vec<u8> {
        with_mac!(self, M => fed::<M>(key, parts).finalize().into_bytes().to_vec())
    }

    /// Whether `answer` is that HMAC. Takes the same time wherever they differ.
    pub(super) fn verifies(self, key: &AuthKey, parts: &[&[u8]], answer: &[u8]) -> bool {
        with_mac!(self, M => fed::<M>(key, parts).verify_slice(answer).is_ok())
    }
}

fn fed<M: Mac + KeyInit>(key: &AuthKey, parts: &[&[u8]]) -> M {
    let mut mac = <M as KeyInit>::new_from_slice(key.as_bytes()).expect("an HMAC takes a key of any length");
    parts.iter().for_each(|part| mac.update(part));
    mac
}

#[cfg(test)]
mod tests {
    use super::*;

    /// hmac.new(b"key", b"The quick brown fox jumps over the lazy dog", name).hexdigest() of CPython.
    #[test]
    fn they_are_what_cpython_has_under_these_names() {
        let expected = [
            "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8",
            "d7f4727e2c0b39ae0f1e40cc96f60242d5b7801841cea6fc592c5d3e1ae50700582a96cf35e1e554995fe4e03381c237",
            "8c6e0683409427f8931711b10ca92a506eb1fafa48fadd66d76126f47ac2c333",
            "aa739ad9fcdf9be4a04f06680ade7a1bd1e01a0af64accb04366234cf9f6934a0f8589772f857681fcde8acc256091a2",
        ];
        let key = AuthKey::new(*b"key");
        let named = Digest::ALLOWED.into_iter().zip(expected);
        #[cfg(feature = "md5")]
        let named = named.chain([(Digest::Md5, "80070713463e7749b90c2dc24911e275")]);
        for (digest, expected) in named {
            let parts: [&[u8]; 2] = [b"The quick brown fox ", b"jumps over the lazy dog"];
            let mac = digest.mac(&key, &parts);
            let hex: String = mac.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(hex, expected, "{digest:?}");
            assert!(digest.verifies(&key, &parts, &mac));
            let (first, all_but_one) = (&mac[..1], &mac[..mac.len() - 1]);
            for wrong in [&mac[1..], first, all_but_one, &[], &[&mac[..], &[0]].concat()] {
                assert!(!digest.verifies(&key, &parts, wrong), "{digest:?}");
            }
            for at in 0..mac.len() {
                let mut wrong = mac.clone();
                wrong[at] ^= 1;
                assert!(!digest.verifies(&key, &parts, &wrong), "{digest:?}");
            }
            assert!(!digest.verifies(&AuthKey::new(*b"yek"), &parts, &mac));
        }
    }

    #[test]
    fn names_are_found_at_the_beginning_only() {
        assert_eq!(Digest::split(b"{sha256}rest"), Some((Digest::Sha256, &b"rest"[..])));
        assert_eq!(Digest::split(b"{sha3_384}"), Some((Digest::Sha3_384, &b""[..])));
        for none in
            [&b"sha256}"[..], b"", b"{", b"{md5}", b"{sha512}x", b" {sha256}", b"{SHA256}", b"{sha256"]
        {
            assert_eq!(Digest::split(none), None);
        }
    }
}
