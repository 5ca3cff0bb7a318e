//! Files that are whole or absent.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use crate::error::{Error, Result};

/// Writes a file so that, whatever happens meanwhile, its path holds either the old content or the
/// new.
///
/// Who may read it is up to the umask, as for any new file.
///
/// # Errors
///
/// If the folder cannot be written.
pub fn write_atomically(path: &Path, content: &[u8]) -> Result<()> {
    // The parent of a bare file name is "", which no system can open.
    let folder = path.parent().filter(|parent| *parent != Path::new(""));
    let folder = folder.unwrap_or(Path::new("."));
    let write = || -> std::io::Result<()> {
        let mut file = new_file().tempfile_in(folder)?;
        file.write_all(content)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        sync_folder(folder)
    };
    write().map_err(|error| Error::file(path, "cannot be written").caused_by(error))
}

/// Makes temporary files that others may read as they may any file; by default only their owner
/// could.
pub(crate) fn new_file() -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // The umask takes away from these.
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    builder
}

/// Makes a rename in a folder durable. Only Unix can open a folder; elsewhere the rename has to do.
pub(crate) fn sync_folder(folder: &Path) -> std::io::Result<()> {
    match cfg!(unix) {
        true => File::open(folder)?.sync_all(),
        false => Ok(()),
    }
}
