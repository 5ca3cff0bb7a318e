//! Sparse and dense arithmetic give one result.

use burn::module::{Module, Param, ParamGroup};
use burn::nn::conv::Conv2dConfig;
use burn::nn::{LinearConfig, PaddingConfig2d};
use burn::tensor::{DType, Tensor};
use zosam::masks::{Execution, Masks};
use zosam::nn::{Conv2d, Linear};
use zosam::{RandomStatic, Sparsity};

use super::{assert_close, device, drawn, random};

pub fn masked<M: Module>(model: M, sparsity: f64) -> (M, Sparsity) {
    let mut sparsity = Sparsity::new(RandomStatic::new(sparsity));
    let unused = |_: &M| -> Tensor<1> { unreachable!("random masks need no loss") };
    let model = sparsity.attach(drawn(model), unused).unwrap();
    (model, sparsity)
}

/// Calls of the first layer, dense and sparse.
pub fn paths(masks: &Masks) -> [[u64; 3]; 2] {
    let report = masks.execution_report();
    let layer = report.layers.first().expect("the layer has run");
    [layer.dense.calls, layer.sparse.calls]
}

/// Output, and gradients of input, weight and bias.
fn conv(model: &Conv2d, masks: &Masks, how: Execution, x: &Tensor<4>) -> Vec<Tensor<1>> {
    let x = x.clone().detach().require_grad();
    let y = masks.run(how, || model.forward(x.clone()));
    // A slope that differs from place to place.
    let slope = y.clone().detach().cos();
    let gradients = (y.clone() * slope).sum().backward();
    let flat = |tensor: Tensor<4>| {
        let count = tensor.shape().num_elements();
        tensor.reshape([count])
    };
    let mut all = vec![
        flat(y.inner()),
        flat(x.grad(&gradients).unwrap()),
        flat(model.weight.grad(&gradients).unwrap()),
    ];
    all.extend(
        model
            .bias
            .as_ref()
            .map(|bias| bias.grad(&gradients).unwrap()),
    );
    all
}

#[test]
fn convolutions() {
    let base = |channels, kernel| Conv2dConfig::new(channels, kernel);
    let same = |n| PaddingConfig2d::Explicit(n, n, n, n);
    let cases = [
        (base([4, 6], [3, 3]).with_padding(same(1)), [3, 4, 9, 7]),
        (
            base([4, 6], [3, 3])
                .with_padding(same(1))
                .with_stride([2, 2]),
            [2, 4, 8, 8],
        ),
        (base([3, 5], [1, 1]).with_stride([2, 2]), [17, 3, 6, 6]),
        (base([4, 4], [3, 3]).with_dilation([2, 2]), [2, 4, 11, 9]),
        (
            base([4, 8], [3, 3]).with_groups(2).with_padding(same(1)),
            [2, 4, 5, 5],
        ),
        (
            base([3, 4], [5, 5]).with_padding(PaddingConfig2d::Same),
            [1, 3, 10, 10],
        ),
        (base([3, 8], [4, 4]).with_stride([4, 4]), [3, 3, 16, 16]),
    ];
    for (config, shape) in cases {
        for sparsity in [0.3, 0.9] {
            let (model, sparsity) = masked(Conv2d::new(&config, &device()), sparsity);
            let x = random(shape);
            let (dense, sparse) = (sparsity.masks().clone(), sparsity.masks().clone());
            let expected = conv(&model, &dense, Execution::Dense, &x);
            let found = conv(&model, &sparse, Execution::Sparse, &x);
            assert_eq!(paths(&sparse), [[0; 3], [1; 3]], "{config}");
            let names = [
                "output",
                "input gradient",
                "weight gradient",
                "bias gradient",
            ];
            for ((name, expected), found) in names.into_iter().zip(expected).zip(found) {
                let expected = match name {
                    "weight gradient" => masked_like(expected, &model.weight),
                    _ => expected,
                };
                assert_close(&format!("{name} of {config}"), found, expected);
            }
        }
    }
}

/// Zero where the weight is, which is where it is dead.
fn masked_like(gradient: Tensor<1>, weight: &Tensor<4>) -> Tensor<1> {
    let count = weight.shape().num_elements();
    let dead = weight.clone().inner().reshape([count]).equal_elem(0.0);
    gradient.mask_fill(dead, 0.0)
}

#[test]
fn uneven_padding_goes_the_dense_way() {
    let config = Conv2dConfig::new([2, 2], [2, 2]).with_padding(PaddingConfig2d::Same);
    let (model, sparsity) = masked(Conv2d::new(&config, &device()), 0.5);
    let x = random([1, 2, 5, 5]);
    let found = sparsity
        .masks()
        .run(Execution::Sparse, || model.forward(x.clone()));
    assert_close("output", found, model.as_burn().forward(x));
    assert!(sparsity.masks().execution_report().layers.is_empty());
}

#[test]
fn linear_layers_of_any_rank() {
    for (examples, density) in [(1, 0.1), (5, 0.5), (200, 0.05), (257, 0.0)] {
        let config = LinearConfig::new(70, 33);
        let layer = Linear::new(&config, &device());
        let (model, sparsity) = masked(layer, 1.0 - f64::max(density, 0.001));
        let x = random([2, examples, 70]);
        let run = |how| {
            let x = x.clone().detach().require_grad();
            let y = sparsity.masks().run(how, || model.forward(x.clone()));
            let slope = y.clone().detach().cos();
            let gradients = (y.clone() * slope).sum().backward();
            let bias = model.bias.as_ref().unwrap().grad(&gradients).unwrap();
            let weight = model.weight.grad(&gradients).unwrap();
            (y.inner(), x.grad(&gradients).unwrap(), weight, bias)
        };
        let (dense, sparse) = (run(Execution::Dense), run(Execution::Sparse));
        assert_close("output", sparse.0, dense.0);
        assert_close("input gradient", sparse.1, dense.1);
        let dead = model.weight.val().inner().equal_elem(0.0);
        assert_close("weight gradient", sparse.2, dense.2.mask_fill(dead, 0.0));
        assert_close("bias gradient", sparse.3, dense.3);
    }
}

#[test]
fn without_a_graph_and_in_validation() {
    let config = Conv2dConfig::new([3, 4], [3, 3]);
    let (model, sparsity) = masked(Conv2d::new(&config, &device()), 0.8);
    let model = model.valid();
    let x = random([2, 3, 6, 6]).inner();
    let found = sparsity
        .masks()
        .run(Execution::Sparse, || model.forward(x.clone()));
    assert_close("output", found, model.forward(x));
    assert_eq!(paths(sparsity.masks()), [[0; 3], [1, 0, 0]]);
}

#[test]
fn a_checkpointing_device_gives_the_same_gradients() {
    let config = Conv2dConfig::new([3, 4], [3, 3]).with_bias(false);
    let (model, sparsity) = masked(Conv2d::new(&config, &device()), 0.8);
    let run = |model: &Conv2d, x: Tensor<4>| {
        let y = sparsity.masks().run(Execution::Sparse, || {
            model.forward(burn::tensor::activation::relu(x))
        });
        model
            .weight
            .grad(&y.powi_scalar(2).sum().backward())
            .unwrap()
    };
    let x = random([2, 3, 6, 6]);
    let plain = run(&model, x.clone());
    let device = device().gradient_checkpointing();
    // A module moved to another device keeps its strategy.
    let mut other = Conv2d::new(&config, &device);
    let on_it = |data| Tensor::from_data(data, &device).require_grad();
    other.weight = Param::initialized(model.weight.id, on_it(model.weight.to_data()));
    let model = other;
    let again = run(&model, Tensor::from_data(x.into_data(), &device));
    assert_eq!(plain.into_data(), again.into_data());
}

#[test]
fn a_scope_ends_where_it_should() {
    let config = LinearConfig::new(8, 8);
    let (model, sparsity) = masked(Linear::new(&config, &device()), 0.5);
    let masks = sparsity.masks();
    let x = random([4, 8]);
    let sparse_calls = || {
        masks
            .execution_report()
            .layers
            .first()
            .map_or(0, |l| l.sparse.calls[0])
    };
    model.forward(x.clone());
    assert_eq!(sparse_calls(), 0, "no scope yet");
    masks.run(Execution::Sparse, || {
        model.forward(x.clone());
        Masks::dense().run(Execution::Sparse, || model.forward(x.clone()));
        masks.run(Execution::Dense, || model.forward(x.clone()));
        model.forward(x.clone());
    });
    assert_eq!(sparse_calls(), 2, "inner scopes are over when they return");
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        masks.run(Execution::Sparse, || panic!("in the middle of a pass"))
    }));
    assert!(panicked.is_err());
    model.forward(x.clone());
    assert_eq!(sparse_calls(), 2, "a panic ends a scope, too");
    masks.run(Execution::Sparse, || {
        std::thread::scope(|scope| scope.spawn(|| model.forward(x.clone())).join().unwrap())
    });
    assert_eq!(sparse_calls(), 2, "a scope belongs to one thread");
}

#[test]
fn other_element_types_go_the_dense_way() {
    let (mut model, sparsity) = masked(Linear::new(&LinearConfig::new(8, 4), &device()), 0.5);
    let wide = |tensor: Tensor<2>| tensor.cast(DType::F64);
    model.weight = model.weight.map(wide);
    model.bias = None;
    let x = wide(random([3, 8]));
    let found = sparsity
        .masks()
        .run(Execution::Sparse, || model.forward(x.clone()));
    assert_eq!(found.into_data(), model.as_burn().forward(x).into_data());
    assert!(sparsity.masks().execution_report().layers.is_empty());
}

#[test]
fn burns_own_layers_are_left_alone() {
    let layer = drawn(LinearConfig::new(8, 4).init(&device()));
    let mut sparsity = Sparsity::new(RandomStatic::new(0.5))
        .with_group(ParamGroup::from_paths(vec!["weight".to_string()]));
    let model = sparsity
        .attach(layer, |_| -> Tensor<1> { unreachable!() })
        .unwrap();
    let x = random([4, 8]);
    let inside = sparsity
        .masks()
        .run(Execution::Sparse, || model.forward(x.clone()));
    assert_eq!(inside.into_data(), model.forward(x).into_data());
    assert!(sparsity.masks().execution_report().layers.is_empty());
}
