//! Compiling and its options.

use burn::module::Module;
use burn::tensor::Device;

use super::fold::fold;
use super::lower::lower;
use super::mappers::{image, moved};
use super::reference::Reference;
use super::tensors::Tensors;
use super::trace::trace;
use crate::error::{Result, check};
use crate::inference::SparseNetwork;
use crate::inference::graph::Graph;

/// How a module is compiled.
///
/// ```
/// # use burn::{nn::{Linear, LinearConfig}, tensor::{Device, Tensor}};
/// use zosam::compile::CompileConfig;
/// # let layer = LinearConfig::new(8, 3).init(&Device::flex());
/// # let sample = Tensor::<2>::ones([1, 8], &Device::flex());
/// let config = CompileConfig::new().with_tolerance(Some(1e-5));
/// let network = config.compile(&layer, sample, |layer: &Linear, x| layer.forward(x))?;
/// # Ok::<(), zosam::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct CompileConfig {
    /// How far outputs on the sample may be from the module's, relative to the largest of each
    /// output. With `None` the module is not run, and you vouch that it treats images one by one.
    /// Default `Some(1e-4)`.
    pub tolerance: Option<f64>,
    /// Whether the sample's whole batch is compiled as one, for batches of that size alone. Vectors
    /// of linear layers then spread over the members of the batch. Default: images one by one,
    /// where a batch does not mix them.
    pub whole_batch: bool,
}

impl Default for CompileConfig {
    fn default() -> Self {
        Self {
            tolerance: Some(1e-4),
            whole_batch: false,
        }
    }
}

impl CompileConfig {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the tolerance, at least 0.
    #[must_use]
    pub fn with_tolerance(mut self, tolerance: Option<f64>) -> Self {
        self.tolerance = tolerance;
        self
    }

    /// Compiles the sample's whole batch as one.
    #[must_use]
    pub fn with_whole_batch(mut self) -> Self {
        self.whole_batch = true;
        self
    }

    /// Compiles a module for inputs of the sample's shapes.
    ///
    /// The first axis of every input is that of the batch. With a tolerance, the module is run on
    /// flex for one image and for two: outputs must be the network's, and those of an image the
    /// same alone and beside another. If they are not, or the sample has no axis of a batch, the
    /// network is for the sample's whole batch, and for batches of that size alone.
    ///
    /// # Errors
    ///
    /// If the forward pass cannot be recorded (the message says what stands in the way and what
    /// would do), or outputs differ.
    pub fn compile<M: Module, I: Tensors, O: Tensors>(
        &self,
        module: &M,
        sample: I,
        forward: impl Fn(&M, I) -> O,
    ) -> Result<SparseNetwork> {
        if let Some(tolerance) = self.tolerance {
            check("tolerance", tolerance, tolerance >= 0.0, "at least 0")?;
        }
        let sample = moved(sample, &Device::flex());
        let Some(tolerance) = self.tolerance else {
            let graph = match self.whole_batch {
                true => record(module, &sample, &forward, false)?,
                false => record(module, &image(&sample, 0), &forward, true)?,
            };
            return SparseNetwork::new(graph);
        };
        let reference = Reference::new(module, &sample, &forward, self.whole_batch)?;
        let graph = match reference.is_each {
            true => record(module, &image(&sample, 0), &forward, true)?,
            false => record(module, &sample, &forward, false)?,
        };
        let network = SparseNetwork::new(graph)?;
        reference.check(&network, tolerance)?;
        Ok(network)
    }
}

/// The graph of a forward pass, as it is run.
pub(super) fn record<M: Module, I: Tensors, O: Tensors>(
    module: &M,
    sample: &I,
    forward: &impl Fn(&M, I) -> O,
    is_each: bool,
) -> Result<Graph> {
    let mut trace = trace(module, sample, forward)?;
    fold(&mut trace)?;
    lower(&trace, is_each)
}

impl SparseNetwork {
    /// Compiles any burn module for inputs of the sample's shapes: [`CompileConfig::compile`] with
    /// the defaults.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn compile<M: Module, I: Tensors, O: Tensors>(
        module: &M,
        sample: I,
        forward: impl Fn(&M, I) -> O,
    ) -> Result<Self> {
        CompileConfig::default().compile(module, sample, forward)
    }
}
