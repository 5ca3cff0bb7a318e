//! From an archive to a folder.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use flate2::read::GzDecoder;
use tar::Archive;

use crate::error::{Error, Result};

/// Unpacks a tar file, compressed or not, whose only folder then appears in `cache` at once.
pub(super) fn archive(file: &Path, cache: &Path, folder: &str) -> Result<()> {
    let damaged = |error: std::io::Error| Error::file(file, "cannot be unpacked").caused_by(error);
    let mut start = [0; 2];
    let mut opened = File::open(file).map_err(damaged)?;
    opened.read_exact(&mut start).map_err(damaged)?;
    let reader = BufReader::new(File::open(file).map_err(damaged)?);
    let reader: Box<dyn Read> = match start {
        [0x1f, 0x8b] => Box::new(GzDecoder::new(reader)),
        _ => Box::new(reader),
    };
    let partial = tempfile::Builder::new()
        .prefix(".partial-")
        .tempdir_in(cache)
        .map_err(|error| Error::file(cache, "cannot be written").caused_by(error))?;
    // `unpack` skips entries that would leave the folder.
    Archive::new(reader)
        .unpack(partial.path())
        .map_err(damaged)?;
    let inside = partial.path().join(folder);
    if !inside.is_dir() {
        return Err(Error::file(file, format!("has no folder `{folder}`")));
    }
    let target = cache.join(folder);
    std::fs::rename(inside, &target)
        .map_err(|error| Error::file(target, "cannot be written").caused_by(error))
}
