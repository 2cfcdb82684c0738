//! SCRAM (RFC 5802, RFC 7677), without channel binding.
//!
//! Names and passwords are taken as they are: SASLprep is not applied, which differs for non-ASCII ones only.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};

use super::LoginError;

/// The most work that a server may ask for: some hundred milliseconds.
pub(super) const ITERATIONS_MAX: u32 = 200_000;
/// The longest server's message that is read.
const MESSAGE_MAX: usize = 4096;

/// The hash of the mechanism.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Hash {
    Sha1,
    Sha256,
    Sha512,
}

/// One exchange.
pub(super) struct Scram {
    hash: Hash,
    user: String,
    password: String,
    nonce: String,
    step: Step,
}

enum Step {
    /// The client's first message is sent.
    First,
    /// So is its proof; the server's own is expected to be this.
    Proved { signature: Vec<u8> },
    /// The server has proved itself.
    Done,
}

impl Scram {
    pub(super) fn new(hash: Hash, user: &str, password: &str, nonce: &str) -> Scram {
        Scram {
            hash,
            user: user.replace('=', "=3D").replace(',', "=2C"),
            password: password.to_owned(),
            nonce: nonce.to_owned(),
            step: Step::First,
        }
    }

    /// The client's first message.
    pub(super) fn first(&self) -> String {
        format!("n,,{}", self.first_bare())
    }

    fn first_bare(&self) -> String {
        format!("n={},r={}", self.user, self.nonce)
    }

    /// Answers the server's first message with the proof, its final one with nothing.
    pub(super) fn answer(
        &mut self,
        mechanism: &'static str,
        challenge: &[u8],
    ) -> Result<Vec<u8>, LoginError> {
        let wrong = |what| LoginError::Challenge { mechanism, what };
        if challenge.len() > MESSAGE_MAX {
            return Err(wrong("it is too long"));
        }
        match &self.step {
            Step::First => {
                let text = std::str::from_utf8(challenge).map_err(|_| wrong("it is no text"))?;
                self.prove(text).map_err(wrong)
            }
            Step::Proved { .. } => {
                self.finish(Some(challenge))?;
                Ok(Vec::new())
            }
            Step::Done => Err(wrong("one too many")),
        }
    }

    fn prove(&mut self, server_first: &str) -> Result<Vec<u8>, &'static str> {
        let mut parts = server_first.split(',');
        let mut part = |name: &str, what| parts.next().and_then(|part| part.strip_prefix(name)).ok_or(what);
        let nonce = part("r=", "the nonce is missing")?;
        if nonce.len() <= self.nonce.len() || !nonce.starts_with(&self.nonce) {
            return Err("the nonce is not ours with more behind it");
        }
        let salt = STANDARD
            .decode(part("s=", "the salt is missing")?)
            .map_err(|_| "the salt is no base64")?;
        let iterations: u32 = part("i=", "the iteration count is missing")?
            .parse()
            .map_err(|_| "the iteration count is no number")?;
        if salt.is_empty() || iterations == 0 {
            return Err("salt and iteration count must not be empty");
        }
        if iterations > ITERATIONS_MAX {
            return Err("it asks for more iterations than are allowed here");
        }
        let without_proof = format!("c=biws,r={nonce}");
        let message = format!("{},{server_first},{without_proof}", self.first_bare());
        let hash = self.hash;
        let salted = hash.salted(self.password.as_bytes(), &salt, iterations);
        let client_key = hash.mac(&salted, &[b"Client Key"]);
        let stored_key = hash.digest(&client_key);
        let client_signature = hash.mac(&stored_key, &[message.as_bytes()]);
        let proof: Vec<u8> = client_key
            .iter()
            .zip(&client_signature)
            .map(|(a, b)| a ^ b)
            .collect();
        let server_key = hash.mac(&salted, &[b"Server Key"]);
        self.step = Step::Proved {
            signature: hash.mac(&server_key, &[message.as_bytes()]),
        };
        Ok(format!("{without_proof},p={}", STANDARD.encode(proof)).into_bytes())
    }

    /// The server's final message, in a challenge or in the outcome; `None`: it came in a challenge, or never.
    pub(super) fn finish(&mut self, message: Option<&[u8]>) -> Result<(), LoginError> {
        match (&self.step, message) {
            (Step::Done, _) => Ok(()),
            (Step::First, _) => Err(LoginError::NotAuthentic("it did not ask for a proof")),
            (Step::Proved { .. }, None) => Err(LoginError::NotAuthentic("its signature is missing")),
            (Step::Proved { signature }, Some(message)) => {
                let sent = message
                    .strip_prefix(b"v=")
                    .and_then(|text| text.split(|byte| *byte == b',').next())
                    .and_then(|text| STANDARD.decode(text).ok());
                // Compared in the clear: the server's own signature is no secret of ours.
                if sent.as_deref() != Some(signature) {
                    return Err(LoginError::NotAuthentic("its signature is wrong"));
                }
                self.step = Step::Done;
                Ok(())
            }
        }
    }
}

impl Hash {
    fn digest(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Hash::Sha1 => Sha1::digest(bytes).to_vec(),
            Hash::Sha256 => Sha256::digest(bytes).to_vec(),
            Hash::Sha512 => Sha512::digest(bytes).to_vec(),
        }
    }

    fn mac(self, key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
        match self {
            Hash::Sha1 => mac::<Hmac<Sha1>>(key, parts),
            Hash::Sha256 => mac::<Hmac<Sha256>>(key, parts),
            Hash::Sha512 => mac::<Hmac<Sha512>>(key, parts),
        }
    }

    /// `Hi` of RFC 5802, section 2.2.
    fn salted(self, password: &[u8], salt: &[u8], iterations: u32) -> Vec<u8> {
        match self {
            Hash::Sha1 => salted::<Hmac<Sha1>>(password, salt, iterations),
            Hash::Sha256 => salted::<Hmac<Sha256>>(password, salt, iterations),
            Hash::Sha512 => salted::<Hmac<Sha512>>(password, salt, iterations),
        }
    }
}

fn keyed<M: Mac + hmac::digest::KeyInit>(key: &[u8]) -> M {
    <M as Mac>::new_from_slice(key).expect("HMAC takes a key of any length")
}

fn mac<M: Mac + hmac::digest::KeyInit>(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut mac = keyed::<M>(key);
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().to_vec()
}

fn salted<M: Mac + hmac::digest::KeyInit + Clone>(password: &[u8], salt: &[u8], iterations: u32) -> Vec<u8> {
    let keyed = keyed::<M>(password);
    let mut first = keyed.clone();
    first.update(salt);
    first.update(&1u32.to_be_bytes());
    let mut step = first.finalize().into_bytes();
    let mut all = step.to_vec();
    for _ in 1..iterations {
        let mut next = keyed.clone();
        next.update(&step);
        step = next.finalize().into_bytes();
        all.iter_mut().zip(&step).for_each(|(sum, byte)| *sum ^= byte);
    }
    all
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    struct Vector {
        hash: Hash,
        nonce: &'static str,
        server_first: &'static str,
        client_final: &'static str,
        server_final: &'static str,
    }

    /// RFC 5802, section 5, and RFC 7677, section 3.
    const VECTORS: [Vector; 2] = [
        Vector {
            hash: Hash::Sha1,
            nonce: "fyko+d2lbbFgONRv9qkxdawL",
            server_first: "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
            client_final: "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
            server_final: "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
        },
        Vector {
            hash: Hash::Sha256,
            nonce: "rOprNGfwEbeRWgbNEkqO",
            server_first: "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            client_final: "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
            server_final: "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
        },
    ];

    fn scram(vector: &Vector) -> Scram {
        Scram::new(vector.hash, "user", "pencil", vector.nonce)
    }

    #[test]
    fn the_examples_of_the_specifications() {
        for vector in &VECTORS {
            let mut scram = scram(vector);
            assert_eq!(scram.first(), format!("n,,n=user,r={}", vector.nonce));
            let proof = scram.answer("m", vector.server_first.as_bytes()).unwrap();
            assert_eq!(std::str::from_utf8(&proof).unwrap(), vector.client_final);
            scram.finish(Some(vector.server_final.as_bytes())).unwrap();
            scram.finish(None).unwrap();
        }
    }

    #[test]
    fn the_servers_signature_may_come_in_a_challenge() {
        let mut scram = scram(&VECTORS[1]);
        scram.answer("m", VECTORS[1].server_first.as_bytes()).unwrap();
        assert!(
            scram
                .answer("m", VECTORS[1].server_final.as_bytes())
                .unwrap()
                .is_empty()
        );
        scram.finish(None).unwrap();
        assert!(scram.answer("m", b"").is_err());
    }

    #[test]
    fn a_server_that_does_not_know_the_password_is_refused() {
        for message in [None, Some(&b"v=AAAA"[..]), Some(b"e=other"), Some(b"")] {
            let mut scram = scram(&VECTORS[1]);
            scram.answer("m", VECTORS[1].server_first.as_bytes()).unwrap();
            assert!(matches!(scram.finish(message), Err(LoginError::NotAuthentic(_))));
        }
        // Straight to success, without a word.
        assert!(scram(&VECTORS[1]).finish(None).is_err());
    }

    #[test]
    fn a_hostile_challenge_is_refused_and_costs_nothing() {
        let nonce = VECTORS[1].nonce;
        for challenge in [
            "".to_owned(),
            "r=".to_owned(),
            format!("r={nonce},s=QSXC,i=1"),
            format!("r=x{nonce},s=QSXC,i=1"),
            format!("r={nonce}x,s=,i=1"),
            format!("r={nonce}x,s=***,i=1"),
            format!("r={nonce}x,s=QSXC,i=0"),
            format!("r={nonce}x,s=QSXC,i=-1"),
            format!("r={nonce}x,s=QSXC,i=4294967295"),
            format!("r={nonce}x,s=QSXC"),
            format!("m=ext,r={nonce}x,s=QSXC,i=1"),
            format!("r={nonce}{},s=QSXC,i=1", "x".repeat(5000)),
        ] {
            let result = scram(&VECTORS[1]).answer("m", challenge.as_bytes());
            assert!(matches!(result, Err(LoginError::Challenge { .. })), "{challenge}");
        }
        assert!(scram(&VECTORS[1]).answer("m", b"\xff").is_err());
    }

    #[test]
    fn a_comma_in_a_name_adds_no_field() {
        let scram = Scram::new(Hash::Sha512, "a,r=b", "p", "n");
        assert_eq!(scram.first(), "n,,n=a=2Cr=3Db,r=n");
    }
}
