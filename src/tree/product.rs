//! Inner products of vectors in parts.

use burn::tensor::{Element, FloatDType, Tensor, TensorData};

use super::on_host;
use super::vector::{aligned, is_double};

pub(super) fn is_finite(component: &Tensor<1>) -> bool {
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

/// `Σ ⟨a, b⟩`, on the host in f64; `equal` if both of each pair are the same tensor.
pub(super) fn of(pairs: &[(Tensor<1>, Tensor<1>)], equal: bool) -> f64 {
    match pairs.first() {
        None => 0.0,
        Some((first, _)) if on_host(&first.device()) => on_the_host(pairs, equal),
        Some(_) => on_the_device(pairs),
    }
}

/// Numbers of a device, with one wait for it.
pub(crate) fn read(numbers: Vec<Tensor<1>>) -> Vec<f64> {
    match &numbers[..] {
        [] => Vec::new(),
        [one] => vec![one.clone().into_scalar::<f64>()],
        _ => {
            let kind = match numbers.iter().any(is_double) {
                true => FloatDType::F64,
                false => FloatDType::F32,
            };
            let numbers = numbers.into_iter().map(|number| number.cast(kind));
            let data = Tensor::cat(numbers.collect(), 0).to_data();
            data.iter::<f64>().collect()
        }
    }
}

/// Accumulates in f64 and in element order, so that the sum depends neither on the number of
/// threads nor on how a backend splits a reduction.
fn on_the_host(pairs: &[(Tensor<1>, Tensor<1>)], equal: bool) -> f64 {
    fn one<E: Element + Into<f64>>(a: &Tensor<1>, b: &Tensor<1>, equal: bool) -> f64 {
        let left = a.to_data_as::<E>();
        // The data of a norm are read once.
        let right = (!equal).then(|| b.to_data_as::<E>());
        let right = numbers::<E>(right.as_ref().unwrap_or(&left)).iter();
        let products = numbers::<E>(&left).iter().zip(right);
        products.map(|(x, y)| (*x).into() * (*y).into()).sum()
    }
    let dots = pairs
        .iter()
        .map(|(a, b)| match is_double(a) || is_double(b) {
            true => one::<f64>(a, b, equal),
            false => one::<f32>(a, b, equal),
        });
    dots.sum()
}

/// Reduces on the devices, in f32 or, where a component is, in f64, so that one number travels: for
/// components of several float types or devices.
fn on_the_device(pairs: &[(Tensor<1>, Tensor<1>)]) -> f64 {
    let kind = match pairs.iter().any(|(a, b)| is_double(a) || is_double(b)) {
        true => FloatDType::F64,
        false => FloatDType::F32,
    };
    let product = |(a, b): &(Tensor<1>, Tensor<1>)| {
        let (a, b) = aligned(a.clone(), b.clone());
        (a * b).sum().cast(kind)
    };
    // Parameters may live on several devices.
    let sums: Vec<Tensor<1>> = pairs.iter().map(product).collect();
    let device = sums[0].device();
    let sums = sums.into_iter().map(|sum| sum.to_device(&device));
    Tensor::cat(sums.collect(), 0).sum().into_scalar::<f64>()
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
            let pairs: Vec<_> = tensors
                .iter()
                .map(|tensor| (tensor.clone(), tensor.clone()))
                .collect();
            let expected = on_the_host(&pairs, true);
            assert!((on_the_device(&pairs) / expected - 1.0).abs() < tolerance);
        }
    }
}
