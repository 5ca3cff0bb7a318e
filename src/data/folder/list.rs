//! Which files a folder has.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

const EXTENSIONS: [&str; 3] = ["jpg", "jpeg", "png"];
/// Deeper than this is a link that leads back up.
const MAXIMUM_DEPTH: usize = 16;

/// An image file.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) path: PathBuf,
    pub(super) class: u32,
}

/// Classes and files, both in order.
pub(super) fn list(root: &Path) -> Result<(Vec<String>, Vec<Entry>)> {
    let (mut classes, mut files, mut others) = (Vec::new(), Vec::new(), 0);
    for folder in visible(root)? {
        if !folder.is_dir() {
            others += 1;
            continue;
        }
        let name = folder.file_name().unwrap_or_default();
        let name = name.to_str().ok_or_else(|| {
            Error::file(&folder, "not a UTF-8 name; expected the name of a class")
        })?;
        let (class, before) = (classes.len() as u32, files.len());
        collect(&folder, class, 0, &mut files, &mut others)?;
        if files.len() == before {
            let reason = "a class without images; expected .jpg, .jpeg or .png files";
            return Err(Error::file(folder, reason));
        }
        classes.push(name.to_string());
    }
    if classes.is_empty() {
        return Err(Error::file(root, "no folders; expected one for each class"));
    }
    if others > 0 {
        let root = root.display();
        log::warn!("{root}: passed over {others} files that are not .jpg, .jpeg or .png");
    }
    Ok((classes, files))
}

fn collect(
    folder: &Path,
    class: u32,
    depth: usize,
    files: &mut Vec<Entry>,
    others: &mut usize,
) -> Result<()> {
    if depth > MAXIMUM_DEPTH {
        let reason =
            format!("more than {MAXIMUM_DEPTH} folders down; expected no links in a circle");
        return Err(Error::file(folder, reason));
    }
    for path in visible(folder)? {
        let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
        if path.is_dir() {
            collect(&path, class, depth + 1, files, others)?;
        } else if EXTENSIONS.iter().any(|known| extension == *known) {
            files.push(Entry { path, class });
        } else {
            *others += 1;
        }
    }
    Ok(())
}

/// What a folder holds, in order, without hidden names.
fn visible(folder: &Path) -> Result<Vec<PathBuf>> {
    let unreadable = |error: std::io::Error| {
        let reason = format!("{error}; expected a folder with a folder of images for each class");
        Error::file(folder, reason)
    };
    let entries = fs::read_dir(folder).map_err(unreadable)?;
    let entries: std::io::Result<Vec<_>> = entries.collect();
    let mut entries = entries.map_err(unreadable)?;
    entries.retain(|entry| !entry.file_name().as_encoded_bytes().starts_with(b"."));
    entries.sort_by_key(|entry| entry.file_name());
    Ok(entries.iter().map(|entry| entry.path()).collect())
}
