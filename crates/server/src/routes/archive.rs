//! Files of containers as tar archives.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use engine::ArchivePutOptions;
use http::StatusCode;
use http::header::{HeaderName, HeaderValue};

use crate::call::{Call, with_upload};
use crate::error::Error;
use crate::message::document;
use crate::reply::{Reply, TAR};

const PATH_STAT: HeaderName = HeaderName::from_static("x-docker-container-path-stat");

pub(crate) async fn export(call: &mut Call) -> Result<Reply, Error> {
    let archive = call.server.engine.export(call.name()).await?;
    Reply::bytes("application/octet-stream", archive).await
}

fn path(call: &Call) -> Result<&str, Error> {
    call.query.given("path").ok_or_else(|| Error::invalid("bad parameter: 'path' cannot be empty"))
}

fn stat_header(stat: &engine::PathStat) -> Result<HeaderValue, Error> {
    let stat = api::container::PathStat {
        name: stat.name.clone(),
        size: stat.size,
        mode: stat.mode,
        mtime: stat.modified.to_string(),
        link_target: stat.link_target.clone(),
    };
    HeaderValue::try_from(STANDARD.encode(document(&stat)))
        .map_err(|error| Error::of(model::ErrorKind::System, error.to_string()))
}

pub(crate) async fn stat(call: &mut Call) -> Result<Reply, Error> {
    let stat = call.server.engine.archive_stat(call.name(), path(call)?).await?;
    Ok(Reply::empty(StatusCode::OK).with(PATH_STAT, stat_header(&stat)?))
}

pub(crate) async fn get(call: &mut Call) -> Result<Reply, Error> {
    let mut path = path(call)?.to_owned();
    if call.headers.contains_key(ladder::FOLLOW_HEADER) {
        path = followed(call, path).await?;
    }
    let (stat, archive) = call.server.engine.archive_get(call.name(), &path).await?;
    Ok(Reply::bytes(TAR, archive).await?.with(PATH_STAT, stat_header(&stat)?))
}

/// Links that are followed at most, as in the kernel.
const LINKS: usize = 40;

/// The path to which a path that is a link leads; clients below 1.24 copied that.
async fn followed(call: &Call, mut path: String) -> Result<String, Error> {
    for _ in 0..LINKS {
        let target = call.server.engine.archive_stat(call.name(), &path).await?.link_target;
        if target.is_empty() {
            break;
        }
        path = match path.rsplit_once('/') {
            Some((folder, _)) if !target.starts_with('/') => format!("{folder}/{target}"),
            _ => target,
        };
    }
    Ok(path)
}

pub(crate) async fn put(call: &mut Call) -> Result<Reply, Error> {
    let options = ArchivePutOptions {
        no_overwrite_dir_non_dir: call.query.flag("noOverwriteDirNonDir"),
        copy_uid_gid: call.query.flag("copyUIDGID"),
    };
    path(call)?;
    let (upload, carry) = call.upload();
    let put = call.server.engine.archive_put(call.name(), path(call)?, options, upload);
    with_upload(carry, put).await?;
    Ok(Reply::empty(StatusCode::OK))
}
