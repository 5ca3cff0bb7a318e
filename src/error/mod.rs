//! What can go wrong, in words that say what to do.

#[cfg(any(feature = "burn", feature = "interpreter"))]
mod caught;
#[cfg(feature = "burn")]
mod failed;
mod fault;

use std::error::Error as StdError;
use std::path::PathBuf;

#[cfg(any(feature = "burn", feature = "interpreter"))]
pub(crate) use caught::caught;
#[cfg(feature = "burn")]
pub use failed::Failed;
pub(crate) use fault::{Fault, Faulty};

/// Result with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What another library said; an [`Error`]'s [`source`](StdError::source).
pub type Source = Box<dyn StdError + Send + Sync>;

/// An error of this crate. Every message names the thing at fault, its value, and what would do.
///
/// What another library said is not in the message but in [`source`](StdError::source), so that
/// what prints a chain of causes, as `anyhow` does by `{:#}`, says each once.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A configuration value is out of its range.
    #[error("{field} = {value} is not valid: it must be {valid}")]
    Config {
        /// The field, as users write it.
        field: &'static str,
        /// The value found.
        value: String,
        /// The values that would be accepted.
        valid: &'static str,
    },
    /// No parameter was selected for sparsity.
    #[error(
        "no weight to make sparse: {reason}; select parameters with `ParamGroup` or use a module with convolution or linear layers"
    )]
    NoWeights {
        /// Why the selection is empty.
        reason: String,
    },
    /// A sparsity that the layers cannot realise.
    #[error(
        "sparsity {sparsity} cannot be reached over {weights} weights in {layers} layers: {reason}"
    )]
    Infeasible {
        /// The sparsity asked for.
        sparsity: f64,
        /// Number of weights that may be pruned.
        weights: usize,
        /// Number of layers they are in.
        layers: usize,
        /// What stands in the way.
        reason: String,
    },
    /// A step was asked of a sparsity method that has no masks.
    #[error(
        "the sparsity method has no masks yet: call `attach`, or load a checkpoint, before the first step"
    )]
    NotAttached,
    /// A step was given no batch.
    #[error(
        "the training step was given no loss, or only empty batches: give it at least one sample"
    )]
    NoLoss,
    /// A model has no parameter to train.
    #[error(
        "the model has no trainable parameter: create it on a device with `.autodiff()`, or call `.train()`; to move it, use `.fork(&device)`, because `.to_device(&device)` makes results of its parameters"
    )]
    NotTrainable,
    /// Two things that cannot be used together.
    #[error("{what} cannot be used here: {reason}; {instead}")]
    Unsupported {
        /// What was asked for.
        what: &'static str,
        /// What stands in the way.
        reason: &'static str,
        /// What would do.
        instead: &'static str,
    },
    /// A score is not a number, so weights cannot be ranked by it.
    #[error(
        "the {score} of `{path}` is NaN at {count} of {total} positions: lower the learning rate or check the data"
    )]
    NotANumber {
        /// The score.
        score: &'static str,
        /// The parameter.
        path: String,
        /// Number of such positions.
        count: usize,
        /// Number of positions.
        total: usize,
    },
    /// A method needs gradients, but a selected weight takes no part in the loss.
    #[error(
        "`{path}` got no gradient: the loss closure does not depend on it; leave it out of the group of sparse weights"
    )]
    NoGradient {
        /// The parameter.
        path: String,
    },
    /// A score needs something that cannot be measured here.
    #[error("{what} cannot be measured: {reason}; {instead}")]
    Unmeasurable {
        /// What is needed.
        what: &'static str,
        /// What stands in the way.
        reason: String,
        /// What would do.
        instead: &'static str,
    },
    /// Masks, checkpoint or weights belong to another model.
    #[error("{what} does not fit the model: {reason}")]
    Mismatch {
        /// What was loaded or passed in.
        what: &'static str,
        /// The difference.
        reason: String,
        /// What found it, where that was another library.
        source: Option<Source>,
    },
    /// A record in burn's format is damaged, or cannot be written.
    #[error("{what} cannot be read or written as a record")]
    Record {
        /// What is recorded.
        what: &'static str,
        /// What burn said.
        source: Source,
    },
    /// A module cannot be made into a network of its own.
    #[error("the module cannot be compiled: {reason}; {instead}")]
    Compile {
        /// What stands in the way.
        reason: String,
        /// What would do.
        instead: &'static str,
    },
    /// A network for inference is not valid, or cannot go on.
    #[error("the network is not valid: {reason}")]
    Network {
        /// What is wrong.
        reason: String,
        /// What found it, where that was another library.
        source: Option<Source>,
    },
    /// A slice has the wrong length.
    #[error("{what} has {found} numbers: it must have {expected}")]
    Length {
        /// The slice.
        what: &'static str,
        /// Numbers found.
        found: usize,
        /// The length that would do.
        expected: String,
    },
    /// A file is missing, truncated, or holds something else.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What was expected and what was found.
        reason: String,
        /// What the system or another library said.
        source: Option<Source>,
    },
    /// A file could not be fetched.
    #[error(
        "{url} could not be fetched: {reason}; without a connection, put the unpacked archive into a folder and name that"
    )]
    Download {
        /// Where from.
        url: String,
        /// What stood in the way.
        reason: String,
        /// What the connection said.
        source: Option<Source>,
    },
    /// A run is resumed with another configuration than it was started with.
    #[error(
        "`{field}` is {given} but the saved run has {saved}: use the saved value, or another output folder"
    )]
    ConfigChanged {
        /// The field that differs.
        field: String,
        /// The value given now.
        given: String,
        /// The value that the run was started with.
        saved: String,
    },
}

impl Error {
    /// A [`Error::File`] that names a path.
    pub fn file(path: impl Into<PathBuf>, reason: impl ToString) -> Self {
        Self::File {
            path: path.into(),
            reason: reason.to_string(),
            source: None,
        }
    }

    /// An [`Error::Mismatch`]: what was loaded or passed in, and the difference.
    pub fn mismatch(what: &'static str, reason: impl ToString) -> Self {
        Self::Mismatch {
            what,
            reason: reason.to_string(),
            source: None,
        }
    }

    /// An [`Error::Network`].
    pub(crate) fn network(fault: impl Into<Fault>) -> Self {
        let Fault { reason, source } = fault.into();
        Self::Network { reason, source }
    }

    /// The error with its cause, if it is one that has a place for it: [`File`](Self::File),
    /// [`Download`](Self::Download), [`Mismatch`](Self::Mismatch) and [`Network`](Self::Network).
    pub fn caused_by(mut self, cause: impl Into<Source>) -> Self {
        match &mut self {
            Self::File { source, .. }
            | Self::Download { source, .. }
            | Self::Mismatch { source, .. }
            | Self::Network { source, .. } => *source = Some(cause.into()),
            _ => {}
        }
        self
    }

    /// An [`Error::Record`].
    #[cfg(feature = "burn")]
    pub(crate) fn record(what: &'static str, source: impl Into<Source>) -> Self {
        let source = source.into();
        Self::Record { what, source }
    }

    /// An error about what a file holds, as one about the file.
    pub(crate) fn in_file(path: impl Into<PathBuf>, error: Self) -> Self {
        let of_file = Self::file(path, &error);
        match error {
            Self::File { source, .. }
            | Self::Download { source, .. }
            | Self::Mismatch { source, .. }
            | Self::Network { source, .. } => match source {
                Some(source) => of_file.caused_by(source),
                None => of_file,
            },
            Self::Record { source, .. } => of_file.caused_by(source),
            _ => of_file,
        }
    }
}

/// An error and its causes, in one line.
#[cfg(feature = "burn")]
pub(crate) struct Chain<'a>(pub &'a dyn StdError);

#[cfg(feature = "burn")]
impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut next = self.0.source();
        while let Some(cause) = next {
            write!(f, ": {cause}")?;
            next = cause.source();
        }
        Ok(())
    }
}

/// Says what a user has to know: to the program's log, or to standard error where there is none.
#[cfg(feature = "burn")]
pub(crate) fn warn(message: &str) {
    match log::log_enabled!(log::Level::Warn) {
        true => log::warn!("{message}"),
        false => eprintln!("zosam: {message}"),
    }
}

/// Checks that a number lies in a range, with the range in words for the message.
pub(crate) fn check(
    field: &'static str,
    value: f64,
    is_valid: bool,
    valid: &'static str,
) -> Result<()> {
    match is_valid && value.is_finite() {
        true => Ok(()),
        false => Err(Error::Config {
            field,
            value: value.to_string(),
            valid,
        }),
    }
}
