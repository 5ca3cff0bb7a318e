//! What a classifier's batches tell.

use burn::module::Module;
use burn::tensor::{DType, FloatDType, Int, Tensor};

use super::{Evidence, differences};
use crate::error::{Error, Result, caught};
use crate::objective::Objective;
use crate::tangent::{Dual, cross_entropy, cross_entropy_tangent};
use crate::tree::{self, ParamVector};

type Logits<'a, M, const D: usize> = dyn Fn(&M, Tensor<D>) -> Tensor<2> + 'a;
type LogitsTangent<'a, M, const D: usize> = dyn Fn(&M, &M, Tensor<D>) -> Dual<2> + 'a;

/// Batches of inputs with labels, and how the model makes logits of them.
///
/// ```
/// # #[cfg(all(feature = "flex", feature = "models"))] {
/// use burn::tensor::{Device, Int, Tensor};
/// use zosam::models::{ResNet, ResNetConfig};
/// use zosam::sparse::Classification;
/// use zosam::{Grasp, Sparsity};
///
/// let device = Device::flex().autodiff();
/// let model = ResNetConfig::resnet32(10).with_depth(8).with_width(4).init(&device)?;
/// # device.seed(1);
/// # let images = Tensor::<4>::random([4, 3, 8, 8], burn::tensor::Distribution::Default, &device);
/// # let labels = Tensor::<1, Int>::from_ints([0, 1, 2, 3], &device);
/// let data = Classification::new([(images, labels)], ResNet::forward)
///     .with_tangent(|model: &ResNet, direction, images| model.forward_tangent(direction, images));
/// let mut sparsity = Sparsity::new(Grasp::new(0.9));
/// let model = sparsity.attach_on(model, &data)?;
/// # }
/// # Ok::<(), zosam::Error>(())
/// ```
pub struct Classification<'a, M, const D: usize> {
    batches: Vec<(Tensor<D>, Tensor<1, Int>)>,
    logits: Box<Logits<'a, M, D>>,
    tangent: Option<Box<LogitsTangent<'a, M, D>>>,
}

impl<'a, M: Module, const D: usize> Classification<'a, M, D> {
    /// Batches of inputs `[batch, …]` with labels `[batch]`, and the function that makes logits
    /// `[batch, classes]`; the loss is their cross-entropy.
    pub fn new(
        batches: impl IntoIterator<Item = (Tensor<D>, Tensor<1, Int>)>,
        logits: impl Fn(&M, Tensor<D>) -> Tensor<2> + 'a,
    ) -> Self {
        Self {
            batches: batches.into_iter().collect(),
            logits: Box::new(logits),
            tangent: None,
        }
    }

    /// Makes products with the Hessian exact: given the model, a direction in the shape of a model,
    /// and inputs, returns the logits and their derivative along the direction; see
    /// [`tangent`](crate::tangent).
    ///
    /// Without it they are differences of gradients in f64, with the step that proves itself.
    pub fn with_tangent(mut self, tangent: impl Fn(&M, &M, Tensor<D>) -> Dual<2> + 'a) -> Self {
        self.tangent = Some(Box::new(tangent));
        self
    }

    /// The gradient with inputs in the model's own float type.
    fn gradient_as(
        &self,
        model: &M,
        dtype: FloatDType,
        temperature: f64,
        seed: u64,
    ) -> ParamVector {
        self.summed(|inputs, labels| {
            let loss = |model: &M| {
                let logits = (self.logits)(model, inputs.clone().cast(dtype));
                cross_entropy(logits, labels.clone(), temperature)
            };
            Objective::new(model, loss, seed).gradient(None).vector
        })
    }

    fn summed(&self, one: impl Fn(&Tensor<D>, &Tensor<1, Int>) -> ParamVector) -> ParamVector {
        let vectors = self
            .batches
            .iter()
            .map(|(inputs, labels)| one(inputs, labels));
        let sum = vectors.reduce(|sum, vector| sum.plus_scaled(&vector, 1.0));
        sum.unwrap_or_default()
    }

    /// `∂R/∂|θ|` for one input of ones.
    fn flow(&self, model: &M, inputs: &Tensor<D>, dtype: DType, seed: u64) -> ParamVector {
        let mut shape = inputs.dims();
        shape[0] = 1;
        let ones = Tensor::<D>::ones(shape, (&inputs.device(), dtype));
        let model = tree::absolute(model, dtype.into());
        let flow = |model: &M| (self.logits)(model, ones.clone()).sum();
        Objective::new(&model, flow, seed).gradient(None).vector
    }

    fn first_inputs(&self) -> Result<&Tensor<D>> {
        let first = self.batches.first().map(|(inputs, _)| inputs);
        first.ok_or_else(|| Error::Unmeasurable {
            what: "a score",
            reason: "there is no batch".to_string(),
            instead: "pass at least one batch",
        })
    }
}

impl<M: Module, const D: usize> Evidence<M> for Classification<'_, M, D> {
    fn gradient(&self, model: &M, temperature: f64, seed: u64) -> Result<ParamVector> {
        let dtype = self.first_inputs()?.dtype().into();
        Ok(self.gradient_as(model, dtype, temperature, seed))
    }

    fn hessian_product(
        &self,
        model: &M,
        vector: &ParamVector,
        temperature: f64,
        seed: u64,
    ) -> Result<ParamVector> {
        self.first_inputs()?;
        let Some(tangent) = &self.tangent else {
            return caught(|| {
                differences::hessian_product(model, vector, |model| {
                    self.gradient_as(model, FloatDType::F64, temperature, seed)
                })
            })
            .unwrap_or_else(|refusal| {
                Err(differences::unmeasurable(format!(
                    "the model cannot be computed in f64: {refusal}"
                )))
            });
        };
        let direction = tree::direction(model, vector);
        Ok(self.summed(|inputs, labels| {
            let slope = |model: &M| {
                let logits = tangent(model, &direction, inputs.clone());
                cross_entropy_tangent(logits, labels.clone(), temperature)
            };
            Objective::new(model, slope, seed).gradient(None).vector
        }))
    }

    fn synaptic_flow(&self, model: &M, seed: u64) -> Result<ParamVector> {
        let inputs = self.first_inputs()?;
        let own = inputs.dtype();
        let wide = inputs.device().supports_dtype(FloatDType::F64);
        let dtype = if wide { DType::F64 } else { own };
        let flow_in = |dtype| caught(|| self.flow(model, inputs, dtype, seed));
        // A module that makes tensors of its own, as burn's LSTM makes its first state, may know one type only.
        let (flow, dtype) = match flow_in(dtype) {
            Ok(flow) => (flow, dtype),
            Err(refusal) if dtype == own => return Err(no_flow(refusal)),
            Err(_) => (flow_in(own).map_err(no_flow)?, own),
        };
        let largest = flow.iter().map(|(_, component)| {
            let largest = component.clone().abs().max();
            largest.to_data().iter::<f64>().next().unwrap_or(0.0)
        });
        let largest = largest.fold(0.0, |a: f64, b| if b.is_nan() { b } else { a.max(b) });
        if !largest.is_finite() {
            return Err(Error::Unmeasurable {
                what: "synaptic flow",
                reason: format!("it overflows {dtype:?}"),
                instead: "choose the masks on a device that computes in f64, such as a CPU",
            });
        }
        let scale = if largest > 0.0 { largest.recip() } else { 1.0 };
        Ok(flow
            .scaled(scale)
            .map(|_, component| component.cast(FloatDType::F32)))
    }
}

fn no_flow(refusal: String) -> Error {
    Error::Unmeasurable {
        what: "synaptic flow",
        reason: format!("the model refuses an input of ones: {refusal}"),
        instead: "choose another method",
    }
}
