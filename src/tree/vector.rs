//! A vector in parameter space.

use burn::module::ParamId;
use burn::tensor::Tensor;

use super::on_host;

/// A vector in parameter space: one flat tensor per trainable parameter, in the module's order.
///
/// Weights, gradients, random directions and perturbations are all of this type. Tensors are
/// detached and live on the model's device.
#[derive(Debug, Clone, Default)]
pub struct ParamVector {
    entries: Vec<(ParamId, Tensor<1>)>,
}

impl ParamVector {
    /// Appends the component that belongs to a parameter.
    pub fn push(&mut self, id: ParamId, component: Tensor<1>) {
        self.entries.push((id, component));
    }

    /// The components with their parameters' ids.
    pub fn iter(&self) -> impl Iterator<Item = (ParamId, &Tensor<1>)> {
        self.entries.iter().map(|(id, tensor)| (*id, tensor))
    }

    /// The component of one parameter.
    pub fn get(&self, id: ParamId) -> Option<&Tensor<1>> {
        self.iter()
            .find_map(|(other, tensor)| (other == id).then_some(tensor))
    }

    /// Whether the vector has no component.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Applies a function to each component.
    pub fn map(self, mut f: impl FnMut(ParamId, Tensor<1>) -> Tensor<1>) -> Self {
        let entries = self.entries.into_iter();
        Self {
            entries: entries.map(|(id, tensor)| (id, f(id, tensor))).collect(),
        }
    }

    /// Keeps the components whose parameter satisfies a predicate.
    pub fn filter(mut self, keep: impl Fn(ParamId) -> bool) -> Self {
        self.entries.retain(|(id, _)| keep(*id));
        self
    }

    /// `factor · self`.
    pub fn scaled(self, factor: f64) -> Self {
        self.map(|_, tensor| tensor.mul_scalar(factor))
    }

    /// `self + factor · other`, where `other` has the same parameters in the same order.
    ///
    /// # Panics
    ///
    /// Panics if the parameters differ, which means that the two vectors belong to different models.
    pub fn add_scaled(self, other: &Self, factor: f64) -> Self {
        assert_eq!(
            self.entries.len(),
            other.entries.len(),
            "two parameter vectors of one model have the same parameters"
        );
        let mut others = other.entries.iter();
        self.map(|id, tensor| {
            let (other_id, component) = others.next().expect("lengths were compared");
            assert_eq!(id, *other_id, "components are in the same order");
            tensor + component.clone().mul_scalar(factor)
        })
    }

    /// Inner product `⟨self, other⟩` over the parameters that both have.
    ///
    /// Reads one number per call from the device, which waits for it.
    pub fn dot(&self, other: &Self) -> f64 {
        self.iter()
            .filter_map(|(id, tensor)| other.get(id).map(|component| (tensor, component)))
            .map(|(a, b)| inner_product(a, b))
            .sum()
    }

    /// Euclidean norm of the concatenation of all components.
    ///
    /// Reads from the device, which waits for it.
    pub fn norm(&self) -> f64 {
        self.dot(self).sqrt()
    }
}

/// `Σ aᵢbᵢ`.
///
/// On the host the sum is accumulated in f64 and in element order, so that it depends neither on
/// the number of threads nor on how a backend splits a reduction; elsewhere the device reduces in
/// f32 (half-precision tensors are widened first) and only the result travels.
fn inner_product(a: &Tensor<1>, b: &Tensor<1>) -> f64 {
    if on_host(&a.device()) {
        let a = a.to_data_as::<f32>();
        let b = b.to_data_as::<f32>();
        let (a, b) = (floats(&a), floats(&b));
        a.iter()
            .zip(b)
            .map(|(x, y)| f64::from(*x) * f64::from(*y))
            .sum()
    } else {
        let a = a.clone().cast(burn::tensor::FloatDType::F32);
        let b = b.clone().cast(burn::tensor::FloatDType::F32);
        f64::from((a * b).sum().into_scalar::<f32>())
    }
}

fn floats(data: &burn::tensor::TensorData) -> &[f32] {
    data.as_slice::<f32>()
        .expect("the data was converted to f32")
}
