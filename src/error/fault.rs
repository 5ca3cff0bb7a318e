//! What is wrong with what was read, where it is not known yet what it was read from.

#[cfg(feature = "burn")]
use std::path::PathBuf;

#[cfg(feature = "burn")]
use super::Error;
use super::Source;

/// A fault in the contents of a file, and what found it.
#[derive(Debug)]
pub(crate) struct Fault {
    pub reason: String,
    pub source: Option<Source>,
}

/// What a reader of contents gives back.
pub(crate) type Faulty<T = ()> = std::result::Result<T, Fault>;

impl Fault {
    /// A function that makes a fault of what another library said.
    pub fn by<E: Into<Source>>(reason: &'static str) -> impl Fn(E) -> Self + Copy {
        move |source| Self {
            reason: reason.to_string(),
            source: Some(source.into()),
        }
    }

    /// Says what would have been right.
    #[cfg(feature = "data")]
    pub fn expected(mut self, expected: &str) -> Self {
        self.reason = format!("{}; {expected}", self.reason);
        self
    }

    /// The error about a file.
    #[cfg(feature = "burn")]
    pub fn in_file(self, path: impl Into<PathBuf>) -> Error {
        Error::File {
            path: path.into(),
            reason: self.reason,
            source: self.source,
        }
    }
}

impl From<String> for Fault {
    fn from(reason: String) -> Self {
        let source = None;
        Self { reason, source }
    }
}

impl From<&str> for Fault {
    fn from(reason: &str) -> Self {
        reason.to_string().into()
    }
}
