//! What can go wrong, in words that say what to do.

#[cfg(any(feature = "burn", feature = "interpreter"))]
mod caught;
#[cfg(feature = "burn")]
mod failed;

use std::path::PathBuf;

#[cfg(any(feature = "burn", feature = "interpreter"))]
pub(crate) use caught::caught;
#[cfg(feature = "burn")]
pub use failed::Failed;

/// Result with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of this crate. Every message names the thing at fault, its value, and what would do.
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
        }
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
