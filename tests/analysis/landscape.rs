//! The plane around a model.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig, ConvTranspose2d, ConvTranspose2dConfig};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::Tensor;
use zosam::analysis::{
    LandscapeConfig, filter_normalised, gradient_noise, rise_profile, worst_rise,
};
use zosam::masks::Masks;
use zosam::tree::{self, ParamVector};
use zosam::{RandomStatic, Sparsity};

use super::{device, made};

#[derive(Module, Debug)]
struct Net {
    conv: Conv2d,
    back: ConvTranspose2d,
    linear: Linear,
}

fn net() -> Net {
    made(|device| Net {
        conv: Conv2dConfig::new([3, 6], [3, 3]).init(device),
        back: ConvTranspose2dConfig::new([6, 4], [2, 2]).init(device),
        linear: LinearConfig::new(7, 5).init(device),
    })
}

fn numbers(vector: &ParamVector, id: burn::module::ParamId) -> Vec<f64> {
    vector.get(id).unwrap().to_data().iter::<f64>().collect()
}

/// The lengths of each output's weights, read off tensors that have outputs first.
fn lengths<const D: usize>(outputs_first: Tensor<D>) -> Vec<f64> {
    let outputs = outputs_first.dims()[0];
    let numbers: Vec<f64> = outputs_first.into_data().iter::<f64>().collect();
    let filters = numbers.chunks(numbers.len() / outputs);
    filters
        .map(|filter| filter.iter().map(|w| w * w).sum::<f64>().sqrt())
        .collect()
}

/// Every filter of a direction is as long as the weight's, over live weights, in each layout; biases stay.
#[test]
fn filters_are_as_long_as_the_weights() {
    let mut sparsity = Sparsity::new(RandomStatic::new(0.6));
    let none = |_: &Net| Tensor::<1>::zeros([1], &device());
    let net = sparsity.attach(net(), none).unwrap();
    let direction = filter_normalised(&net, sparsity.masks(), 3, 0);
    let moved = tree::replace(net.clone(), |id, _| direction.get(id));
    let pairs = [
        (
            lengths(net.conv.weight.val()),
            lengths(moved.conv.weight.val()),
        ),
        (
            lengths(net.back.weight.val().swap_dims(0, 1)),
            lengths(moved.back.weight.val().swap_dims(0, 1)),
        ),
        (
            lengths(net.linear.weight.val().transpose()),
            lengths(moved.linear.weight.val().transpose()),
        ),
    ];
    for (weights, directions) in pairs {
        assert!(weights.len() > 3);
        for (weight, direction) in weights.iter().zip(&directions) {
            // Sums of up to 54 squares in f32.
            assert!((weight - direction).abs() < 1e-5 * weight.max(1e-3));
        }
    }
    let projected = sparsity.masks().project(direction.clone());
    assert_eq!(projected.add_scaled(&direction, -1.0).norm(), 0.0);
    let bias = net.linear.bias.as_ref().unwrap().id;
    assert!(
        numbers(&direction, bias)
            .iter()
            .all(|number| *number == 0.0)
    );
    let other = filter_normalised(&net, sparsity.masks(), 3, 1);
    assert!(other.dot(&direction).abs() < 0.5 * direction.norm().powi(2));
}

/// On `½‖θ − θ₀‖²` the plane is the squared distance, and its middle the loss itself.
#[test]
fn the_plane_of_a_parabola_is_known() {
    let net = net();
    let origin = net.linear.weight.val().to_data();
    let directions = [0, 1].map(|index| {
        let direction = filter_normalised(&net, &Masks::dense(), 1, index);
        let linear = net.linear.weight.id;
        direction.map(|id, component| match id == linear {
            true => component,
            false => component.zeros_like(),
        })
    });
    let loss = |net: &Net| {
        let origin = Tensor::<2>::from_data(origin.clone(), &net.linear.weight.val().device());
        (net.linear.weight.val() - origin).powi_scalar(2).sum() * 0.5 + 1.0
    };
    let config = LandscapeConfig::new().with_points(5).with_reach(0.5);
    let plane = config.measure(&net, &directions, loss).unwrap();
    assert_eq!(plane.axis, [-0.5, -0.25, 0.0, 0.25, 0.5]);
    assert_eq!(plane.loss[2][2], 1.0);
    for (row, y) in plane.axis.iter().enumerate() {
        for (column, x) in plane.axis.iter().enumerate() {
            let expected = 1.0 + 0.5 * plane.distance(*x, *y).powi(2);
            // 35 squares in f32.
            assert!((plane.loss[row][column] / expected - 1.0).abs() < 1e-5);
        }
    }
    // A slice along the first direction is the row through the middle.
    let slice = config.slice(&net, &directions[0], loss).unwrap();
    for (slice, plane) in slice.iter().zip(&plane.loss[2]) {
        // The second direction adds nothing there but its rounding.
        assert!((slice / plane - 1.0).abs() < 1e-6);
    }
    assert!(
        LandscapeConfig::new()
            .with_points(1)
            .measure(&net, &directions, loss)
            .is_err()
    );
    assert!(
        LandscapeConfig::new()
            .with_reach(0.0)
            .measure(&net, &directions, loss)
            .is_err()
    );
}

/// On `½ Σ hᵢ wᵢ²` at `w` the rises have closed forms.
#[test]
fn rises_of_a_quadratic_are_known() {
    let config = LinearConfig::new(8, 1).with_bias(false);
    let linear = made(|device| config.init(device));
    let curvatures: Vec<f32> = (1..=8).map(|i| i as f32).collect();
    let loss = |linear: &Linear| {
        let weight = linear.weight.val();
        let h = Tensor::<1>::from_floats(curvatures.as_slice(), &weight.device());
        (weight.powi_scalar(2) * h.unsqueeze_dim(1)).sum() * 0.5
    };
    let weights: Vec<f64> = linear.weight.val().to_data().iter::<f64>().collect();
    let h: Vec<f64> = curvatures.iter().map(|h| f64::from(*h)).collect();
    let gradient: Vec<f64> = weights.iter().zip(&h).map(|(w, h)| w * h).collect();
    let squares = |v: &[f64]| v.iter().map(|v| v * v).sum::<f64>();
    let along = gradient.iter().zip(&h).map(|(g, h)| h * g * g).sum::<f64>() / squares(&gradient);
    let radii = [0.1, 0.4];
    let rises = rise_profile(&linear, &Masks::dense(), &radii, 2000, 3, loss);
    for (place, rho) in radii.iter().enumerate() {
        let expected = rho * squares(&gradient).sqrt() + 0.5 * rho * rho * along;
        // Losses of about ten in f32.
        assert!((rises.gradient[place] - expected).abs() < 1e-4);
        // ρ²/2n tr H is 2.25 ρ². 2,000 directions: a curvature's standard deviation of about 1 / √2000, three times.
        let mean = rises.random_sign[place] / (rho * rho);
        assert!((mean - 2.25).abs() < 0.035, "{mean}");
        assert!(rises.measured_sign[place] > rises.random_sign[place]);
        assert!(rises.gradient[place] > rises.measured_sign[place]);
    }
}

/// burn lets nothing require a gradient in validation mode; the plane is the same there.
#[test]
fn a_model_in_validation_is_moved_too() {
    let net = net();
    let loss = |net: &Net| net.linear.weight.val().powi_scalar(2).sum();
    let config = LandscapeConfig::new().with_points(3);
    let plane = |net: &Net| {
        let directions = [0, 1].map(|index| filter_normalised(net, &Masks::dense(), 1, index));
        config.measure(net, &directions, loss).unwrap()
    };
    let expected = plane(&net);
    assert_eq!(plane(&net.valid()), expected);
    // Random directions have a component along the weights.
    assert_ne!(expected.loss[0][0], expected.loss[1][1]);
    let worst = |net: &Net| worst_rise(net, &Masks::dense(), 0.5, 3, 1, loss);
    assert_eq!(worst(&net.valid()), worst(&net));
    // Where burn takes no gradient, what needs one is not a number instead of zero.
    let rises = rise_profile(&net.valid(), &Masks::dense(), &[0.5], 2, 1, loss);
    assert!(rises.gradient[0].is_nan() && rises.random_sign[0] > 0.0);
    assert!(
        gradient_noise(&net.valid(), &Masks::dense(), [loss])
            .norm
            .is_nan()
    );
    assert!(worst(&net) > 0.0);
}
