//! A vector in parameter space.

use burn::module::ParamId;
use burn::tensor::{DType, Element, FloatDType, Tensor, TensorData};

use super::on_host;

/// A vector in parameter space: one flat tensor per trainable parameter, in the module's order.
///
/// Weights, gradients, random directions and perturbations are all of this type. Tensors are detached
/// and live on their parameters' devices.
///
/// A component has its parameter's float type, except that those of half-precision parameters are kept
/// in f32, so that norms, sums and scalings have its precision and its range. Sums of an f32 and an f64
/// component are in f64. What is written back into a model takes the parameter's own type.
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
            sum(tensor, component.clone().mul_scalar(factor))
        })
    }

    /// `self + factor · other` for gradients: a parameter that one of the two lacks, because a loss did not
    /// depend on it, counts as zero there.
    pub(crate) fn plus_scaled(mut self, other: &Self, factor: f64) -> Self {
        for (id, component) in other.iter() {
            let term = component.clone().mul_scalar(factor);
            match self.entries.iter_mut().find(|(own, _)| *own == id) {
                Some((_, own)) => *own = sum(own.clone(), term),
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

    /// Whether no component is infinite or not a number.
    ///
    /// Reads from the device, which waits for it.
    pub(crate) fn is_finite(&self) -> bool {
        match self.entries.first() {
            Some((_, first)) if on_host(&first.device()) => {
                self.iter().all(|(_, component)| is_finite(component))
            }
            _ => self.norm().is_finite(),
        }
    }
}

fn is_finite(component: &Tensor<1>) -> bool {
    fn of<E: Element + Into<f64>>(component: &Tensor<1>) -> bool {
        let data = component.to_data_as::<E>();
        // Parts, so that the check is made of vectors and ends early.
        let mut parts = numbers::<E>(&data).chunks(512);
        parts.all(|part| part.iter().fold(true, |all, &x| all & x.into().is_finite()))
    }
    match is_double(component) {
        true => of::<f64>(component),
        false => of::<f32>(component),
    }
}

fn numbers<E: Element>(data: &TensorData) -> &[E] {
    data.as_slice().expect("the data was converted")
}

/// Accumulates in f64 and in element order, so that the sum depends neither on the number of threads nor on how
/// a backend splits a reduction.
fn dot_on_the_host(pairs: &[(&Tensor<1>, &Tensor<1>)]) -> f64 {
    fn one<E: Element + Into<f64>>(a: &Tensor<1>, b: &Tensor<1>) -> f64 {
        let left = a.to_data_as::<E>();
        // The data of a norm are read once.
        let right = (!std::ptr::eq(a, b)).then(|| b.to_data_as::<E>());
        let right = numbers::<E>(right.as_ref().unwrap_or(&left)).iter();
        let products = numbers::<E>(&left).iter().zip(right);
        products.map(|(x, y)| (*x).into() * (*y).into()).sum()
    }
    let dots = pairs
        .iter()
        .map(|(a, b)| match is_double(a) || is_double(b) {
            true => one::<f64>(a, b),
            false => one::<f32>(a, b),
        });
    dots.sum()
}

/// Reduces on the device, in f32 or, where a component is, in f64, so that one number travels.
fn dot_on_the_device(pairs: &[(&Tensor<1>, &Tensor<1>)]) -> f64 {
    let kind = match pairs.iter().any(|(a, b)| is_double(a) || is_double(b)) {
        true => FloatDType::F64,
        false => FloatDType::F32,
    };
    let product = |(a, b): &(&Tensor<1>, &Tensor<1>)| {
        let (a, b) = aligned((*a).clone(), (*b).clone());
        (a * b).sum().cast(kind)
    };
    // Parameters may live on several devices.
    let sums: Vec<Tensor<1>> = pairs.iter().map(product).collect();
    let device = sums[0].device();
    let sums = sums.into_iter().map(|sum| sum.to_device(&device));
    Tensor::cat(sums.collect(), 0).sum().into_scalar::<f64>()
}

/// Half-precision tensors as f32, others as they are.
pub(super) fn wide<const D: usize>(tensor: Tensor<D>) -> Tensor<D> {
    match tensor.dtype() {
        DType::F16 | DType::BF16 => tensor.cast(FloatDType::F32),
        _ => tensor,
    }
}

/// Two tensors in the wider of their float types.
pub(super) fn aligned(a: Tensor<1>, b: Tensor<1>) -> (Tensor<1>, Tensor<1>) {
    if a.dtype() == b.dtype() {
        return (a, b);
    }
    let kind = match is_double(&a) || is_double(&b) {
        true => FloatDType::F64,
        false => FloatDType::F32,
    };
    (a.cast(kind), b.cast(kind))
}

fn sum(a: Tensor<1>, b: Tensor<1>) -> Tensor<1> {
    let (a, b) = aligned(a, b);
    a + b
}

fn is_double(tensor: &Tensor<1>) -> bool {
    tensor.dtype() == DType::F64
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use burn::tensor::{Device, Distribution};

    use super::*;

    #[test]
    fn the_device_computes_the_same_product() {
        // A sum of five thousand squares in f32, and in f64.
        for (kind, tolerance) in [(FloatDType::F32, 1e-5), (FloatDType::F64, 1e-13)] {
            let random = |size| {
                let normal = Distribution::Normal(0.0, 1.0);
                Tensor::<1>::random([size], normal, &Device::flex()).cast(kind)
            };
            let tensors: Vec<Tensor<1>> = [1, 7, 1000, 4097].map(random).into();
            let pairs: Vec<_> = tensors.iter().map(|tensor| (tensor, tensor)).collect();
            let expected = dot_on_the_host(&pairs);
            assert!((dot_on_the_device(&pairs) / expected - 1.0).abs() < tolerance);
        }
    }
}
