//! One file from a server, in as many attempts as it takes.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use md5::{Digest, Md5};

use super::Archive;
use crate::error::{Error, Result};

const BUFFER: usize = 1 << 16;

/// The whole file, in the cache.
pub(super) fn file(
    archive: &Archive,
    cache: &Path,
    mut progress: impl FnMut(u64, u64),
) -> Result<PathBuf> {
    let path = cache.join(format!("{}.part", archive.folder));
    let mut there = path.metadata().map_or(0, |metadata| metadata.len());
    if there > archive.size {
        // Of something else.
        there = 0;
    }
    if there < archive.size {
        transfer(archive, &path, there, &mut progress)?;
    }
    progress(archive.size, archive.size);
    match md5_of(&path)? {
        sum if sum == archive.md5 => Ok(path),
        sum => {
            // Kept, it would be continued and fail for ever.
            std::fs::remove_file(&path)
                .map_err(|error| Error::file(&path, "cannot be removed").caused_by(error))?;
            let wanted = &archive.md5;
            Err(archive.failed(format!("what it sent has MD5 {sum} instead of {wanted}")))
        }
    }
}

fn transfer(
    archive: &Archive,
    path: &Path,
    there: u64,
    progress: &mut impl FnMut(u64, u64),
) -> Result<()> {
    let agent = ureq::Agent::config_builder()
        .timeout_connect(Some(Duration::from_secs(30)))
        .timeout_recv_response(Some(Duration::from_secs(60)))
        .build()
        .new_agent();
    let mut request = agent.get(&archive.url);
    if there > 0 {
        request = request.header("Range", format!("bytes={there}-"));
    }
    let response = request.call().map_err(|error| match error {
        ureq::Error::StatusCode(code) => archive.failed(format!("the server answers {code}")),
        error => archive
            .failed("the server cannot be reached")
            .caused_by(error),
    })?;
    // A server that knows no ranges answers 200, with the whole file.
    let continues = response.status().as_u16() == 206;
    let mut done = if continues { there } else { 0 };
    let unwritable =
        |error: std::io::Error| Error::file(path, "cannot be written").caused_by(error);
    let mut file = OpenOptions::new()
        .create(true)
        .write(true)
        .append(continues)
        .truncate(!continues)
        .open(path)
        .map_err(unwritable)?;
    let mut body = response.into_body().into_reader();
    let mut buffer = vec![0; BUFFER];
    loop {
        let count = body
            .read(&mut buffer)
            .map_err(|error| archive.failed("the transfer broke off").caused_by(error))?;
        if count == 0 {
            break;
        }
        done += count as u64;
        if done > archive.size {
            return Err(archive.failed(format!("it sends more than {} bytes", archive.size)));
        }
        file.write_all(&buffer[..count]).map_err(unwritable)?;
        progress(done, archive.size);
    }
    match done == archive.size {
        true => Ok(()),
        false => Err(archive.failed(format!(
            "it ended after {done} of {} bytes; start again to go on",
            archive.size
        ))),
    }
}

fn md5_of(path: &Path) -> Result<String> {
    let unreadable = |error: std::io::Error| Error::file(path, "cannot be read").caused_by(error);
    let mut file = File::open(path).map_err(unreadable)?;
    let (mut hash, mut buffer) = (Md5::new(), vec![0; BUFFER]);
    loop {
        match file.read(&mut buffer).map_err(unreadable)? {
            0 => break,
            count => hash.update(&buffer[..count]),
        }
    }
    let digest = hash.finalize();
    Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect())
}
