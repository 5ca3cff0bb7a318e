//! A vector in parameter space.

use burn::module::ParamId;
use burn::tensor::{DType, FloatDType, Tensor};

use super::on_host;

/// A vector in parameter space: one flat tensor per trainable parameter, in the module's order.
///
/// Weights, gradients, random directions and perturbations are all of this type. Tensors are
/// detached and live on the model's device. Components of half-precision parameters are kept in f32, so that norms, sums and scalings
/// have its precision and its range.
#[derive(Debug, Clone, Default)]
pub struct ParamVector {
    entries: Vec<(ParamId, Tensor<1>)>,
}

impl ParamVector {
    /// Appends the component that belongs to a parameter.
    pub fn push(&mut self, id: ParamId, component: Tensor<1>) {
        self.entries.push((id, wide(component)));
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

    /// `self + factor · other` for gradients: a parameter that one of the two lacks, because a loss did not
    /// depend on it, counts as zero there.
    pub(crate) fn plus_scaled(mut self, other: &Self, factor: f64) -> Self {
        for (id, component) in other.iter() {
            let term = component.clone().mul_scalar(factor);
            match self.entries.iter_mut().find(|(own, _)| *own == id) {
                Some((_, sum)) => *sum = sum.clone() + term,
                None => self.push(id, term),
            }
        }
        self
    }

    /// Inner product `⟨self, other⟩` over the parameters that both have.
    ///
    /// Reads one number from the device, which waits for it.
    pub fn dot(&self, other: &Self) -> f64 {
        let pairs: Vec<_> = self
            .iter()
            .filter_map(|(id, tensor)| other.get(id).map(|component| (tensor, component)))
            .collect();
        match pairs.first() {
            None => 0.0,
            Some((first, _)) if on_host(&first.device()) => dot_on_the_host(&pairs),
            Some(_) => dot_on_the_device(&pairs),
        }
    }

    /// Euclidean norm of the concatenation of all components.
    ///
    /// Reads from the device, which waits for it.
    pub fn norm(&self) -> f64 {
        self.dot(self).sqrt()
    }
}

/// Accumulates in f64 and in element order, so that the sum depends neither on the number of threads nor on how
/// a backend splits a reduction.
fn dot_on_the_host(pairs: &[(&Tensor<1>, &Tensor<1>)]) -> f64 {
    let one = |(a, b): &(&Tensor<1>, &Tensor<1>)| -> f64 {
        let (a, b) = (a.to_data_as::<f32>(), b.to_data_as::<f32>());
        let products = floats(&a).iter().zip(floats(&b));
        products.map(|(x, y)| f64::from(*x) * f64::from(*y)).sum()
    };
    pairs.iter().map(one).sum()
}

/// Reduces in f32 on the device, half-precision tensors widened first, so that one number travels.
fn dot_on_the_device(pairs: &[(&Tensor<1>, &Tensor<1>)]) -> f64 {
    let wide = |tensor: &Tensor<1>| tensor.clone().cast(burn::tensor::FloatDType::F32);
    let sums = pairs.iter().map(|(a, b)| (wide(a) * wide(b)).sum());
    f64::from(Tensor::cat(sums.collect(), 0).sum().into_scalar::<f32>())
}

/// Half-precision tensors as f32, others as they are.
pub(super) fn wide<const D: usize>(tensor: Tensor<D>) -> Tensor<D> {
    match tensor.dtype() {
        DType::F16 | DType::BF16 => tensor.cast(FloatDType::F32),
        _ => tensor,
    }
}

fn floats(data: &burn::tensor::TensorData) -> &[f32] {
    data.as_slice::<f32>()
        .expect("the data was converted to f32")
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use burn::tensor::{Device, Distribution};

    use super::*;

    #[test]
    fn the_device_computes_the_same_product() {
        let random = |size| Tensor::random([size], Distribution::Normal(0.0, 1.0), &Device::flex());
        let tensors: Vec<Tensor<1>> = [1, 7, 1000, 4097].map(random).into();
        let pairs: Vec<_> = tensors.iter().map(|tensor| (tensor, tensor)).collect();
        let expected = dot_on_the_host(&pairs);
        // A sum of five thousand squares in f32.
        assert!((dot_on_the_device(&pairs) / expected - 1.0).abs() < 1e-5);
    }
}
