//! Whether credentials are good.

use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method, StatusCode};
use serde_json::json;

use super::DOCUMENT_BYTES;
use crate::error::Failure;
use crate::http::{Body, Call};
use crate::login::Login;
use crate::session::Session;
use crate::{Credentials, Error, Result};

const CREATED: &str = "Account created. Please use the confirmation link we sent to your e-mail to activate it.";
const KNOWN: &str = "\"Username or email already exists\"";
const INACTIVE: &str = "Login: Account is not Active. Please check your e-mail for a confirmation link.";

/// Asks an index whether credentials are good. With an address for mail it is first asked to make an account of that name, as
/// clients of the time expect.
pub(crate) async fn log_in(index: &Session, credentials: &Credentials) -> Result<Login> {
    let url = index.old_url("users/");
    let refused =
        |reason: String| Error::Request { method: "Get", url: url.clone(), reason, failure: Failure::Credentials };
    if !index.client.may_carry_secrets() {
        return Err(refused("refusing to send credentials without TLS".to_owned()));
    }
    if !credentials.email.is_empty() && sign_up(index, &url, credentials).await? {
        return Ok(Login { status: CREATED.to_owned(), ..Login::default() });
    }
    let mut answer = index.get(Method::GET, &url, &[], &HeaderMap::new()).await?;
    match answer.status {
        StatusCode::OK => Ok(Login::default()),
        StatusCode::UNAUTHORIZED => Err(refused("unauthorized: incorrect username or password".to_owned())),
        StatusCode::FORBIDDEN => Err(Error::Login(INACTIVE.to_owned())),
        status => {
            let body = shown(&answer.document(DOCUMENT_BYTES).await.unwrap_or_default());
            Err(Error::Login(format!("Login: {body} (Code: {})", status.as_u16())))
        }
    }
}

/// Whether an account was made; false if there is one already.
async fn sign_up(index: &Session, url: &str, credentials: &Credentials) -> Result<bool> {
    let (username, password) = credentials.pair().unwrap_or_default();
    let account = json!({"username": username, "password": password, "auth": "", "email": credentials.email});
    let mut call = Call::new(Method::POST, url);
    call.body = Body::whole(account.to_string());
    let mut answer = index.client.send(call.with(CONTENT_TYPE, "application/json; charset=utf-8")?).await?;
    let body = shown(&answer.document(DOCUMENT_BYTES).await.unwrap_or_default());
    match answer.status {
        StatusCode::CREATED => Ok(true),
        StatusCode::BAD_REQUEST if body == KNOWN => Ok(false),
        StatusCode::BAD_REQUEST => Err(Error::Login(format!("Registration: {body}"))),
        StatusCode::UNAUTHORIZED => Ok(false),
        // A registry that stands alone keeps no accounts itself.
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => Ok(false),
        status => Err(Error::Login(format!("Unexpected status code [{}] : {body}", status.as_u16()))),
    }
}

/// Text of a registry on its way to a terminal.
fn shown(body: &[u8]) -> String {
    String::from_utf8_lossy(body).trim().chars().filter(|letter| !letter.is_control()).take(200).collect()
}
