//! Which files a folder has.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

const EXTENSIONS: [&str; 9] = [
    "jpg", "jpeg", "jfif", "png", "webp", "gif", "bmp", "tif", "tiff",
];
/// Deeper than this is a link that leads back up.
const MAXIMUM_DEPTH: usize = 16;

/// An image file.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) path: PathBuf,
    pub(super) class: u32,
}

/// What is done with classes without images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Empty {
    Refused,
    Warned,
}

/// Files that are no images, by extension.
#[derive(Default)]
struct Others(BTreeMap<String, usize>);

/// Classes and files, both in order.
pub(super) fn list(root: &Path, empty: Empty) -> Result<(Vec<String>, Vec<Entry>)> {
    let (mut classes, mut files, mut others) = (Vec::new(), Vec::new(), Others::default());
    let mut without = Vec::new();
    for folder in visible(root)? {
        if !folder.is_dir() {
            others.add(&folder);
            continue;
        }
        let name = folder.file_name().unwrap_or_default();
        let name = name.to_str().ok_or_else(|| {
            Error::file(&folder, "not a UTF-8 name; expected the name of a class")
        })?;
        let (class, before) = (classes.len() as u32, files.len());
        let mut of_class = Others::default();
        collect(&folder, class, 0, &mut files, &mut of_class)?;
        if files.len() == before {
            if empty == Empty::Refused {
                let found = of_class.found();
                let reason = format!("a class without images{found}; expected {}", known());
                return Err(Error::file(folder, reason));
            }
            without.push(name.to_string());
        }
        others.join(of_class);
        classes.push(name.to_string());
    }
    if files.is_empty() {
        let reason = match classes.is_empty() {
            true => "no folders; expected one for each class".to_string(),
            false => format!("no images{}; expected {}", others.found(), known()),
        };
        return Err(Error::file(root, reason));
    }
    let root = root.display();
    if !without.is_empty() {
        let names = without.join(", ");
        log::warn!("{root}: no images of {} classes: {names}", without.len());
    }
    if !others.0.is_empty() {
        let (passed, known) = (others.text(), known());
        log::warn!("{root}: passed over {passed}, which are not {known}");
    }
    Ok((classes, files))
}

fn known() -> String {
    let [first @ .., last] = EXTENSIONS.map(|extension| format!(".{extension}"));
    format!("{} or {last} files", first.join(", "))
}

impl Others {
    fn add(&mut self, file: &Path) {
        let extension = file.extension().unwrap_or_default().to_ascii_lowercase();
        let extension = extension.to_string_lossy().into_owned();
        *self.0.entry(extension).or_default() += 1;
    }

    fn join(&mut self, others: Self) {
        for (extension, count) in others.0 {
            *self.0.entry(extension).or_default() += count;
        }
    }

    /// Such as `12 .heic files, 1 .txt file`.
    fn text(&self) -> String {
        let one = |(extension, count): (&String, &usize)| {
            let files = if *count == 1 { "file" } else { "files" };
            match extension.as_str() {
                "" => format!("{count} {files} without extension"),
                extension => format!("{count} .{extension} {files}"),
            }
        };
        self.0.iter().map(one).collect::<Vec<_>>().join(", ")
    }

    fn found(&self) -> String {
        match self.0.is_empty() {
            true => String::new(),
            false => format!(", but with {}", self.text()),
        }
    }
}

fn collect(
    folder: &Path,
    class: u32,
    depth: usize,
    files: &mut Vec<Entry>,
    others: &mut Others,
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
            others.add(&path);
        }
    }
    Ok(())
}

/// What a folder holds, in order, without hidden names.
fn visible(folder: &Path) -> Result<Vec<PathBuf>> {
    let unreadable = |error: std::io::Error| {
        let reason = "cannot be read; expected a folder with a folder of images for each class";
        Error::file(folder, reason).caused_by(error)
    };
    let entries = fs::read_dir(folder).map_err(unreadable)?;
    let entries: std::io::Result<Vec<_>> = entries.collect();
    let mut entries = entries.map_err(unreadable)?;
    entries.retain(|entry| !entry.file_name().as_encoded_bytes().starts_with(b"."));
    entries.sort_by_key(|entry| entry.file_name());
    Ok(entries.iter().map(|entry| entry.path()).collect())
}
