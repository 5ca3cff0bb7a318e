//! Which format a file is of.

use std::io::Read;
use std::path::Path;

use super::contents::Contents;
use super::{pytorch, safe};
use crate::error::{Error, Result};

/// Reads a file of either format.
pub(super) fn open(path: &Path) -> Result<Contents> {
    let unreadable = |error: std::io::Error| Error::file(path, "cannot be read").caused_by(error);
    let mut start = [0; 4];
    let mut file = std::fs::File::open(path).map_err(unreadable)?;
    let read = file.read(&mut start).map_err(unreadable)?;
    // A zip file, or a bare pickle of protocol 2 or later.
    let contents = match &start[..read] {
        [b'P', b'K', 3, 4] | [0x80, 2..=5, ..] => pytorch::read(path),
        _ => {
            let bytes = std::fs::read(path).map_err(unreadable)?;
            safe::read(&bytes)
        }
    };
    contents.map_err(|fault| fault.in_file(path))
}
