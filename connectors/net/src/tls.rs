//! `tls:`: whom to trust and who we are.
//!
//! Invariant: files are read when a connection is made, never when the section is.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use schemars::JsonSchema;
use serde::Deserialize;
use weft_api::config::{Finding, Node};

/// TLS to the remote. An empty map trusts the system's certificate authorities.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The certificate authorities to trust (PEM file); absent: the system's.
    pub ca: Option<String>,
    /// This client's certificate (PEM file), for mutual TLS.
    pub cert: Option<String>,
    /// The private key of `cert` (PEM file).
    pub key: Option<String>,
    /// Do not verify the remote's certificate: for tests only.
    #[serde(default)]
    pub insecure: bool,
}

impl Tls {
    /// What the type cannot say; `node` is where `tls:` stands.
    pub fn check(&self, node: &Node, findings: &mut Vec<Finding>) {
        if self.cert.is_some() != self.key.is_some() {
            findings.push(Finding::error(
                node,
                "a client certificate needs its private key",
                "give both `cert` and `key`, or neither",
            ));
        }
    }

    /// Reads the files (blocking) and makes the client's side.
    ///
    /// # Errors
    /// One line: the file that cannot be read or used, and what to do.
    pub(crate) fn load(&self) -> Result<Arc<ClientConfig>, String> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| format!("setting TLS up: {error}"))?;
        let builder = if self.insecure {
            builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(Anyone(provider)))
        } else {
            builder.with_root_certificates(self.roots()?)
        };
        let config = match (&self.cert, &self.key) {
            (Some(cert), Some(key)) => {
                let chain = certificates(cert)?;
                let secret = PrivateKeyDer::from_pem_file(Path::new(key)).map_err(|error| {
                    format!("`tls.key` {key}: {error}; give a PEM file with one private key")
                })?;
                builder.with_client_auth_cert(chain, secret).map_err(|error| {
                    format!("`tls.cert` {cert} with `tls.key` {key}: {error}; they must belong together")
                })?
            }
            _ => builder.with_no_client_auth(),
        };
        Ok(Arc::new(config))
    }

    fn roots(&self) -> Result<RootCertStore, String> {
        let mut roots = RootCertStore::empty();
        match &self.ca {
            Some(ca) => {
                for certificate in certificates(ca)? {
                    roots
                        .add(certificate)
                        .map_err(|error| format!("`tls.ca` {ca}: {error}"))?;
                }
            }
            None => {
                let found = rustls_native_certs::load_native_certs();
                roots.add_parsable_certificates(found.certs);
                if roots.is_empty() {
                    let why = found
                        .errors
                        .first()
                        .map_or(String::new(), |error| format!(" ({error})"));
                    return Err(format!(
                        "this system has no certificate authorities{why}; name a PEM file in `tls.ca`"
                    ));
                }
            }
        }
        Ok(roots)
    }
}

fn certificates(file: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let read =
        CertificateDer::pem_file_iter(Path::new(file)).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) => Err(format!("{file} holds no certificate; give a PEM file")),
        Err(error) => Err(format!("{file}: {error}; give a PEM file with certificates")),
    }
}

/// `insecure: true`: any certificate will do, as long as the handshake is signed with its key.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
