//! Lanczos and its quadrature.

use burn::nn::{Linear, LinearConfig};
use burn::tensor::activation::gelu;
use burn::tensor::{Device, Distribution, Int, Tensor};
use zosam::analysis::{SpectrumConfig, rise};
use zosam::masks::Masks;
use zosam::objective::Offset;
use zosam::sparse::{Classification, Evidence};
use zosam::tangent::{Dual, ForwardTangent};
use zosam::tree::{self, ParamVector};
use zosam::{RandomStatic, Sparsity};

use super::{device, drawn, made};

/// The diagonal matrix `first, first + 1, …` over the parameters in their order.
fn counting(vector: &ParamVector, first: f64) -> ParamVector {
    let mut next = first as i64;
    vector.clone().map(|_, component| {
        let [count] = component.dims();
        let range = next..next + count as i64;
        next = range.end;
        component * Tensor::<1, Int>::arange(range, &Device::flex()).float()
    })
}

/// With as many steps as weights all eigenvalues of a matrix are found, each once.
#[test]
fn a_diagonal_matrix_is_found_whole() {
    let model = made(|device| LinearConfig::new(5, 3).init(device));
    let config = SpectrumConfig::new().with_probes(3).with_steps(18);
    let product = |vector: &ParamVector| Ok(counting(vector, -4.0));
    let spectrum = config.measure(&model, &Masks::dense(), product).unwrap();
    assert_eq!(spectrum.weights, 18);
    // Vectors are of f32: eigenvalues are known to about 18 of its ulps.
    let close = |found: f64, expected: f64| (found - expected).abs() < 1e-5 * 18.0;
    assert!(close(spectrum.largest.value, 13.0) && close(spectrum.smallest.value, -4.0));
    assert!(spectrum.largest.residual < 1e-3 && spectrum.smallest.residual < 1e-3);
    for probe in &spectrum.density.probes {
        assert_eq!(probe.len(), 18);
        for (k, (value, _)) in probe.iter().enumerate() {
            assert!(close(*value, k as f64 - 4.0), "{value}");
        }
        let whole: f64 = probe.iter().map(|(_, weight)| weight).sum();
        assert!((whole - 1.0).abs() < 1e-9);
    }
}

/// Residuals bound how far Ritz values of a few steps are off, and the trace's error is about its
/// standard error.
#[test]
fn a_few_steps_know_how_much_they_know() {
    let model = made(|device| LinearConfig::new(40, 25).init(device));
    let config = SpectrumConfig::new().with_probes(30).with_steps(12);
    let product = |vector: &ParamVector| Ok(counting(vector, 0.0));
    let spectrum = config.measure(&model, &Masks::dense(), product).unwrap();
    let distance = (spectrum.largest.value - spectrum.largest.value.round()).abs();
    // The eigenvalues are the whole numbers below 1025.
    assert!(distance <= spectrum.largest.residual + 1e-3);
    assert!(spectrum.largest.value < 1024.5 && spectrum.largest.residual > 1.0);
    let trace = (0..1025).sum::<i64>() as f64;
    let apart = (spectrum.trace.mean - trace).abs();
    // Four standard errors: 6e-5 of all seeds would fail, and this seed is fixed.
    assert!(apart < 4.0 * spectrum.trace.standard_error, "{apart}");
    let points: Vec<f64> = (-200..1225).map(f64::from).collect();
    for density in spectrum.density.at(&points, 20.0) {
        let mass: f64 = density.iter().sum();
        // A sum of unit steps over all but the tails.
        assert!((mass - 1.0).abs() < 1e-6, "{mass}");
    }
}

/// Dead weights are no rows of the matrix.
#[test]
fn the_spectrum_is_of_the_live_weights() {
    let config = LinearConfig::new(8, 5).with_bias(false);
    let model = made(|device| config.init(device));
    let mut sparsity = Sparsity::new(RandomStatic::new(0.75));
    let none = |_: &Linear| Tensor::<1>::zeros([1], &device());
    let model = sparsity.attach(model, none).unwrap();
    let id = model.weight.id;
    let live = sparsity.masks().live_set(id).unwrap();
    let places = live.iter().enumerate().filter(|(_, live)| **live);
    let expected: Vec<f64> = places.map(|(place, _)| place as f64 + 1.0).collect();
    let config = SpectrumConfig::new().with_probes(1).with_steps(10);
    let product = |vector: &ParamVector| Ok(counting(vector, 1.0));
    let spectrum = config.measure(&model, sparsity.masks(), product).unwrap();
    assert_eq!(spectrum.weights, 10);
    let found = spectrum.density.probes[0].iter().map(|(value, _)| *value);
    for (found, expected) in found.zip(expected) {
        assert!((found - expected).abs() < 1e-3, "{found} {expected}");
    }
}

fn logits(model: &Linear, x: Tensor<2>) -> Tensor<2> {
    gelu(model.forward(x))
}

fn tangent(model: &Linear, direction: &Linear, x: Tensor<2>) -> Dual<2> {
    model.forward_tangent(direction, Dual::constant(x)).gelu()
}

/// Along its eigenvector the loss rises by `ρ⟨g, v⟩ + ½ρ²λ`: the mean of both ways by `½ρ²λ`.
#[test]
fn the_loss_rises_by_the_largest_eigenvalue() {
    let model = made(|device| LinearConfig::new(6, 4).init(device));
    let normal = Distribution::Normal(0.0, 1.0);
    let x = drawn(|| Tensor::<2>::random([32, 6], normal, &device()));
    let labels: Vec<i64> = (0..32).map(|i| i % 4).collect();
    let labels = Tensor::<1, Int>::from_ints(labels.as_slice(), &device());
    let evidence = Classification::new([(x.clone(), labels.clone())], logits);
    let evidence = evidence.with_tangent(tangent);
    let product = |vector: &ParamVector| evidence.hessian_product(&model, vector, 1.0, 0);
    let config = SpectrumConfig::new().with_probes(1).with_steps(28);
    let spectrum = config.measure(&model, &Masks::dense(), product).unwrap();
    let mut vector = tree::values(&model);
    for _ in 0..300 {
        // Shifted, so that the largest eigenvalue is the one that is largest in size.
        let image = product(&vector).unwrap().add_scaled(&vector, 2.0);
        vector = image.clone().scaled(1.0 / image.norm());
    }
    let loss = |model: &Linear| {
        burn::nn::loss::CrossEntropyLossConfig::new()
            .init(&device())
            .forward(logits(model, x.clone()), labels.clone())
    };
    let rho = 0.05;
    let rises = [rho, -rho].map(|scale| {
        let offset = Offset {
            direction: vector.clone(),
            scale,
        };
        rise(&model, &offset, loss)
    });
    let curvature = (rises[0] + rises[1]) / (rho * rho);
    // Fourth derivatives add a share of ρ², rounding of the loss ε/ρ².
    assert!((curvature / spectrum.largest.value - 1.0).abs() < 2e-2);
    assert!(spectrum.largest.residual < 1e-3 * spectrum.largest.value);
}
