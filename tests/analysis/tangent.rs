//! Each rule of forward differentiation against central differences in f64.

use burn::module::{Module, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig};
use burn::tensor::module::max_pool2d;
use burn::tensor::ops::MaxPoolOptions;
use burn::tensor::{Distribution, FloatDType, Int, Tensor};
use zosam::Error;
use zosam::sparse::{Classification, Evidence};
use zosam::tangent::{Dual, ForwardTangent, cross_entropy, cross_entropy_tangent, layer_norm};
use zosam::tree::{self, ParamVector};

use super::{device, drawn, made};

fn random<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    let normal = Distribution::Normal(0.0, 1.0);
    drawn(|| Tensor::<D>::random(shape, normal, &device()).cast(FloatDType::F64))
}

fn dual<const D: usize>(shape: [usize; D]) -> Dual<D> {
    Dual {
        value: random(shape),
        tangent: random(shape),
    }
}

fn at<const D: usize>(dual: &Dual<D>, step: f64) -> Tensor<D> {
    dual.value.clone() + dual.tangent.clone() * step
}

/// A parameter and its direction, as parameters.
fn moved<const D: usize>(dual: &Dual<D>, step: f64) -> Param<Tensor<D>> {
    Param::from_tensor(at(dual, step))
}

/// Compares a derivative with differences of values at `± 1e-6`.
#[track_caller]
fn check<const D: usize>(name: &str, dual: Dual<D>, value: impl Fn(f64) -> Tensor<D>) {
    let read = |tensor: Tensor<D>| tensor.to_data().iter::<f64>().collect::<Vec<_>>();
    let h = 1e-6;
    let differences = read((value(h) - value(-h)) / (2.0 * h));
    for (a, b) in read(dual.value).iter().zip(read(value(0.0))) {
        assert!((a - b).abs() < 1e-12, "{name}: the value is {a}, not {b}");
    }
    // Truncation makes h², rounding 1e-16 / h.
    for (a, b) in read(dual.tangent).iter().zip(differences) {
        assert!(
            (a - b).abs() < 1e-8,
            "{name}: the derivative is {a}, not {b}"
        );
    }
}

#[test]
fn functions() {
    use burn::tensor::activation::{gelu, relu, softmax};
    let x = dual([3, 4]);
    let y = dual([4, 2]);
    let z = dual([3, 4]);
    check("relu", x.clone().relu(), |h| relu(at(&x, h)));
    check("gelu", x.clone().gelu(), |h| gelu(at(&x, h)));
    check("softmax", x.clone().softmax(1), |h| softmax(at(&x, h), 1));
    check("matmul", x.clone().matmul(y.clone()), |h| {
        at(&x, h).matmul(at(&y, h))
    });
    check("product", x.clone() * z.clone(), |h| at(&x, h) * at(&z, h));
    check("sum", x.clone() + z.clone(), |h| at(&x, h) + at(&z, h));
    check("scaled", x.clone().scaled(0.3), |h| at(&x, h) * 0.3);
    let labels = || Tensor::<1, Int>::from_ints([0, 3, 1], &device());
    let loss = Dual {
        value: cross_entropy(x.value.clone(), labels(), 2.5),
        tangent: cross_entropy_tangent(x.clone(), labels(), 2.5),
    };
    check("cross-entropy", loss, |h| {
        cross_entropy(at(&x, h), labels(), 2.5)
    });
}

#[test]
fn max_pooling() {
    let x = dual([2, 3, 5, 6]);
    for options in [
        MaxPoolOptions::new([2, 2]).with_stride([2, 2]),
        MaxPoolOptions::new([3, 3])
            .with_stride([2, 2])
            .with_padding([1, 1]),
    ] {
        let pooled = x.clone().max_pool2d(options.clone());
        check("max_pool2d", pooled, |h| {
            max_pool2d(at(&x, h), options.clone())
        });
    }
}

#[test]
fn layers() {
    let x = dual([5, 2, 6, 6]);
    let (weight, bias) = (dual([4, 2, 3, 3]), dual([4]));
    let conv = |h| Conv2d {
        weight: moved(&weight, h),
        bias: Some(moved(&bias, h)),
        ..Conv2dConfig::new([2, 4], [3, 3])
            .with_stride([2, 2])
            .init(&device())
    };
    let direction = Conv2d {
        weight: Param::from_tensor(weight.tangent.clone()),
        bias: Some(Param::from_tensor(bias.tangent.clone())),
        ..conv(0.0)
    };
    check(
        "conv",
        conv(0.0).forward_tangent(&direction, x.clone()),
        |h| conv(h).forward(at(&x, h)),
    );

    let x = dual([5, 7, 3]);
    let (weight, bias) = (dual([3, 4]), dual([4]));
    let linear = |h| Linear {
        weight: moved(&weight, h),
        bias: Some(moved(&bias, h)),
    };
    let direction = Linear {
        weight: Param::from_tensor(weight.tangent.clone()),
        bias: Some(Param::from_tensor(bias.tangent.clone())),
    };
    let forward = linear(0.0).forward_tangent(&direction, x.clone());
    check("linear", forward, |h| linear(h).forward(at(&x, h)));
}

#[test]
fn norms() {
    let x = dual([5, 4, 3, 2]);
    let (gamma, beta) = (dual([4]), dual([4]));
    let norm = |h: f64, training: bool| {
        let mut norm: BatchNorm = BatchNormConfig::new(4).init(&device());
        norm.gamma = moved(&gamma, h);
        norm.beta = moved(&beta, h);
        let shift = Tensor::<1>::from_floats([0.1, -0.2, 0.3, 0.0], &device());
        norm.running_mean = burn::module::RunningState::new(shift.cast(FloatDType::F64));
        let scale = Tensor::<1>::from_floats([0.5, 1.0, 2.0, 3.0], &device());
        norm.running_var = burn::module::RunningState::new(scale.cast(FloatDType::F64));
        norm.training = norm.training.with_value(training);
        norm
    };
    let mut direction = norm(0.0, true);
    direction.gamma = Param::from_tensor(gamma.tangent.clone());
    direction.beta = Param::from_tensor(beta.tangent.clone());
    for (name, training) in [("batch norm", true), ("batch norm, inference", false)] {
        let forward = norm(0.0, training).forward_tangent(&direction, x.clone());
        check(name, forward, |h| norm(h, training).forward(at(&x, h)));
    }
    let (x, gamma, beta) = (dual([5, 3, 4]), dual([4]), dual([4]));
    let dual = layer_norm(x.clone(), gamma.clone(), Some(beta.clone()), 1e-6);
    check("layer norm", dual, |h| {
        let x = at(&x, h);
        let centred = x.clone() - x.mean_dim(2);
        let variance = (centred.clone() * centred.clone()).mean_dim(2);
        centred / (variance + 1e-6).sqrt() * at(&gamma, h).unsqueeze::<3>()
            + at(&beta, h).unsqueeze::<3>()
    });
}

#[derive(Module, Debug)]
struct Net {
    hidden: Linear,
    classifier: Linear,
}

impl Net {
    fn new() -> Self {
        made(|device| Self {
            hidden: LinearConfig::new(6, 8).init(device),
            classifier: LinearConfig::new(8, 3).init(device),
        })
    }

    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let hidden = burn::tensor::activation::gelu(self.hidden.forward(x));
        self.classifier.forward(hidden)
    }

    fn forward_tangent(&self, direction: &Self, x: Tensor<2>) -> Dual<2> {
        let hidden = Dual::constant(x);
        let hidden = self.hidden.forward_tangent(&direction.hidden, hidden);
        self.classifier
            .forward_tangent(&direction.classifier, hidden.gelu())
    }
}

fn data() -> [(Tensor<2>, Tensor<1, Int>); 1] {
    let inputs = random([9, 6]).cast(FloatDType::F32);
    let labels = Tensor::from_ints([0, 1, 2, 0, 1, 2, 0, 1, 2], &device());
    [(inputs, labels)]
}

fn direction(net: &Net) -> ParamVector {
    let mut vector = ParamVector::default();
    for leaf in tree::leaves(net) {
        let component = random([leaf.len()]).cast(FloatDType::F32).inner();
        vector.push(leaf.id, component);
    }
    vector
}

/// The Hessian is symmetric, `⟨u, H v⟩ = ⟨v, H u⟩`, and on a smooth net tangents and differences agree.
#[test]
fn the_hessian_is_symmetric_and_both_ways_agree() {
    let net = Net::new();
    let data = data();
    let (u, v) = (direction(&net), direction(&net));
    let exact = Classification::new(data.clone(), Net::forward).with_tangent(Net::forward_tangent);
    let differences = Classification::new(data, Net::forward);
    let times = |source: &Classification<Net, 2>, vector: &ParamVector| {
        source.hessian_product(&net, vector, 1.0, 0).unwrap()
    };
    let (uhv, vhu) = (u.dot(&times(&exact, &v)), v.dot(&times(&exact, &u)));
    assert!((uhv / vhu - 1.0).abs() < 1e-4, "{uhv} and {vhu}");
    let (a, b) = (times(&exact, &v), times(&differences, &v));
    let apart = a.clone().add_scaled(&b, -1.0).norm() / a.norm();
    // f32 against f64 of the same function.
    assert!(apart < 1e-5, "{apart}");
}

/// Differences that no step makes agree are an error, not a mask.
#[test]
fn differences_prove_themselves() {
    let net = Net::new();
    let calls = std::cell::Cell::new(0.0);
    let noisy = Classification::new(data(), |net: &Net, inputs| {
        calls.set(calls.get() + 1.0);
        net.forward(inputs) * (1.0 + 0.1 * f64::sin(calls.get()))
    });
    let error = noisy
        .hessian_product(&net, &direction(&net), 1.0, 0)
        .unwrap_err();
    assert!(matches!(error, Error::Unmeasurable { .. }), "{error}");
    assert!(error.to_string().contains("`forward_tangent`"), "{error}");
}

/// A loss closure cannot serve GraSP, and says what would.
#[test]
fn a_loss_closure_says_what_would_do() {
    let net = Net::new();
    let [(inputs, labels)] = data();
    let loss = |net: &Net| cross_entropy(net.forward(inputs.clone()), labels.clone(), 1.0);
    let error = zosam::Sparsity::new(zosam::Grasp::new(0.5))
        .attach(net, loss)
        .unwrap_err();
    assert!(error.to_string().contains("`Classification`"), "{error}");
    let none: [(Tensor<2>, Tensor<1, Int>); 0] = [];
    let none = Classification::new(none, Net::forward);
    let error = zosam::Sparsity::new(zosam::SynFlow::new(0.5))
        .attach_on(Net::new(), &none)
        .unwrap_err();
    assert!(error.to_string().contains("no batch"), "{error}");
}
