//! What a classifier's batches tell.

use burn::module::Module;
use burn::tensor::{DType, Device, FloatDType, Int, Tensor};

use super::{Evidence, differences};
use crate::error::{Error, Result, caught};
use crate::objective::Objective;
use crate::tangent::{Dual, cross_entropy, cross_entropy_tangent};
use crate::tree::{self, Doubles, ParamVector};

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

    /// The gradient with inputs of a float type, on another device if the model is there.
    fn gradient_as(
        &self,
        model: &M,
        (elsewhere, dtype): (Option<&Device>, FloatDType),
        temperature: f64,
        seed: u64,
    ) -> ParamVector {
        self.summed(|inputs, labels| {
            let (inputs, labels) = match elsewhere {
                Some(device) => (
                    inputs.clone().to_device(device),
                    labels.clone().to_device(device),
                ),
                None => (inputs.clone(), labels.clone()),
            };
            let inputs = inputs.cast(dtype);
            let loss = |model: &M| {
                let logits = (self.logits)(model, inputs.clone());
                cross_entropy(logits, labels.clone(), temperature)
            };
            Objective::new(model, loss, seed).gradient(None).vector
        })
    }

    /// Products by differences of gradients in f64, measured where the model is or elsewhere.
    fn difference_on(
        &self,
        elsewhere: Option<&Device>,
        model: &M,
        vector: &ParamVector,
        (temperature, seed): (f64, u64),
    ) -> Result<ParamVector> {
        let product = caught(|| {
            let there = tree::moved(model, elsewhere);
            let vector = tree::near(&there, vector.clone());
            differences::hessian_product(&there, &vector, |model| {
                self.gradient_as(model, (elsewhere, FloatDType::F64), temperature, seed)
            })
        });
        let refused = |refusal| {
            let place = elsewhere.map_or(String::new(), |device| format!(" on {device:?}"));
            differences::unmeasurable(format!(
                "the model cannot be computed in f64{place}: {refusal}"
            ))
        };
        Ok(tree::near(model, product.map_err(refused)??))
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
    fn flow(
        &self,
        model: &M,
        inputs: &Tensor<D>,
        (elsewhere, dtype): (Option<&Device>, DType),
        seed: u64,
    ) -> ParamVector {
        let mut shape = inputs.dims();
        shape[0] = 1;
        let device = elsewhere.cloned().unwrap_or_else(|| inputs.device());
        let ones = Tensor::<D>::ones(shape, (&device, dtype));
        let model = tree::absolute(&tree::moved(model, elsewhere), dtype.into());
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
        Ok(self.gradient_as(model, (None, dtype), temperature, seed))
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
            let device = tree::device(model).unwrap_or_default();
            let elsewhere = match Doubles::of(&device) {
                Doubles::Here => None,
                Doubles::Elsewhere(device) => Some(device),
                Doubles::Nowhere => {
                    return Err(differences::unmeasurable(format!(
                        "{device:?} does not compute in f64, and the feature `flex` of this crate, a CPU that does, is off"
                    )));
                }
            };
            return self.difference_on(elsewhere.as_ref(), model, vector, (temperature, seed));
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
        let own = (None, inputs.dtype());
        // A module that makes tensors of its own, as burn's LSTM makes its first state, may know one type only. Where f64
        // is another device's, that is the last resort: a hundred rounds of a large model take minutes on a CPU.
        let places = match Doubles::of(&inputs.device()) {
            Doubles::Here => vec![(None, DType::F64), own],
            Doubles::Elsewhere(device) => vec![own, (Some(device), DType::F64)],
            Doubles::Nowhere => vec![own],
        };
        let mut failure = None;
        for (elsewhere, dtype) in places {
            let place = (elsewhere.as_ref(), dtype);
            let flow = match caught(|| self.flow(model, inputs, place, seed)) {
                Ok(flow) => flow,
                Err(refusal) => {
                    failure = Some(no_flow(refusal));
                    continue;
                }
            };
            let largest = largest(&flow);
            if largest.is_finite() {
                let scale = if largest > 0.0 { largest.recip() } else { 1.0 };
                let flow = flow.scaled(scale);
                let flow = flow.map(|_, component| component.cast(FloatDType::F32));
                return Ok(tree::near(model, flow));
            }
            failure = Some(overflow(dtype));
            if dtype == DType::F64 {
                break;
            }
        }
        Err(failure.unwrap_or_else(|| unreachable!("there is a place")))
    }
}

/// NaN if there is one.
fn largest(flow: &ParamVector) -> f64 {
    let components = flow.iter().map(|(_, component)| {
        let largest = component.clone().abs().max();
        largest.to_data().iter::<f64>().next().unwrap_or(0.0)
    });
    components.fold(0.0, |a: f64, b| if b.is_nan() { b } else { a.max(b) })
}

fn no_flow(refusal: String) -> Error {
    Error::Unmeasurable {
        what: "synaptic flow",
        reason: format!("the model refuses an input of ones: {refusal}"),
        instead: "choose another method",
    }
}

fn overflow(dtype: DType) -> Error {
    Error::Unmeasurable {
        what: "synaptic flow",
        reason: format!("it overflows {dtype:?}"),
        instead: "choose the masks on a device that computes in f64, such as a CPU",
    }
}

#[cfg(all(test, feature = "flex", not(feature = "ndarray")))]
mod tests {
    use burn::nn::{Linear, LinearConfig};
    use burn::tensor::{Distribution, TensorData};

    use super::*;

    /// Its parameters are on two devices, and the one that burn names first is not the inputs'.
    #[derive(Module, Debug)]
    struct Spread {
        late: Linear,
        early: Linear,
    }

    impl Spread {
        fn forward(&self, inputs: Tensor<2>) -> Tensor<2> {
            let hidden = self.early.forward(inputs).tanh();
            self.late
                .forward(hidden.to_device(&self.late.weight.val().device()))
        }
    }

    #[test]
    #[allow(deprecated, reason = "burn-ndarray stands for a GPU here")]
    fn a_model_on_two_devices_stays_there() {
        let [flex, ndarray] = [Device::flex(), Device::ndarray()];
        let model = Spread {
            late: LinearConfig::new(5, 3).init(&flex.clone().autodiff()),
            early: LinearConfig::new(4, 5).init(&ndarray.clone().autodiff()),
        };
        let images = Tensor::<2>::ones([2, 4], &ndarray);
        let labels = Tensor::from_ints([0, 2], &flex);
        let data = Classification::new([(images, labels)], Spread::forward);
        let gradient = data.gradient(&model, 1.0, 0).unwrap();
        let product = data.hessian_product(&model, &gradient, 1.0, 0).unwrap();
        let flow = data.synaptic_flow(&model, 0).unwrap();
        for vector in [gradient, product, flow] {
            assert_eq!(vector.iter().count(), 4);
            assert!(vector.norm() > 0.0);
        }
    }

    /// burn-ndarray stands for a device that does not compute in f64.
    #[test]
    #[allow(deprecated, reason = "burn-ndarray stands for a GPU here")]
    fn a_product_is_the_same_by_another_device() {
        let [flex, ndarray] = [Device::flex(), Device::ndarray()];
        flex.seed(1);
        let images = Tensor::<2>::random([6, 4], Distribution::Default, &flex);
        let model = LinearConfig::new(4, 3).init(&flex.clone().autodiff());
        let product = |device: &Device, elsewhere: Option<&Device>| {
            let model: Linear = model.clone().fork(&device.clone().autodiff());
            let labels = Tensor::from_ints([0, 1, 2, 2, 1, 0], device);
            let batch = (images.clone().to_device(device), labels);
            let data = Classification::new([batch], Linear::forward::<2>);
            let vector = data.gradient(&model, 1.0, 0).unwrap();
            let product = data
                .difference_on(elsewhere, &model, &vector, (1.0, 0))
                .unwrap();
            let components = product.iter().map(|(_, component)| {
                assert_eq!(component.device(), *device);
                component.to_data()
            });
            components.collect::<Vec<TensorData>>()
        };
        let here = product(&flex, None);
        let there = product(&ndarray, Some(&flex));
        for (here, there) in here.iter().zip(&there) {
            // The vectors, gradients in f32, were computed by two backends.
            here.assert_approx_eq::<f32>(there, burn::tensor::Tolerance::absolute(1e-5));
        }
    }
}
