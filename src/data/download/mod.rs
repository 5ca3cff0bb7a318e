//! Public image sets from their authors' servers.

mod transfer;
mod unpack;

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// An archive on a server, and what is in it.
///
/// ```
/// use zosam::data::Archive;
/// let archive = Archive::cifar10();
/// assert!(archive.url.ends_with("cifar-10-binary.tar.gz"));
/// // A folder that is there already is not fetched again.
/// let cache = tempfile::tempdir().unwrap();
/// std::fs::create_dir(cache.path().join("cifar-10-batches-bin")).unwrap();
/// assert_eq!(archive.fetch(cache.path(), |_, _| ())?, cache.path());
/// # Ok::<(), zosam::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive {
    /// Where it is.
    pub url: String,
    /// MD5 of the file, as its authors publish it: 32 hexadecimal digits.
    pub md5: String,
    /// Bytes of the file.
    pub size: u64,
    /// Its only folder.
    pub folder: String,
}

impl Archive {
    /// CIFAR-10, binary version: 162 MB, for [`cifar10`](super::cifar10).
    pub fn cifar10() -> Self {
        Self::new(
            "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
            "c32a1d4ab5d03f1284b67883e8d87530",
            170_052_171,
            "cifar-10-batches-bin",
        )
    }

    /// CIFAR-100, binary version: 161 MB, for [`cifar100`](super::cifar100).
    pub fn cifar100() -> Self {
        Self::new(
            "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
            "03b5dce01913d631647c71ecec9e9cb8",
            168_513_733,
            "cifar-100-binary",
        )
    }

    /// CIFAR-10-C: 2.9 GB.
    pub fn cifar10_c() -> Self {
        Self::new(
            "https://zenodo.org/records/2535967/files/CIFAR-10-C.tar?download=1",
            "56bf5dcef84df0e2308c6dcbcbbd8499",
            2_918_471_680,
            "CIFAR-10-C",
        )
    }

    /// CIFAR-100-C: 2.9 GB.
    pub fn cifar100_c() -> Self {
        Self::new(
            "https://zenodo.org/records/3555552/files/CIFAR-100-C.tar?download=1",
            "11f0ed0f1191edbf9fa23466ae6021d3",
            2_918_473_216,
            "CIFAR-100-C",
        )
    }

    fn new(url: &str, md5: &str, size: u64, folder: &str) -> Self {
        Self {
            url: url.to_string(),
            md5: md5.to_string(),
            size,
            folder: folder.to_string(),
        }
    }

    /// Fetches and unpacks the archive into a cache folder unless its folder is there, and returns the cache folder, which the
    /// readers take.
    ///
    /// What was transferred before an interruption is kept and continued. Nothing is unpacked before size and MD5 are right, and
    /// the folder appears at once, by a rename. `progress` is told the bytes there are and the bytes there will be.
    ///
    /// # Errors
    ///
    /// [`Error::Download`] if the server cannot be reached, refuses, or sends something else; [`Error::File`] if the cache
    /// cannot be written.
    pub fn fetch(&self, cache: &Path, progress: impl FnMut(u64, u64)) -> Result<PathBuf> {
        let target = cache.join(&self.folder);
        if target.is_dir() {
            return Ok(cache.to_path_buf());
        }
        std::fs::create_dir_all(cache)
            .map_err(|error| Error::file(cache, "cannot be made").caused_by(error))?;
        let file = transfer::file(self, cache, progress)?;
        unpack::archive(&file, cache, &self.folder)?;
        std::fs::remove_file(&file)
            .map_err(|error| Error::file(&file, "cannot be removed").caused_by(error))?;
        Ok(cache.to_path_buf())
    }

    fn failed(&self, reason: impl ToString) -> Error {
        Error::Download {
            url: self.url.clone(),
            reason: reason.to_string(),
            source: None,
        }
    }
}
