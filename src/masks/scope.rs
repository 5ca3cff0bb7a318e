//! Masks in scope: how the layers of [`nn`](crate::nn) learn what is live without keeping a copy of
//! it.
//!
//! A scope belongs to one thread and lasts as long as the evaluation that it surrounds. Training
//! steps open one by themselves.

use std::cell::RefCell;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Masks;
use crate::error::Error;

/// Which arithmetic the layers of [`nn`](crate::nn) use for masked weights.
///
/// It changes how fast a result comes, not what it is but for rounding. Sparse arithmetic is only
/// used for weights that are zero where their mask says dead; another tensor of the same parameter
/// id, in a dense copy of the model say, is computed as it is.
///
/// ```
/// use zosam::masks::Execution;
/// assert_eq!("sparse".parse::<Execution>().unwrap(), Execution::Sparse);
/// assert!("fast".parse::<Execution>().is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Execution {
    /// Sparse in layers below the density at which that was measured to be faster
    /// ([`nn::crossover`](crate::nn::crossover)). The default.
    #[default]
    Auto,
    /// Dense everywhere, as if no mask were in scope.
    Dense,
    /// Sparse wherever there is a mask.
    Sparse,
}

impl FromStr for Execution {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        match name {
            "auto" => Ok(Self::Auto),
            "dense" => Ok(Self::Dense),
            "sparse" => Ok(Self::Sparse),
            other => Err(Error::Config {
                field: "execution",
                value: other.to_string(),
                valid: "auto, dense or sparse",
            }),
        }
    }
}

/// Masks, and how to compute with them.
#[derive(Debug, Clone, Default)]
#[cfg_attr(
    not(feature = "flex"),
    allow(dead_code, reason = "only layers on flex look at it")
)]
pub(crate) struct Scope {
    pub masks: Masks,
    pub execution: Execution,
    /// Whether gradients are wanted at dead weights, too.
    pub dense_gradient: bool,
}

thread_local! {
    static CURRENT: RefCell<Option<Arc<Scope>>> = const { RefCell::new(None) };
}

/// Puts the former scope back, also when the evaluation panics.
struct Restore(Option<Arc<Scope>>);

impl Drop for Restore {
    fn drop(&mut self) {
        CURRENT.set(self.0.take());
    }
}

impl Scope {
    /// Runs `evaluate` in this scope.
    pub fn run<R>(self: &Arc<Self>, evaluate: impl FnOnce() -> R) -> R {
        let inner = (!self.masks.is_dense()).then(|| self.clone());
        let _restore = Restore(CURRENT.replace(inner));
        evaluate()
    }

    /// The scope of this thread.
    pub fn current() -> Option<Arc<Self>> {
        CURRENT.with_borrow(Clone::clone)
    }
}

impl Masks {
    /// Runs `evaluate` with these masks in scope: the layers of [`nn`](crate::nn) compute with the
    /// live weights only, where that is faster.
    ///
    /// Training steps do so by themselves; this is for validation and for loops of your own.
    /// A layer that computes sparsely gives dead weights no gradient, except within a training step
    /// that asks for it.
    ///
    /// ```
    /// # #[cfg(feature = "flex")] {
    /// use burn::{module::Module, nn::LinearConfig, tensor::{Device, Tensor}};
    /// use zosam::{RandomStatic, Sparsity, masks::Execution, nn::Linear};
    /// let device = Device::flex().autodiff();
    /// let model = Linear::new(&LinearConfig::new(64, 32), &device);
    /// let mut sparsity = Sparsity::new(RandomStatic::new(0.9));
    /// let x = Tensor::<2>::ones([4, 64], &device);
    /// let model = sparsity.attach(model, |model: &Linear| model.forward(x.clone()).mean())?;
    /// let y = sparsity.masks().run(Execution::Auto, || model.forward(x));
    /// assert_eq!(y.dims(), [4, 32]);
    /// # }
    /// # Ok::<(), zosam::Error>(())
    /// ```
    pub fn run<R>(&self, execution: Execution, evaluate: impl FnOnce() -> R) -> R {
        let outer = Scope::current();
        let scope = Scope {
            masks: self.clone(),
            execution,
            // Within a training step, what the step wants.
            dense_gradient: outer.is_some_and(|outer| outer.dense_gradient),
        };
        Arc::new(scope).run(evaluate)
    }
}
