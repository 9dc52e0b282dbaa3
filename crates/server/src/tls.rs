//! TLS, with client certificates if wanted.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

/// Where certificates and the key lie.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// The daemon's certificate, and those between it and a root.
    pub certificate: PathBuf,
    /// Its key, not encrypted.
    pub key: PathBuf,
    /// Roots of clients' certificates: only clients with one are let in. `None` lets everybody in.
    pub client_roots: Option<PathBuf>,
}

/// Why TLS cannot be offered.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or holds no such thing.
    #[error("cannot read {what} {}: {source}", path.display())]
    File {
        /// What should be in it.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: rustls_pki_types::pem::Error,
    },
    /// The file of client roots has none.
    #[error("{} holds no certificate", .0.display())]
    NoRoots(PathBuf),
    /// Key and certificate do not fit, or a certificate is malformed.
    #[error("the certificate cannot be used: {0}")]
    Certificate(#[from] rustls::Error),
    /// Clients could not be verified.
    #[error("clients cannot be verified: {0}")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
}

/// What TLS connections are accepted with.
///
/// # Errors
/// See [`TlsError`].
pub fn acceptor(files: &TlsFiles) -> Result<TlsAcceptor, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
    let builder = match &files.client_roots {
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates("client roots", path)? {
                roots.add(certificate)?;
            }
            if roots.is_empty() {
                return Err(TlsError::NoRoots(path.clone()));
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build()?;
            builder.with_client_cert_verifier(verifier)
        }
        None => builder.with_no_client_auth(),
    };
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|source| TlsError::File {
        what: "key",
        path: files.key.clone(),
        source,
    })?;
    let mut config = builder.with_single_cert(certificates("certificate", &files.certificate)?, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn certificates(what: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let failed = |source| TlsError::File { what, path: path.to_owned(), source };
    CertificateDer::pem_file_iter(path).map_err(failed)?.collect::<Result<_, _>>().map_err(failed)
}
