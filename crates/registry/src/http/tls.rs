//! Whom the certificate of a registry or a proxy must come from, and which certificate we show.
//!
//! `/etc/docker/certs.d/HOST[:PORT]/` may hold `*.crt` (further roots), and pairs of `NAME.cert` and `NAME.key`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

use crate::{Error, Result};

/// The machine's own roots, read once.
static ROOTS: LazyLock<RootCertStore> = LazyLock::new(|| {
    let found = rustls_native_certs::load_native_certs();
    for error in found.errors {
        tracing::warn!(%error, "some of this machine's root certificates cannot be read");
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    roots
});

/// The configuration for one registry. `lenient`: any certificate will do.
///
/// # Errors
/// A file in `folder` cannot be read or is no certificate or key, or half of a pair is missing.
pub(crate) fn config(folder: &Path, lenient: bool) -> Result<ClientConfig> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Unsupported(format!("TLS: {error}")))?;
    let builder = if lenient {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(Anyone(provider)))
    } else {
        builder.with_root_certificates(roots(folder)?)
    };
    let Some((certificates, key, path)) = pair(folder)? else { return Ok(builder.with_no_client_auth()) };
    let refused = |error: rustls::Error| Error::Certificate { path, reason: error.to_string() };
    builder.with_client_auth_cert(certificates, key).map_err(refused)
}

fn roots(folder: &Path) -> Result<RootCertStore> {
    let mut roots = ROOTS.clone();
    for path in files(folder, "crt")? {
        for certificate in certificates(&path)? {
            let refused = |error: rustls::Error| Error::Certificate { path: path.clone(), reason: error.to_string() };
            roots.add(certificate).map_err(refused)?;
        }
    }
    Ok(roots)
}

type Pair = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>, PathBuf);

/// The first pair of certificate and key. Docker shows the registry all of them; more than one is not seen in practice.
fn pair(folder: &Path) -> Result<Option<Pair>> {
    let missing = |path: &Path, what: &str, other: &Path| Error::Certificate {
        path: path.to_owned(),
        reason: format!("missing {what} {} for it", other.display()),
    };
    for key in files(folder, "key")? {
        let certificate = key.with_extension("cert");
        if !certificate.exists() {
            return Err(missing(&key, "client certificate", &certificate));
        }
    }
    let Some(path) = files(folder, "cert")?.into_iter().next() else { return Ok(None) };
    let key_path = path.with_extension("key");
    if !key_path.exists() {
        return Err(missing(&path, "key", &key_path));
    }
    let bytes = read(&key_path)?;
    let key = PrivateKeyDer::from_pem_slice(&bytes)
        .map_err(|error| Error::Certificate { path: key_path, reason: error.to_string() })?;
    Ok(Some((certificates(&path)?, key, path)))
}

/// Files with this ending, sorted; none if there is no folder.
fn files(folder: &Path, ending: &str) -> Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(source) => return Err(Error::File { path: folder.to_owned(), source }),
    };
    let paths: io::Result<Vec<PathBuf>> = entries.map(|entry| Ok(entry?.path())).collect();
    let mut paths = paths.map_err(|source| Error::File { path: folder.to_owned(), source })?;
    paths.retain(|path| path.extension().is_some_and(|found| found == ending));
    paths.sort();
    Ok(paths)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|source| Error::File { path: path.to_owned(), source })
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let bytes = read(path)?;
    let parsed: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    parsed.map_err(|error| Error::Certificate { path: path.to_owned(), reason: error.to_string() })
}

/// Takes every certificate: for registries that were named as insecure. Signatures must be right nevertheless.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_pair_is_named() {
        let folder = tempfile::tempdir_in("/dev/shm").unwrap();
        assert!(config(folder.path(), false).is_ok());
        assert!(config(&folder.path().join("none"), true).is_ok());
        fs::write(folder.path().join("client.cert"), "").unwrap();
        let error = config(folder.path(), false).unwrap_err().to_string();
        assert!(error.contains("missing key") && error.contains("client.key"), "{error}");
        fs::write(folder.path().join("client.key"), "garbage").unwrap();
        assert!(config(folder.path(), false).is_err());
    }
}
