//! Real TCP and TLS on loopback: who is trusted, and whose fault it is where nobody is.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use weft_net::{Address, DialError, Dialer, Scheme, Tls};

const LIMIT: Duration = Duration::from_secs(10);
const SCHEMES: [Scheme; 2] = [
    Scheme {
        name: "amqp",
        port: 5672,
        tls: false,
    },
    Scheme {
        name: "amqps",
        port: 5671,
        tls: true,
    },
];

/// A certificate authority, and a directory for its files that goes with it.
struct Authority {
    dir: PathBuf,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new(label: &str) -> Authority {
        let dir = std::env::temp_dir().join(format!("weft-net-{}-{label}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        fs::write(dir.join("ca.pem"), issuer.pem()).unwrap();
        Authority { dir, issuer }
    }

    fn file(&self, name: &str) -> String {
        self.dir.join(name).display().to_string()
    }

    /// A certificate and key for `name`, as files `NAME.pem` and `NAME.key`.
    fn issue(&self, name: &str) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        fs::write(self.dir.join(format!("{name}.pem")), certificate.pem()).unwrap();
        fs::write(self.dir.join(format!("{name}.key")), key.serialize_pem()).unwrap();
    }

    /// An echo server as `127.0.0.1`; `mutual`: clients need a certificate.
    async fn serve(&self, mutual: bool) -> u16 {
        self.issue("127.0.0.1");
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = if mutual {
            let mut roots = RootCertStore::empty();
            roots.add(self.issuer.der().clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .unwrap();
            builder.with_client_cert_verifier(verifier)
        } else {
            builder.with_no_client_auth()
        };
        let chain = rustls::pki_types::CertificateDer::pem_file_iter(self.file("127.0.0.1.pem"))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        let key = PrivateKeyDer::from_pem_file(self.file("127.0.0.1.key")).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(builder.with_single_cert(chain, key).unwrap()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                if let Ok(mut stream) = acceptor.accept(tcp).await {
                    let mut word = [0; 4];
                    if stream.read_exact(&mut word).await.is_ok() {
                        stream.write_all(&word).await.unwrap();
                        stream.flush().await.unwrap();
                    }
                }
            }
        });
        port
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        // Best effort: it lies in the temporary directory.
        let _ = fs::remove_dir_all(&self.dir);
    }
}

fn dialer(scheme: &str, port: u16, tls: Option<Tls>) -> Dialer {
    let address = Address::parse(&format!("{scheme}://127.0.0.1:{port}"), &SCHEMES).unwrap();
    Dialer::new(address, tls)
}

async fn echo(dialer: &Dialer) -> Result<(), DialError> {
    let mut stream = dialer.dial(LIMIT).await?;
    let unreachable = |error: std::io::Error| DialError::Unreachable(error.to_string());
    stream.write_all(b"ping").await.map_err(unreachable)?;
    stream.flush().await.map_err(unreachable)?;
    let mut word = [0; 4];
    stream.read_exact(&mut word).await.map_err(unreachable)?;
    assert_eq!(&word, b"ping");
    Ok(())
}

#[tokio::test]
async fn a_remote_is_trusted_by_its_authority_and_by_nobody_else() {
    let ours = Authority::new("ours");
    let theirs = Authority::new("theirs");
    let port = ours.serve(false).await;
    let trusting = |ca: &Authority| Tls {
        ca: Some(ca.file("ca.pem")),
        ..Tls::default()
    };
    echo(&dialer("amqps", port, Some(trusting(&ours)))).await.unwrap();
    // `tls:` beside a plain scheme switches it on, too.
    echo(&dialer("amqp", port, Some(trusting(&ours)))).await.unwrap();
    let error = echo(&dialer("amqps", port, Some(trusting(&theirs))))
        .await
        .unwrap_err();
    assert!(
        matches!(&error, DialError::Untrusted(text) if text.contains("tls.ca")),
        "{error:?}"
    );
    let anyone = Tls {
        insecure: true,
        ..Tls::default()
    };
    echo(&dialer("amqps", port, Some(anyone))).await.unwrap();
}

#[tokio::test]
async fn a_remote_that_wants_our_certificate_gets_it() {
    let authority = Authority::new("mutual");
    let port = authority.serve(true).await;
    authority.issue("weft");
    let known = Tls {
        ca: Some(authority.file("ca.pem")),
        cert: Some(authority.file("weft.pem")),
        key: Some(authority.file("weft.key")),
        insecure: false,
    };
    echo(&dialer("amqps", port, Some(known.clone()))).await.unwrap();
    let nobody = Tls {
        cert: None,
        key: None,
        ..known
    };
    echo(&dialer("amqps", port, Some(nobody))).await.unwrap_err();
}

#[tokio::test]
async fn a_fault_of_the_file_is_told_before_the_remote_is_asked() {
    let authority = Authority::new("files");
    // Nobody listens on port 1, and nobody is asked.
    for (tls, says) in [
        (
            Tls {
                ca: Some(authority.file("absent.pem")),
                ..Tls::default()
            },
            "absent.pem",
        ),
        (
            Tls {
                ca: Some(authority.file("ca.pem")),
                cert: Some(authority.file("ca.pem")),
                key: Some(authority.file("ca.pem")),
                ..Tls::default()
            },
            "tls.key",
        ),
    ] {
        let error = dialer("amqps", 1, Some(tls)).dial(LIMIT).await.unwrap_err();
        assert!(
            matches!(&error, DialError::Misconfigured(text) if text.contains(says)),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn a_remote_that_is_away_or_speaks_something_else_is_unreachable() {
    let error = dialer("amqp", 1, None).dial(LIMIT).await.unwrap_err();
    assert!(
        matches!(&error, DialError::Unreachable(text) if text.contains("amqp://127.0.0.1:1")),
        "{error:?}"
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut tcp, _) = listener.accept().await.unwrap();
        tcp.write_all(b"AMQP\x03\x01\x00\x00 no TLS here").await.unwrap();
        let mut rest = Vec::new();
        // Whatever the client says, and until it goes.
        let _ = tcp.read_to_end(&mut rest).await;
    });
    let tls = Tls {
        insecure: true,
        ..Tls::default()
    };
    let error = dialer("amqps", port, Some(tls)).dial(LIMIT).await.unwrap_err();
    assert!(
        matches!(&error, DialError::Unreachable(text) if text.contains("does not speak TLS")),
        "{error:?}"
    );
}
