//! Files at any address, for imports.

use std::io::{self, Read};
use std::sync::Arc;

use http::{HeaderMap, Method};

use crate::error::Failure;
use crate::http::origin;
use crate::pipe::{Reader, pipe};
use crate::session::succeeded;
use crate::settings::Endpoint;
use crate::{Error, Registries, Result};

/// What is at an address, as it comes in. Blocking; dropping it ends the transfer.
#[derive(Debug)]
pub struct Remote {
    reader: Reader,
    /// Length in bytes, if the server says it.
    pub length: Option<u64>,
    /// When it was last changed, in seconds since 1970, if the server says it.
    pub modified: Option<i64>,
}

impl Read for Remote {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reader.read(buffer)
    }
}

impl Registries {
    /// Opens what is at an address with HTTP or HTTPS; without either, HTTP is meant.
    ///
    /// # Errors
    /// The address makes no sense, or nothing is there.
    pub async fn open_address(self: &Arc<Self>, address: &str) -> Result<Remote> {
        let url = if address.contains("://") { address.to_owned() } else { format!("http://{address}") };
        let invalid = || Error::Invalid(format!("{address:?}: an address such as http://host/file is wanted"));
        if url == "http://" {
            let (url, reason) = ("http:".to_owned(), "http: no Host in request URL".to_owned());
            return Err(Error::Request { method: "Get", url, reason, failure: Failure::Nonsense });
        }
        let (scheme, authority) = origin(&url).and_then(|origin| origin.split_once("://")).ok_or_else(invalid)?;
        let secure = match scheme {
            "https" => true,
            "http" => false,
            _ => return Err(invalid()),
        };
        let (authority, prefix) = (authority.to_owned(), String::new());
        let endpoint = Endpoint { secure, authority, prefix, mirror: false, lenient: false, legacy: false };
        let client = self.clients.client(&endpoint, &HeaderMap::new())?;
        let mut answer = succeeded(client.follow(Method::GET, url, HeaderMap::new()).await?).await?;
        let length: Option<u64> = answer.header(http::header::CONTENT_LENGTH).parse().ok();
        let modified = httpdate::parse_http_date(answer.header(http::header::LAST_MODIFIED)).ok();
        let since = modified.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
        let modified = since.and_then(|since| i64::try_from(since.as_secs()).ok());
        let (mut writer, reader) = pipe(&self.spool);
        tokio::spawn(async move {
            let mut left = length;
            loop {
                match answer.piece().await {
                    Ok(Some(piece)) => {
                        left = left.map(|left| left.saturating_sub(piece.len() as u64));
                        if let Err(error) = writer.write(piece).await {
                            return tracing::debug!(%error, "nobody reads what comes from an address");
                        }
                    }
                    Ok(None) if left.is_none_or(|left| left == 0) => return writer.finish(),
                    Ok(None) => return writer.fail("unexpected EOF".to_owned()),
                    Err(error) => return writer.fail(error.to_string()),
                }
            }
        });
        Ok(Remote { reader, length, modified })
    }
}
