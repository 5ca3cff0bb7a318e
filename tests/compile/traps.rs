//! What stands in the way of recording, and what must not.

use burn::module::{Module, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, Dropout, DropoutConfig, Linear, LinearConfig};
use burn::tensor::{Device, Distribution, FloatDType, Int, Tensor};
use zosam::Error;
use zosam::compile::{CompileConfig, Uses};
use zosam::inference::{Input, Output, SparseNetwork};

use crate::{agrees, apart, floats, tensor, tokens, trained};

#[derive(Module, Debug)]
struct Normed {
    conv: Conv2d,
    norm: BatchNorm,
    drop: Dropout,
}

impl Normed {
    fn new(device: &Device) -> Self {
        Self {
            conv: Conv2dConfig::new([3, 4], [3, 3]).init(device),
            norm: BatchNormConfig::new(4).init(device),
            drop: DropoutConfig::new(0.5).init(),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.drop.forward(self.norm.forward(self.conv.forward(x)))
    }
}

fn linear(device: &Device) -> Linear {
    LinearConfig::new(6, 4).init(device)
}

/// The error of a module that cannot be compiled, in words.
fn refused<const D: usize>(forward: impl Fn(&Linear, Tensor<2>) -> Tensor<D>) -> String {
    let sample = tensor([2, 6], 1);
    let layer = linear(&Device::flex());
    // Neither with a run of the module before it nor without.
    let without = CompileConfig::new().with_tolerance(None);
    let error = without
        .compile(&layer, sample.clone(), &forward)
        .unwrap_err();
    assert!(matches!(error, Error::Compile { .. }), "{error}");
    let other = SparseNetwork::compile(&layer, sample, &forward).unwrap_err();
    assert!(matches!(other, Error::Compile { .. }), "{other}");
    error.to_string()
}

/// Running statistics are shared by a module's clones: moving a clone to be recorded must not move them, nor evaluation of it
/// draw dropout. Weights are still lazy when the module is compiled.
#[test]
fn the_module_stays_as_it_is() {
    for device in [Device::flex(), Device::flex().autodiff()] {
        let model = Normed::new(&device);
        let network = SparseNetwork::compile(&model, tensor([1, 3, 8, 8], 1), |m: &Normed, x| {
            m.forward(x)
        });
        let network = network.unwrap();
        assert_eq!(model.norm.running_mean.value().device(), device);
        assert!(model.drop.training.is_enabled() || !device.is_autodiff());
        let x = tensor([2, 3, 8, 8], 2);
        let expected = floats(model.valid().forward(x.clone()));
        let found = network.logits(&floats(x.clone())).unwrap();
        assert!(apart(&found, &expected) < 1e-5);
        // It still trains.
        let x = Tensor::from_data(x.into_data(), &device);
        assert_eq!(model.forward(x).dims(), [2, 4, 6, 6]);
    }
}

#[test]
fn a_sample_may_come_from_training() {
    let device = Device::flex().autodiff();
    let layer = linear(&device);
    let sample = Tensor::<2>::ones([3, 6], &device).require_grad();
    let network = SparseNetwork::compile(&layer, sample, |layer: &Linear, x| layer.forward(x));
    assert_eq!(network.unwrap().logits(&[1.0; 12]).unwrap().len(), 8);
}

#[test]
fn branches_on_numbers_are_refused() {
    let error = refused(|layer, x| {
        let y = layer.forward(x);
        let sum: f32 = y.clone().sum().into_scalar();
        if sum > 0.0 { y } else { -y }
    });
    assert!(error.contains("branch on shapes"), "{error}");
}

#[test]
fn what_stays_on_its_device_is_refused() {
    let other = tensor([6, 4], 3);
    let error = refused(|_, x| x.matmul(other.clone()));
    assert!(
        error.contains("parameter or buffer of the module"),
        "{error}"
    );
    let error = refused(|layer, x| {
        layer.forward(x);
        other.clone()
    });
    assert!(error.contains("computed from the inputs"), "{error}");
}

#[test]
fn random_numbers_are_refused() {
    let error = refused(|layer, x| {
        let y = layer.forward(x);
        let noise = Tensor::random(y.dims(), Distribution::Default, &y.device());
        y + noise
    });
    assert!(error.contains("random"), "{error}");
}

#[test]
fn a_forward_pass_that_fails_is_an_error() {
    let error = refused(|layer, x| layer.forward(x.slice([0..1, 0..3])));
    assert!(error.contains("stopped"), "{error}");
}

#[test]
fn other_types_are_refused() {
    let sample = tensor([1, 6], 1);
    let error = refused(|layer, x| {
        let y = layer.forward(x);
        (y.cast(FloatDType::F64) * 0.1).cast(FloatDType::F32)
    });
    assert!(error.contains("F64"), "{error}");
    let sample = sample.cast(FloatDType::F64);
    let layer = linear(&Device::flex());
    let config = CompileConfig::new().with_tolerance(None);
    let error = config.compile(&layer, sample, |_: &Linear, x: Tensor<2>| x * 2.0);
    assert!(error.unwrap_err().to_string().contains("F64"));
}

/// Whole numbers that a forward pass makes itself, beside those of an input.
#[test]
fn whole_numbers_meet() {
    let layer = linear(&Device::flex());
    let forward = |layer: &Linear, tokens: Tensor<2, Int>| {
        let [batch, count] = tokens.dims();
        let places = Tensor::<1, Int>::arange(0..count as i64, &tokens.device());
        let sum = tokens.clone() + places.unsqueeze::<2>().expand([batch, count]);
        (
            layer.forward(sum.clone().float()),
            sum,
            tokens.greater_elem(3).int(),
        )
    };
    let network = SparseNetwork::compile(&layer, tokens([2, 6], 9, 1), forward).unwrap();
    let batch = tokens([3, 6], 9, 4);
    let (a, b, c) = forward(&layer, batch.clone());
    let whole = |tensor: Tensor<2, Int>| -> Vec<i32> { tensor.into_data().iter::<i32>().collect() };
    let outputs = network.run(&[Input::Int(&whole(batch))]).unwrap();
    assert!(apart(&outputs[0].clone().floats().unwrap(), &floats(a)) < 1e-5);
    assert_eq!(outputs[1], Output::Int(whole(b)));
    assert_eq!(outputs[2], Output::Int(whole(c)));
}

/// A parameter, an input, and one tensor twice.
#[test]
fn outputs_may_be_anything() {
    let layer = linear(&Device::flex());
    let forward = |layer: &Linear, x: Tensor<2>| {
        let y = layer.forward(x.clone());
        (x, y.clone(), y, layer.weight.val())
    };
    // The weight has no axis of a batch: the network is for the sample's batch alone.
    let network = SparseNetwork::compile(&layer, tensor([2, 6], 1), forward).unwrap();
    let x = tensor([2, 6], 4);
    let (_, y, _, weight) = forward(&layer, x.clone());
    let outputs = network.run(&[Input::Float(&floats(x.clone()))]).unwrap();
    let outputs: Vec<_> = outputs.into_iter().filter_map(Output::floats).collect();
    assert_eq!(outputs[0], floats(x));
    assert_eq!(outputs[1], outputs[2]);
    assert!(apart(&outputs[1], &floats(y)) < 1e-5);
    assert_eq!(outputs[3], floats(weight));
}

/// A module whose images know of each other is compiled for one size of batch.
#[test]
fn batches_that_mix() {
    let layer = linear(&Device::flex());
    let forward = |layer: &Linear, x: Tensor<2>| layer.forward(x.clone() - x.mean_dim(0));
    let network = SparseNetwork::compile(&layer, tensor([3, 6], 1), forward).unwrap();
    let x = tensor([3, 6], 7);
    let expected = floats(forward(&layer, x.clone()));
    assert!(apart(&network.logits(&floats(x)).unwrap(), &expected) < 1e-5);
    assert!(network.logits(&[0.0; 6]).is_err());
    assert!(network.logits(&[0.0; 36]).is_err());
}

#[test]
fn inputs_are_checked() {
    let layer = linear(&Device::flex());
    let network = SparseNetwork::compile(&layer, tensor([1, 6], 1), |l: &Linear, x| l.forward(x));
    let network = network.unwrap();
    assert!(network.logits(&[0.0; 7]).is_err());
    assert!(network.run(&[]).is_err());
    assert!(network.run(&[Input::Int(&[1; 6])]).is_err());
    assert!(
        network
            .run(&[Input::Float(&[0.0; 6]), Input::Float(&[0.0; 6])])
            .is_err()
    );
    assert!(network.logits(&[]).unwrap().is_empty());
}

/// A device for each recording would run out; recordings inside of others and on several threads need their own.
#[test]
fn recordings_share_devices() {
    let layer = linear(&Device::flex());
    let config = CompileConfig::new().with_tolerance(None);
    let compile = || config.compile(&layer, tensor([1, 6], 1), |l: &Linear, x| l.forward(x));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| (0..20).for_each(|_| drop(compile().unwrap())));
        }
    });
    let nested = config.compile(&layer, tensor([1, 6], 1), |l: &Linear, x| {
        compile().unwrap();
        l.forward(x)
    });
    nested.unwrap();
}

/// The order of sums, both of whose sides are products, broadcast sums, and weights that are computed.
#[test]
fn shapes_of_graphs() {
    #[derive(Module, Debug)]
    struct Two {
        a: Conv2d,
        b: Conv2d,
        bias: Param<Tensor<1>>,
    }
    let device = Device::flex();
    let conv = || Conv2dConfig::new([4, 4], [1, 1]).init(&device);
    let bias = Param::from_tensor(Tensor::ones([8], &device));
    let model = trained(
        Two {
            a: conv(),
            b: conv(),
            bias,
        },
        0.5,
    );
    let sample = [1, 4, 6, 8];
    let relu = burn::tensor::activation::relu::<4>;
    agrees("both", &model, sample, |m, x| {
        relu(m.a.forward(x.clone()) + m.b.forward(x))
    });
    agrees("order", &model, sample, |m, x| {
        x.clone() + m.a.forward(m.b.forward(x))
    });
    agrees("itself", &model, sample, |m, x| {
        let y = m.a.forward(x);
        y.clone() + y
    });
    agrees("twice", &model, sample, |m, x| {
        let y = m.a.forward(x);
        relu(y.clone()) + m.b.forward(y)
    });
    agrees("relu first", &model, sample, |m, x| {
        relu(m.a.forward(x.clone())) + x
    });
    agrees("columns", &model, sample, |m, x| {
        m.a.forward(x) + m.bias.val().reshape([1, 1, 1, 8])
    });
    agrees("rows", &model, sample, |m, x| {
        m.a.forward(x.clone()) + x.mean_dim(3)
    });
    agrees("computed weight", &model, sample, |m, x| {
        let weight = m.a.weight.val() * m.b.weight.val();
        let y = x.clone().reshape([-1, 4, 48]);
        let scores = weight.reshape([1, 4, 4]).matmul(y.clone());
        (scores * y.mean_dim(2)).reshape([-1, 4, 6, 8])
    });
}

/// A tolerance of 0 asks for the module's own bits, which sums in another order do not have.
#[test]
fn outputs_are_compared() {
    let model = trained(Normed::new(&Device::flex()), 1.0);
    let config = CompileConfig::new().with_tolerance(Some(0.0));
    let compiled = config.compile(&model, tensor([1, 3, 8, 8], 1), |m: &Normed, x| {
        m.forward(x)
    });
    assert!(
        compiled
            .unwrap_err()
            .to_string()
            .contains("away from the module's")
    );
    let config = CompileConfig::new().with_tolerance(Some(-1.0));
    assert!(
        config
            .compile(&model, tensor([1, 3, 8, 8], 1), |m: &Normed, x| m
                .forward(x))
            .is_err()
    );
}

/// Counted without a run; a layer that runs twice counts twice.
#[test]
fn uses_of_weights() {
    let model = Normed::new(&Device::flex());
    let uses = Uses::of(&model, tensor([2, 3, 8, 8], 1), |m: &Normed, x| {
        let y = m.conv.forward(x.clone());
        m.norm.forward(y) + m.conv.forward(x)
    });
    let uses: Vec<_> = uses
        .unwrap()
        .iter()
        .map(|(path, n)| (path.to_string(), n))
        .collect();
    assert_eq!(uses, [("conv.weight".to_string(), 72)]);
}
